"""Making a service from its settings, and running it under uvicorn on uvloop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from quantga.errors import ConfigError
from quantga.service.access import Tokens
from quantga.service.app import create_app
from quantga.service.archive import Archive
from quantga.service.audit import Audit
from quantga.service.book import LedgerBook
from quantga.service.gate import Guard, hosts_of
from quantga.service.logins import Logins
from quantga.service.progress import Progress
from quantga.service.service import Service
from quantga.service.sessions import Sessions
from quantga.service.workshop import Workshop
from quantga.store.catalog import FILE, refresh
from quantga.store.lake import open_lake

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_END_S = 5


@dataclass(frozen=True)
class Place:
    """Where the service listens, by which names it is called, and what stands before it.

    proxy: a proxy that ends TLS and runs on this machine; then cookies are for https alone and addresses are those it tells.
    """

    host: str = "127.0.0.1"
    port: int = 8321
    allow_hosts: tuple[str, ...] = ()
    proxy: bool = False
    cluster: str = ""


def open_service(store: str, state: Path, place: Place) -> Service:
    """Return the service of a store; `state` is the folder of its tokens and its audit log.

    Raises:
        ConfigError: there is no such store, or what listens openly has no name.
    """
    lake = open_lake(store)
    if isinstance(lake.root, Path) and not lake.root.is_dir():
        raise ConfigError(f"there is no store at {lake.root}: `quantga data import` makes one, --store names another")
    if place.host not in LOOPBACK and not place.allow_hosts:
        raise ConfigError(
            f"--host {place.host} listens to other machines: say by which name they call it, --allow-host NAME:PORT"
        )
    if not (lake.local / FILE).exists():
        refresh(lake)
    tokens = Tokens(state / "tokens.json")
    tokens.all()
    hosts = hosts_of(place.host, place.port, place.allow_hosts)
    guard = Guard(tokens, Logins(tokens), Audit(state / "audit.jsonl"), hosts, place.proxy)
    return Service(
        lake,
        store,
        guard,
        Archive(lake),
        Progress(lake),
        Workshop(),
        LedgerBook(lake),
        Sessions(lake),
        place.cluster,
        Path.cwd(),
    )


def serve(service: Service, place: Place, trusted: Sequence[str] = ("127.0.0.1", "::1")) -> None:
    """Serve until SIGINT or SIGTERM; who follows a run is told goodbye within five seconds."""
    uvicorn.run(
        create_app(service),
        host=place.host,
        port=place.port,
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=place.proxy,
        forwarded_allow_ips=list(trusted),
        timeout_graceful_shutdown=_END_S,
        limit_concurrency=500,
    )
