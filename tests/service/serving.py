"""A real service in a thread, on a port of its own, and somebody who calls it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import requests
import uvicorn

from quantga.service.access import Scope
from quantga.service.app import create_app
from quantga.service.limits import Buckets, Pace
from quantga.service.open import Place, open_service

PATIENCE_S = 120


@dataclass
class Served:
    """The service, where it listens, and a token for each set of scopes."""

    service: object
    url: str
    tokens: dict[str, str]

    def call(self, method, path, scope="read", **more):
        headers = {"authorization": f"Bearer {self.tokens[scope]}"} if scope else {}
        headers |= more.pop("headers", {})
        return requests.request(
            method, self.url + path, headers=headers, timeout=PATIENCE_S, allow_redirects=False, **more
        )

    def get(self, path, scope="read", **more):
        return self.call("GET", path, scope, **more)

    def read(self, path, scope="read"):
        answer = self.get(path, scope)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
        return answer.json()


@contextmanager
def serving(store, state, **more):
    """Serve a store until the end of the block. No pace is kept, except by who tests it."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    place = Place(port=port, **more)
    service = open_service(str(store), state, place)
    service.guard.calls = Buckets(Pace(1e6, 10**6))
    service.guard.guesses = Buckets(Pace(1e6, 10**6))
    scopes = {"read": [Scope.READ], "research": [Scope.RESEARCH], "trade": [Scope.TRADE]}
    tokens = {name: service.guard.tokens.create(name, scope, 1) for name, scope in scopes.items()}
    config = uvicorn.Config(
        create_app(service), log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        yield Served(service, f"http://127.0.0.1:{port}", tokens)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listening.close()


def until(holds, patience=PATIENCE_S):
    """Wait until something holds and return it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"it did not come about in {patience} s: {holds}")
