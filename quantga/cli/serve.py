"""`quantga serve`: the API and the page, on this machine unless told otherwise."""

from __future__ import annotations

from typing import Annotated

import typer

from quantga.cli.console import StoreOption, say
from quantga.settings import Settings, state_folder


def serve(
    store: StoreOption = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; others than loopback need --allow-host.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen at.", min=1, max=65_535)] = 8321,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", metavar="NAME[:PORT]", help="A name by which browsers call it, as in their address bar."
        ),
    ] = None,
    proxy: Annotated[
        bool, typer.Option("--proxy", help="A proxy on this machine ends TLS before it: https alone.")
    ] = False,
    cluster: Annotated[
        str, typer.Option(help="Ray's dashboard, to start and stop jobs there; else none are offered.")
    ] = "",
) -> None:
    """Serve the API and the page of a store; needs a token: `quantga token create`."""
    from quantga.service.open import Place, open_service
    from quantga.service.open import serve as run
    from quantga.telemetry.logs import log_lines

    place = Place(host, port, tuple(allow_host or ()), proxy, cluster)
    service = open_service(Settings.load({"store": {"path": store}}).store.path, state_folder(), place)
    if not service.guard.tokens.all():
        say("there is no token yet: `quantga token create NAME` makes one, here or in another window")
    say(f"quantga serves {service.lake.root} at http://{host}:{port} (Ctrl-C ends it)")
    log_lines()
    run(service, place)
