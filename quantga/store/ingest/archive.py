"""The venue's archive buckets: what is there, what fetching it costs, and fetching it once.

The requester pays for every request and byte, so nothing is fetched before its size was listed and its price told, and
what was fetched is kept on this machine and never paid for again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from quantga.errors import ConfigError, StoreError
from quantga.settings import cache_folder
from quantga.store.s3_address import Address, parse_address
from quantga.store.s3_calls import ask

type Kind = Literal["contexts", "books", "fills"]

MARKET = "s3://hyperliquid-archive?region=us-east-1&requester=pays"
NODE = "s3://hl-mainnet-node-data?region=ap-northeast-1&requester=pays"
BUCKETS: dict[Kind, str] = {"contexts": MARKET, "books": MARKET, "fills": NODE}
"""Where each kind lies, unless told otherwise."""

USD_PER_GB = 0.114
"""Transfer to the internet from the dearer of the two regions; within the region it is free."""
USD_PER_GET = 0.0004 / 1000
USD_PER_LIST = 0.005 / 1000
_FILLS = ("node_fills_by_block", "node_fills", "node_trades")
"""Prefixes of the trades, the newest kind first: where two hold an hour, the first is taken."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which objects: whole days from `since` up to, not including, `until`; coins matter to books only."""

    kind: Kind
    since: datetime
    until: datetime
    coins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One object of the archive; `start` is when its day or hour begins (UTC)."""

    key: str
    size: int
    start: datetime
    coin: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is wanted and there, what of it is here already, and what asking cost."""

    address: Address
    items: tuple[Item, ...]
    here: frozenset[str]
    lists: int
    absent: tuple[str, ...]

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes that have to be fetched."""
        return sum(item.size for item in self.items if item.key not in self.here)

    @property
    def gets(self) -> int:
        """Objects that have to be fetched."""
        return sum(item.key not in self.here for item in self.items)

    @property
    def usd(self) -> float:
        """What fetching costs at the most, in US dollars: all bytes leave Amazon for the internet."""
        return self.bytes_to_fetch / 1e9 * USD_PER_GB + self.gets * USD_PER_GET

    @property
    def listing_usd(self) -> float:
        """What this listing has cost, in US dollars."""
        return self.lists * USD_PER_LIST


class Archive:
    """One bucket of the archive, and the folder that keeps what came from it."""

    def __init__(self, address: str, folder: Path | None = None) -> None:
        """`address` as s3://bucket?endpoint=…&region=…&requester=pays; `folder` is by default in this machine's cache."""
        self.address = parse_address(address)
        self.folder = (folder or cache_folder() / "archive") / self.address.bucket
        self._lists = 0

    def list(self, wanted: Wanted) -> Listing:
        """Return what the bucket holds of what is wanted.

        Raises:
            ConfigError: no keys, wrong keys, no such bucket, or nothing is wanted.
            StoreError: the bucket does not answer.
        """
        if wanted.since >= wanted.until:
            raise ConfigError(
                f"nothing lies between {wanted.since:%Y%m%d} and {wanted.until:%Y%m%d}: give --since, --until"
            )
        self._lists = 0
        found = {"contexts": self._contexts, "books": self._books, "fills": self._fills}[wanted.kind](wanted)
        items = tuple(sorted(found, key=lambda item: (item.start, item.coin)))
        here = frozenset(item.key for item in items if self._is_here(item))
        return Listing(self.address, items, here, self._lists, tuple(_absent(wanted, items)))

    def fetch(self, item: Item) -> Path:
        """Return the file of an object, fetched unless it is here.

        Raises:
            StoreError: it cannot be fetched, or another number of bytes came than were listed.
        """
        path = self.folder / item.key
        if self._is_here(item):
            return path

        def call(client: Any) -> bytes:
            answer = client.get_object(Bucket=self.address.bucket, Key=self.address.key(item.key), **self._payer())
            return bytes(answer["Body"].read())

        data = ask(self.address, f"read {item.key}", call)
        if len(data) != item.size:
            raise StoreError(f"{item.key}: {len(data)} bytes came of {item.size} listed: give the command again")
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            draft.write_bytes(data)
            draft.replace(path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written ({error.strerror}): QUANTGA_CACHE names another folder"
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        return path

    def _contexts(self, wanted: Wanted) -> Iterator[Item]:
        for key, size in self._keys("asset_ctxs/"):
            day = _day(key.removeprefix("asset_ctxs/").removesuffix(".csv.lz4"))
            if day is not None and wanted.since <= day < wanted.until:
                yield Item(key, size, day)

    def _books(self, wanted: Wanted) -> Iterator[Item]:
        """Books by hour of receipt, with an hour of slack: a file may open with a frame of the hour before."""
        for day in _days(wanted.since, wanted.until):
            for key, size in self._keys(f"market_data/{day:%Y%m%d}/"):
                parts = key.split("/")
                if len(parts) == 5 and parts[3] == "l2Book" and (coin := parts[4].removesuffix(".lz4")) in wanted.coins:
                    yield Item(key, size, day + int(parts[2]) * _HOUR, coin)

    def _fills(self, wanted: Wanted) -> Iterable[Item]:
        """Fills by hour of processing, with an hour before and after: a fill may lie in a neighbour's file."""
        found: dict[datetime, Item] = {}
        for prefix in _FILLS:
            for day in _days(wanted.since - _HOUR, wanted.until + _HOUR):
                for key, size in self._keys(f"{prefix}/hourly/{day:%Y%m%d}/"):
                    start = day + int(key.rsplit("/", 1)[1].removesuffix(".lz4")) * _HOUR
                    if wanted.since - _HOUR <= start < wanted.until + _HOUR:
                        found.setdefault(start, Item(key, size, start))
        return found.values()

    def _keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        more: dict[str, str] = {}
        while True:
            self._lists += 1
            where = {"Bucket": self.address.bucket, "Prefix": self.address.key(prefix), **more, **self._payer()}
            page = ask(self.address, f"list {prefix}", partial(_list, where))
            for row in page.get("Contents", ()):
                yield self.address.path(row["Key"]), int(row["Size"])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _is_here(self, item: Item) -> bool:
        path = self.folder / item.key
        return path.is_file() and path.stat().st_size == item.size

    def _payer(self) -> dict[str, str]:
        return {"RequestPayer": "requester"} if self.address.payer else {}


def fetch_all(archive: Archive, listing: Listing, say: Callable[[str], None]) -> list[tuple[Item, Path]]:
    """Fetch what is not here; tell the progress."""
    found, done, total = [], 0, listing.bytes_to_fetch
    for item in listing.items:
        fetched = item.key not in listing.here
        found.append((item, archive.fetch(item)))
        done += item.size if fetched else 0
        if fetched:
            say(f"{item.key}: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB")
    return found


def _list(where: dict[str, str], client: Any) -> Any:
    return client.list_objects_v2(**where)


def _days(since: datetime, until: datetime) -> Iterator[datetime]:
    day = since.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < until:
        yield day
        day += timedelta(days=1)


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _absent(wanted: Wanted, items: Sequence[Item]) -> Iterator[str]:
    """Give the days and hours that the archive lacks; it has gaps."""
    there = {(item.start, item.coin) for item in items}
    if wanted.kind == "contexts":
        yield from (f"{day:%Y%m%d}" for day in _days(wanted.since, wanted.until) if (day, "") not in there)
        return
    for coin in wanted.coins if wanted.kind == "books" else ("",):
        start = wanted.since
        while start < wanted.until:
            if (start, coin) not in there:
                yield f"{start:%Y%m%d} {start:%H}h {coin}".rstrip()
            start += _HOUR
