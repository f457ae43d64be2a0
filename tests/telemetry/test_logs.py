"""Secrets are planted wherever a stranger or a failure could bring them, and looked for wherever something is written."""

from __future__ import annotations

import io
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from quantga.service.access import Scope, Tokens
from quantga.telemetry import logs
from quantga.telemetry.logs import Lines
from quantga.telemetry.scrub import REMOVED, scrub, scrubbed
from tests.service.serving import until

HEX = secrets.token_hex
PLANTED = {
    "key": "0x" + HEX(32),
    "bare key": HEX(32),
    "address": "0x" + HEX(20),
    "order": "0x" + HEX(16),
    "signature": "0x" + HEX(65),
    "token": f"qga_{HEX(4)}_{secrets.token_urlsafe(32)}",
    "aws": "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16)),
}
NAMED = "correct-horse-" + HEX(6)
"""A secret without a form of its own: only the name beside it tells."""


def logged(message, **extra):
    """Return the line that a record becomes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines())
    logger = logging.getLogger("planted")
    logger.handlers, logger.propagate = [handler], False
    try:
        fail(message)
    except RuntimeError:
        logger.exception(message, extra=extra)
    return stream.getvalue()


def fail(message):
    raise RuntimeError(message)


def everywhere():
    """Every way into a line: the message, a failure's text, fields, names of fields, at any depth."""
    text = " and ".join(PLANTED.values())
    named = f"password={NAMED} passphrase: '{NAMED}' https://user:{NAMED}@host/ Authorization: Bearer {NAMED}"
    deep = {
        "list": [{"inner": text}],
        "secret": NAMED,
        "api_key": NAMED,
        text: 1,
        "cookie": [NAMED],
        "bytes": text.encode(),
    }
    return logged(f"{text} {named}", more=deep, signature=NAMED, path=Path(f"/x/{PLANTED['key']}"))


def found(line):
    return [
        name for name, value in {**PLANTED, "named": NAMED}.items() if value in line or value.removeprefix("0x") in line
    ]


def test_no_planted_secret_is_in_a_line():
    assert found(everywhere()) == []


def test_without_the_scrubber_every_one_is_found(monkeypatch):
    monkeypatch.setattr(logs, "scrubbed", lambda value: json.loads(json.dumps(value, default=str)))
    assert set(found(everywhere())) == {*PLANTED, "named"}


def test_a_line_is_canonical():
    line = json.loads(logged("stopped", b=1, a="x"))
    assert list(line) == ["at", "level", "logger", "event", "a", "b", "failure"]
    assert (line["level"], line["event"], line["a"], line["b"]) == ("error", "stopped", "x", 1)


@pytest.mark.parametrize(
    "text", ["run 45507abcb2fe", "BTC at 60003.5", "2026-11-22 20:00", "0x1f", "p = 0.05", "a" * 63, ""]
)
def test_what_is_no_secret_stays(text):
    assert scrub(text) == text


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_is_logged_keeps_its_shape_and_is_scrubbed_once(value):
    once = scrubbed(value)
    assert type(once) is type(value)
    assert scrubbed(once) == once


def test_fields_that_hold_secrets_are_known():
    fields = ("private_key", "PASSWORD", "x-auth-token", "Cookie", "aws_secret_access_key", "mnemonic", "key")
    assert scrubbed(dict.fromkeys(fields, NAMED)) == dict.fromkeys(fields, REMOVED)


def test_a_real_service_writes_no_secret_that_strangers_or_friends_send(tmp_path):
    """As a process of its own: its log, its audit log, its command line and its environment are searched."""
    (tmp_path / "store").mkdir()
    state = tmp_path / "state"
    token = Tokens(state / "tokens.json").create("ann", [Scope.READ], 1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("quantga"), "serve", "--store", tmp_path / "store", "--port", str(port)]
    log = tmp_path / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "QUANTGA_STATE": str(state)}) as server,
    ):
        url = f"http://127.0.0.1:{port}"

        def call(method, path, **more):
            return requests.request(method, url + path, timeout=120, allow_redirects=False, **more)

        def answers():
            try:
                return call("GET", "/health").ok
            except requests.ConnectionError:
                return False

        try:
            until(answers)
            ours = {"authorization": f"Bearer {token}"}
            for value in PLANTED.values():
                call("GET", f"/api/v1/runs/{value}?q={value}", headers=ours)
                call("POST", f"/{value}", headers={**ours, "x-secret": value})
                call("GET", "/api/v1/runs", headers={"authorization": f"Bearer {value}"})
                call("POST", "/login", data={"token": value}, headers={"user-agent": value})
            proc = Path(f"/proc/{server.pid}")
            seen = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes() if proc.exists() else b""
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(120)
    written = seen.decode(errors="replace") + log.read_text() + (state / "audit.jsonl").read_text()
    assert "answered" in log.read_text()
    assert '"status":401' in (state / "audit.jsonl").read_text()
    assert found(written) == []
    assert token.split("_", 2)[2] not in written
    shutil.rmtree(tmp_path / "store")
