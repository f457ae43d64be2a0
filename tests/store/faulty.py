"""A proxy before an S3 server that does what networks do: slow, busy, cut, reset, an answer that is lost."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Faulty:
    """Hands requests on to `upstream`; the next requests of the verbs in `to` meet the faults in `plan`, one each.

    Faults: "busy" (503 SlowDown), "slow" (a second late), "reset" (before it is handed on), "half" (half of what was sent
    is handed on), "cut" (half of the answer comes back), "lost" (it is done, and no answer comes back).
    """

    def __init__(self, upstream: str) -> None:
        self.plan: deque[str] = deque()
        self.to: tuple[str, ...] = ("GET", "PUT", "POST")
        self.seen: Counter[str] = Counter()
        self.met: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(urlsplit(upstream).netloc))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def faults(self, *names: str, to: tuple[str, ...] = ("GET", "PUT", "POST")) -> None:
        """Let the next requests of these verbs meet these faults."""
        self.to = to
        self.plan = deque(names)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _next(self, verb: str) -> str:
        self.seen[verb] += 1
        fault = self.plan.popleft() if self.plan and verb in self.to else ""
        if fault:
            self.met.append(fault)
        return fault

    def _handler(self, netloc: str) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _handle(self):
                fault = proxy._next(self.command)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if fault == "slow":
                    time.sleep(1)
                elif fault == "busy":
                    return self._answer(503, [("Content-Type", "application/xml")], BUSY)
                elif fault == "reset":
                    return self._drop()
                elif fault == "half":
                    self._half(body)
                    return self._drop()
                status, headers, data = self._upstream(body)
                if fault == "lost":
                    return self._drop()
                if fault == "cut":
                    self._answer(status, headers, data, len(data) // 2)
                    return self._drop()
                return self._answer(status, headers, data)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 (http.server's names)

            def _upstream(self, body):
                there = http.client.HTTPConnection(netloc, timeout=30)
                there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() != "expect":
                        there.putheader(name, value)
                there.endheaders(body)
                answer = there.getresponse()
                data = answer.read()
                skipped = {"content-length", "transfer-encoding", "connection"}
                headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in skipped]
                there.close()
                return answer.status, headers, data

            def _half(self, body):
                head = f"{self.command} {self.path} HTTP/1.1\r\n" + "".join(
                    f"{n}: {v}\r\n" for n, v in self.headers.items()
                )
                host, _, port = netloc.partition(":")
                with socket.create_connection((host, int(port))) as there:
                    there.sendall(head.encode() + b"\r\n" + body[: len(body) // 2])

            def _answer(self, status, headers, data, upto=None):
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data[:upto])
                    self.wfile.flush()

            def _drop(self):
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def finish(self):
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

            def handle(self):
                with contextlib.suppress(OSError, ValueError):
                    super().handle()

        return Handler
