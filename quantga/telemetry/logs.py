"""Logs: one line of JSON for each thing that happened, the same fields in the same order, through the one scrubber."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import orjson

from quantga.telemetry.scrub import scrubbed

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


class Lines(logging.Formatter):
    """Formats a record: at (ms UTC), level, logger, event, what else it was given, and a failure's type, text and places."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        more = {name: value for name, value in record.__dict__.items() if name not in _PLAIN and name[0] != "_"}
        told: dict[str, Any] = {
            "at": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **dict(sorted(more.items())),
        }
        if record.exc_info:
            told["failure"] = self.formatException(record.exc_info)
        return orjson.dumps(scrubbed(told)).decode()


def log_lines(stream: TextIO | None = None, level: int = logging.INFO) -> logging.Handler:
    """Send everything that is logged in this process to `stream` (standard error) as lines; return the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    return handler
