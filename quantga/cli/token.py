"""`quantga token`: who may use the service."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from quantga.cli.console import JsonOption, give_json, give_table, say
from quantga.errors import ConfigError
from quantga.settings import state_folder

if TYPE_CHECKING:
    from quantga.service.access import Token, Tokens

token_app = typer.Typer(no_args_is_help=True, help="Tokens of the service: create, list, revoke.")


def _tokens() -> Tokens:
    from quantga.service.access import Tokens

    return Tokens(state_folder() / "tokens.json")


@token_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, for the list and the audit log.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="read (always), research (start and stop jobs), trade (halt, flatten); give it twice for both."
        ),
    ] = None,
    days: Annotated[float, typer.Option(help="Days until it expires; 0: never.", min=0, max=36_500)] = 90.0,
    json: JsonOption = False,
) -> None:
    """Make a token and print it: it is shown once, and kept as a hash."""
    from quantga.service.access import Scope

    try:
        scopes = [Scope(one) for one in scope or ["read"]]
    except ValueError:
        raise ConfigError(f"--scope {' '.join(scope or ())}: there are {', '.join(Scope)}") from None
    text = _tokens().create(name, scopes, days or None)
    if json:
        give_json({"token": text, "id": text.split("_")[1]})
        return
    sys.stdout.write(text + "\n")
    say(f"token {text.split('_')[1]} of {name}: keep it now, it is not shown again (`quantga token revoke` ends it)")


@token_app.command("list")
def show(json: JsonOption = False) -> None:
    """List the tokens, without what would let anyone use them."""
    now = time.time_ns() // 1_000_000
    rows = [_row(token, now) for token in _tokens().all()]
    if json:
        give_json({"tokens": rows})
    elif rows:
        give_table(f"{len(rows)} tokens", tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        say("there is no token: `quantga token create NAME` makes one")


@token_app.command("revoke")
def revoke(
    number: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `quantga token list` shows it.")],
    json: JsonOption = False,
) -> None:
    """End a token now and for good; a running service refuses it from the next request on."""
    token = _tokens().revoke(number)
    if json:
        give_json({"revoked": token.id})
    else:
        say(f"token {token.id} of {token.name} is revoked")


def _row(token: Token, now: int) -> dict[str, str]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": ",".join(token.scopes),
        "state": token.state(now),
        "expires": _day(token.expires),
        "created": _day(token.created),
    }


def _day(at: int | None) -> str:
    return "never" if at is None else f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M}"
