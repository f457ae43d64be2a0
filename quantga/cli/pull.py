"""`quantga data pull` and `quantga data archive`: a venue's history into the store.

Who may look at what of it afterwards is decided by the importer, as for files.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from quantga.cli.console import IntervalOption, JsonOption, StoreOption, give_json, give_table, say
from quantga.errors import ConfigError
from quantga.settings import Settings
from quantga.venue.protocol import Network

if TYPE_CHECKING:
    from quantga.store.ingest.pull import Pulled, Wanted
    from quantga.store.lake import Lake
    from quantga.venue.desk import DeskState

NAMES = {
    Network.MAINNET: "hyperliquid",
    Network.TESTNET: "hyperliquid_testnet",
    Network.PAPER: "hyperliquid_paper",
}
"""What each network's bars are filed under: prices of a test must not end up among real ones."""

UrlOption = Annotated[
    str | None, typer.Option("--venue-url", metavar="URL", help="Another address of the venue, as of a paper exchange.")
]
NetworkOption = Annotated[
    Network | None,
    typer.Option("--network", help="Which market. Default: mainnet; paper for an address on this machine."),
]


def pull(
    symbols: Annotated[str | None, typer.Option("--symbols", help="BTC,ETH,… as the venue calls them.")] = None,
    interval: IntervalOption = None,
    since: Annotated[str | None, typer.Option("--since", metavar="YYYYMMDD", help="Nothing before this day.")] = None,
    venue_url: UrlOption = None,
    network: NetworkOption = None,
    store: StoreOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let the venue's values win over differing ones.")] = False,
    json: JsonOption = False,
) -> None:
    """Fetch candles, hourly funding and metadata of Hyperliquid: what the store lacks, and no more.

    The venue keeps the last 5,000 candles of each interval. A bar that is still open is left out; one that the venue
    does not give is stored as absent.
    """
    from quantga.store.ingest.pull import Wanted
    from quantga.store.lake import open_lake

    given = {"symbols": symbols, "interval": interval}
    settings = Settings.load({"store": {"path": store}, "data": given})
    if not settings.data.symbols or not settings.data.interval:
        raise ConfigError("say what to pull, as in --symbols BTC,ETH --interval 1h")
    which, url = _where(venue_url, network)
    coins = tuple(dict.fromkeys(settings.data.symbols))
    wanted = Wanted(NAMES[which], coins, settings.data.interval, _midnight(since), replace)
    lake = open_lake(settings.store.path)
    with _stoppable("what came is stored"):
        done, desk = asyncio.run(_pull(which, url, lake, wanted))
    for note in [*done.notes, *done.of_import]:
        say(f"note: {note}")
    if json:
        give_json(_told(done, desk, wanted, lake))
        return
    _show(done, desk, wanted)


