"""`pull`: a venue's candles, fundings and metadata into the lake, only what it lacks, resumable at any point.

The venue keeps 5,000 candles of each interval and drops the oldest for every new one, so what is not pulled in time is
lost for good. A bar that has not closed is never stored; a bar that the venue did not give is absent, not "no trades".
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import orjson

from quantga.errors import BadBars, ConfigError, Denied, RateLimited, Unknown, VenueError
from quantga.store.ingest import metadata
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.ingest.times import iso
from quantga.store.lake import Lake
from quantga.store.manifest import Manifest, head
from quantga.store.series import Ints, Series, read_series
from quantga.store.symbols import INTERVALS, interval_ms
from quantga.streams import dice
from quantga.venue.market import Candle, FundingRate
from quantga.venue.protocol import Venue

KEPT = 5_000
"""Candles of an interval that the venue has."""
PAGE = 1_250
"""Candles asked for at once."""
FIRST_FUNDING = 1_683_849_600_000
"""2023-05-12, before the venue's first funding."""
_HOUR = 3_600_000
_LATE = 2_000  # milliseconds after a bar's end until it is taken to be final
_TRIES = 6
_FIRST_TRIES = 3
_GO_ON = "what came is stored, give the same command again to go on"
_NOT_UP = "is it up, and can this machine reach it?"
_EMPTY: Ints = np.array([], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to pull. `since` is in ms UTC (0: all there is); `name` is what the venue is called in the store."""

    name: str
    coins: tuple[str, ...]
    interval: str
    since: int = 0
    replace: bool = False


@dataclass(slots=True)
class Pulled:
    """What came: `dataset` is the newest one, `absent` counts bars that the venue did not give.

    `of_import` are the notes of the last import, which speaks of the whole dataset.
    """

    dataset: Manifest | None = None
    bars: dict[str, int] = field(default_factory=dict)
    fundings: dict[str, int] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    of_import: list[str] = field(default_factory=list)
    metadata_new: bool = False


async def pull(venue: Venue, lake: Lake, wanted: Wanted, say: Callable[[str], None]) -> Pulled:
    """Bring what the lake lacks of the wanted coins; `say` is told of every page.

    Raises:
        ConfigError: an unknown coin or interval, or a store that cannot be written: nothing was asked or written.
        VenueError: the venue did not answer, several times; what came until then is stored.
        BadBars: the venue gave what is no bar, or bars that differ from those stored.
    """
    if wanted.interval not in INTERVALS or wanted.interval in _NOT_AT_VENUE:
        have = ", ".join(name for name in INTERVALS if name not in _NOT_AT_VENUE)
        raise ConfigError(f"the interval {wanted.interval!r} is not one that can be pulled: {have}")
    lake.require_writable()
    job = _Job(venue, lake, wanted, say)
    meta = await job.patiently(venue.meta)
    for coin in wanted.coins:
        meta.asset(coin)
    now = (await job.patiently(venue.clock)).market
    kept = metadata.keep(lake, wanted.name, meta, now)
    job.done.metadata_new = kept.new
    for coin in wanted.coins:
        await job.coin(coin, now)
    return job.done


_NOT_AT_VENUE = frozenset({"6h"})


def missing(have: Ints, start: int, stop: int, step: int) -> list[tuple[int, int]]:
    """Return the spans [first, last] of grid times in [start, stop) that `have` lacks, the newest first.

    Spans that are close to each other are joined: asking once for a few bars too many is cheaper than asking twice.
    """
    grid = np.arange(-(-start // step) * step, stop, step, dtype=np.int64)
    lacks = grid[~np.isin(grid, have)]
    if not lacks.size:
        return []
    cuts = np.flatnonzero(np.diff(lacks) > step * PAGE // 10)
    firsts = lacks[np.concatenate([[0], cuts + 1])]
    lasts = lacks[np.concatenate([cuts, [lacks.size - 1]])]
    return [(int(first), int(last)) for first, last in zip(firsts[::-1], lasts[::-1], strict=True)]


@dataclass(slots=True)
class _Job:
    """One pull under way."""

    venue: Venue
    lake: Lake
    wanted: Wanted
    say: Callable[[str], None]
    done: Pulled = field(default_factory=Pulled)
    answered: bool = False

    async def coin(self, coin: str, now: int) -> None:
        """Pull one coin; whatever came is stored, also where the rest failed."""
        _, manifest = head(self.lake, self.wanted.name, self.wanted.interval)
        bars: dict[int, Candle] = {}
        rates: dict[int, FundingRate] = {}
        try:
            await self._candles(coin, now, _stored(self.lake, manifest, "bars", coin), bars)
            await self._fundings(coin, now, _stored(self.lake, manifest, "funding", coin), rates)
        finally:
            self._store(coin, bars, rates, manifest)

    async def _candles(self, coin: str, now: int, stored: Series | None, bars: dict[int, Candle]) -> None:
        step = interval_ms(self.wanted.interval)
        stop = (now - _LATE) // step * step  # bars that opened before have closed
        start = max(self.wanted.since, stop - KEPT * step)
        have = _EMPTY if stored is None else stored.times
        pages = list(_pages(missing(have, start, stop, step), step))
        total = sum((last - begin) // step + 1 for begin, last in pages)
        asked = 0
        for begin, last in pages:
            older = last < min(have, default=stop)
            page = await self._page(coin, begin, last, sure=older and stored is not None)
            asked += (last - begin) // step + 1
            bars |= {bar.start: bar for bar in page}
            self.say(f"{coin} {self.wanted.interval}: {asked:,} of {total:,} bars asked for, {len(bars):,} came")
            if older and not any(bar.volume for bar in page):
                break  # nobody traded yet: it was not listed, nor before
        self._trim(coin, stored, bars)
        self._count(coin, stored, bars, (start, stop))

    async def _page(self, coin: str, begin: int, last: int, *, sure: bool) -> list[Candle]:
        """Return the bars that open in [begin, last]; where some are absent, ask a second time (none at all: unless `sure`)."""
        step = interval_ms(self.wanted.interval)
        found: dict[int, Candle] = {}
        for _ in range(2):
            ask = partial(self.venue.candles, coin, self.wanted.interval, begin, last + step - 1)
            for bar in await self.patiently(ask):
                if bar.start % step or bar.end != bar.start + step - 1:
                    raise BadBars(
                        f"the venue gave a bar of {coin} from {iso(bar.start)} to {iso(bar.end)}: not {step} ms"
                    )
                if begin <= bar.start <= last:
                    found[bar.start] = bar
            whole = bool(found) and max(found) == last and len(found) == (last - min(found)) // step + 1
            if whole or (sure and not found):
                break
        return [found[time] for time in sorted(found)]

    def _trim(self, coin: str, stored: Series | None, bars: dict[int, Candle]) -> None:
        """Take out the bars without volume that the venue fills in from before a listing."""
        traded = [time for time, bar in bars.items() if bar.volume > 0]
        if stored is not None:
            traded.append(int(stored.times[0]))
        listed = min(traded, default=2**62)
        early = [time for time in bars if time < listed]
        for time in early:
            del bars[time]
        if early:
            self.done.notes.append(f"{coin}: left out {len(early):,} bars with volume 0 from before its listing")

    def _count(self, coin: str, stored: Series | None, bars: dict[int, Candle], span: tuple[int, int]) -> None:
        """Count the bars that the venue did not give between the first one and the last that closed."""
        step = interval_ms(self.wanted.interval)
        have = np.union1d(_EMPTY if stored is None else stored.times, np.array(list(bars), dtype=np.int64))
        have = have[have >= span[0]]
        if not have.size:
            self.done.absent[coin] = 0
            self.done.notes.append(
                f"{coin}: the venue gave no bar at all: is it traded, and --since not in the future?"
            )
            return
        absent = (span[1] - int(have[0])) // step - have.size
        self.done.absent[coin] = absent
        if absent:
            self.done.notes.append(
                f"{coin}: the venue gave no bar for {absent:,} closed intervals, asked twice: they are stored as absent, "
                "which does not mean that nobody traded"
            )

    async def _fundings(self, coin: str, now: int, stored: Series | None, rates: dict[int, FundingRate]) -> None:
        start = max(self.wanted.since, FIRST_FUNDING)
        spans = [(start, now)]
        if stored is not None:
            spans = [(start, int(stored.times[0]) - 1), (int(stored.times[-1]) + 1, now)]
        for first, last in spans:
            await self._funding_span(coin, first, last, rates)

    async def _funding_span(self, coin: str, at: int, last: int, rates: dict[int, FundingRate]) -> None:
        """Ask page after page, each from the rate after the last one on, until none can be left."""
        while at <= last:
            page = await self.patiently(partial(self.venue.fundings, coin, at, last))
            fresh = {rate.time: rate for rate in page if at <= rate.time <= last}
            if not fresh:
                return
            rates |= fresh
            self.say(f"{coin} funding: {len(rates):,} rates, as far as {iso(max(fresh))[:10]}")
            at = max(fresh) + _HOUR - _LATE

    def _store(
        self, coin: str, bars: dict[int, Candle], rates: dict[int, FundingRate], manifest: Manifest | None
    ) -> None:
        """Hand what came to the importer, which checks, merges, locks and commits it."""
        self.done.bars[coin], self.done.fundings[coin] = len(bars), len(rates)
        known = manifest is not None and coin in manifest.symbols
        if known and not bars and not rates:
            self.done.dataset = manifest
            return
        if not bars and not known:
            return
        rows = _beside(bars, _stored(self.lake, manifest, "bars", coin))
        with tempfile.TemporaryDirectory(prefix="quantga-pull-") as folder:
            files = [
                _write(Path(folder) / "candles.json", rows),
                _write(Path(folder) / "fundings.json", [_funding_row(rates[time]) for time in sorted(rates)]),
            ]
            told = Told(venue=self.wanted.name)
            imported = import_files(self.lake, [f for f in files if f], told, overwrite=self.wanted.replace)
        self.done.dataset = next(one for one in imported.datasets if one.interval == self.wanted.interval)
        self.done.of_import = [note for note in imported.notes if folder not in note]

    async def patiently[T](self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask again where the venue did not answer: a question changes nothing."""
        pauses = dice(0, "pull", self.wanted.name)
        tries = _TRIES if self.answered else min(_TRIES, _FIRST_TRIES)
        for attempt in range(1, tries + 1):
            try:
                answer = await call()
            except (Unknown, RateLimited, Denied) as error:
                if attempt == tries:
                    raise type(error)(f"{error}: {_GO_ON if self.answered else _NOT_UP}") from error
                pause = min(20.0, 0.5 * 2**attempt) * pauses.uniform(0.5, 1.0)
                self.say(f"no answer, trying again in {pause:.1f} s ({_short(error)})")
                await asyncio.sleep(pause)
            else:
                self.answered = True
                return answer
        raise AssertionError("unreachable")


def _short(error: VenueError) -> str:
    return str(error)[:120]


def _stored(lake: Lake, manifest: Manifest | None, kind: str, coin: str) -> Series | None:
    """Return what the lake has of a coin; None: nothing."""
    entries = manifest.entries(kind, coin) if manifest is not None else []
    return read_series(lake, entries) if entries else None


def _write(path: Path, rows: Sequence[dict[str, object]]) -> Path | None:
    if not rows:
        return None
    path.write_bytes(orjson.dumps(rows))
    return path


def _beside(bars: dict[int, Candle], stored: Series | None) -> list[dict[str, object]]:
    """Return the candles in the venue's form, with the stored ones that lie between them: their spacing tells the interval."""
    rows = {time: _candle_row(bar) for time, bar in bars.items()}
    if stored is not None and bars:
        first = next(iter(bars.values()))
        between = np.flatnonzero((stored.times >= min(bars)) & (stored.times <= max(bars)))
        for at in between.tolist():
            values = {name[0]: float(stored.columns[name][at]) for name in ("open", "high", "low", "close", "volume")}
            time = int(stored.times[at])
            rows.setdefault(time, {"s": first.coin, "i": first.interval, "t": time, **values})
    return [rows[time] for time in sorted(rows)]


def _candle_row(bar: Candle) -> dict[str, object]:
    prices = {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close, "v": bar.volume}
    return {"s": bar.coin, "i": bar.interval, "t": bar.start, **prices}


def _pages(spans: Sequence[tuple[int, int]], step: int) -> Iterator[tuple[int, int]]:
    """Give the pages [begin, last] of some spans, the newest first."""
    for first, last in spans:
        end = last
        while end >= first:
            begin = max(first, end - (PAGE - 1) * step)
            yield begin, end
            end = begin - step


def _funding_row(rate: FundingRate) -> dict[str, object]:
    row: dict[str, object] = {"coin": rate.coin, "time": rate.time, "fundingRate": rate.rate}
    return row if rate.premium != rate.premium else row | {"premium": rate.premium}