@contextlib.contextmanager
def _stoppable(kept: str) -> Iterator[None]:
    """Say at Ctrl-C what is kept and how to go on; leave with 130, as a shell expects."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped: {kept}, nothing is half-written; give the same command again to go on")
        raise typer.Exit(130) from None


async def _pull(network: Network, url: str, lake: Lake, wanted: Wanted) -> tuple[Pulled, DeskState]:
    from quantga.store.ingest.pull import pull as pull_all
    from quantga.venue.budget import Limits
    from quantga.venue.desk import Desk
    from quantga.venue.hyperliquid import weights
    from quantga.venue.hyperliquid.client import Hyperliquid
    from quantga.venue.hyperliquid.rest import Rest

    # A download has no shares to keep, but a trader may be running behind the same address.
    limits = Limits(outside=200, shares=(0, 0, 0, 0))
    async with Rest(url, timeout=30.0) as wire:
        desk = Desk(wire, weights.actual, limits)
        done = await pull_all(Hyperliquid(desk, network), lake, wanted, say)
        return done, desk.state()


@dataclass(frozen=True, slots=True)
class _Line:
    coin: str
    bars: int
    absent: int
    fundings: int
    first: str
    last: str


def _lines(done: Pulled, wanted: Wanted) -> list[_Line]:
    from quantga.store.ingest.times import iso

    lines = []
    for coin in wanted.coins:
        there = done.dataset is not None and coin in done.dataset.symbols
        part = done.dataset.instrument(coin) if done.dataset is not None and there else None
        first, last = (iso(part.first), iso(part.end)) if part else ("-", "-")
        counts = done.bars.get(coin, 0), done.absent.get(coin, 0), done.fundings.get(coin, 0)
        lines.append(_Line(coin, *counts, first, last))
    return lines


def _told(done: Pulled, desk: DeskState, wanted: Wanted, lake: Lake) -> dict[str, Any]:
    names = ("bars", "absent", "fundings", "first", "last")
    return {
        "dataset": done.dataset.id if done.dataset else None,
        "venue": wanted.name,
        "interval": wanted.interval,
        "symbols": {line.coin: {name: getattr(line, name) for name in names} for line in _lines(done, wanted)},
        "metadata_changed": done.metadata_new,
        "requests": sum(desk.sent),
        "weight": desk.spent,
        "notes": [*done.notes, *done.of_import],
        "store": str(lake.root),
    }


def _show(done: Pulled, desk: DeskState, wanted: Wanted) -> None:
    header = ("symbol", "new bars", "absent", "new fundings", "stored from", "stored to")
    rows = [
        (line.coin, f"{line.bars:,}", f"{line.absent:,}", f"{line.fundings:,}", line.first[:16], line.last[:16])
        for line in _lines(done, wanted)
    ]
    dataset = f"dataset {done.dataset.id}" if done.dataset else "nothing stored"
    give_table(f"{wanted.name} {wanted.interval} · {dataset}", header, rows)
    say(f"{sum(desk.sent)} requests of weight {desk.spent}; {'new' if done.metadata_new else 'unchanged'} metadata")


def _where(url: str | None, network: Network | None) -> tuple[Network, str]:
    """Return the network and its address.

    Raises:
        ConfigError: an address elsewhere, and nothing says which market is there.
    """
    from quantga.venue.hyperliquid.rest import URLS

    if url is None:
        which = network or Network.MAINNET
        return which, URLS[which]
    if network is None and not _on_this_machine(url):
        raise ConfigError(f"say which market {url} is: --network mainnet, testnet or paper")
    return network or Network.PAPER, url


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _midnight(day: str | None) -> int:
    if not day:
        return 0
    try:
        return int(datetime.strptime(day.replace("-", ""), "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise ConfigError(f"{day!r} is no day: give it as YYYYMMDD") from None


def archive(
    kind: Annotated[str, typer.Argument(help="contexts (by the minute), books (by the minute), or fills (as bars).")],
    symbols: Annotated[str | None, typer.Option("--symbols", help="BTC,ETH,… as the venue calls them.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="YYYYMMDD", help="The first day.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="YYYYMMDD", help="The day after the last one.")
    ] = None,
    interval: Annotated[str, typer.Option("--interval", help="Of the bars that fills are made into.")] = "1h",
    bucket: Annotated[
        str | None, typer.Option("--bucket", metavar="S3", help="Another bucket: s3://name?endpoint=…&requester=pays.")
    ] = None,
    venue: Annotated[str, typer.Option("--venue", help="What it is filed under.")] = NAMES[Network.MAINNET],
    yes: Annotated[
        bool, typer.Option("--yes", help="Fetch, and pay for it. Without it only the cost is told.")
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch Hyperliquid's archive from S3, where the requester pays: tells the cost first, and stops there without --yes.

    It needs AWS keys. Files that were fetched are kept on this machine and not paid for again.
    """
    from quantga.store.ingest.archive import BUCKETS, Archive, Wanted
    from quantga.store.ingest.archive_import import Target, bring, require_place
    from quantga.store.lake import open_lake
    from quantga.store.symbols import require_venue

    if kind not in ("contexts", "books", "fills"):
        raise ConfigError(f"the archive has contexts, books and fills, not {kind!r}")
    if since is None:
        raise ConfigError("say from which day on, as in --since 20250601 --until 20250701")
    require_venue(venue)
    settings = Settings.load({"store": {"path": store}, "data": {"symbols": symbols}})
    coins = tuple(dict.fromkeys(settings.data.symbols))
    wanted = Wanted(kind, _day(since), _day(until) if until else _today(), coins)  # type: ignore[arg-type]  # checked above
    target = Target(open_lake(settings.store.path), venue, interval)
    require_place(target, wanted)
    source = Archive(bucket or BUCKETS[wanted.kind])
    listing = source.list(wanted)
    cost = {
        "bucket": source.address.name,
        "files": len(listing.items),
        "already_here": len(listing.here),
        "to_fetch": listing.gets,
        "megabytes": round(listing.bytes_to_fetch / 1e6, 3),
        "usd_at_most": round(listing.usd, 4),
        "usd_for_listing": round(listing.listing_usd, 6),
        "absent": len(listing.absent),
    }
    say(
        f"{source.address.name}: {listing.gets} files of {listing.bytes_to_fetch / 1e6:,.1f} MB to fetch, at most "
        f"${listing.usd:,.2f} (transfer to the internet; free within the bucket's region), {len(listing.here)} are here already"
    )
    if not yes:
        say("nothing was fetched: give the same command with --yes to fetch, and pay")
        if json:
            give_json({"cost": cost, "fetched": False})
        return
    with _stoppable("files that were fetched are kept and not paid for again"):
        done = bring(source, listing, wanted, target, say)
    for note in done.notes:
        say(f"note: {note}")
    if json:
        ids = [manifest.id for manifest in done.datasets]
        give_json({"cost": cost, "fetched": True, "rows": done.rows, "datasets": ids, "notes": done.notes})
        return
    what = f"{interval} bars" if kind == "fills" else "rows"
    give_table(f"{kind} of {venue}", ("symbol", what), [(coin, f"{rows:,}") for coin, rows in done.rows.items()])


def _day(text: str) -> datetime:
    return datetime.fromtimestamp(_midnight(text) / 1000, UTC)


def _today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
