"""The ledger of trials and looks: append-only, each row a write-once file that carries the digest of the one before.

What a search finds means less the more was tried on the same bars, by whomever and in whichever run; so trials and looks
are charged here to spans of an asset's history, and nothing in quantga can take a row away.

What the chain shows: a row that was changed, removed from the middle, put in or moved. What it cannot show by itself: the
last rows removed, or everything written anew by somebody who computes digests as we do. Runs and promoted strategies
name the row at which they stood (`Head`), and `verify` holds the chain against these: to go unseen, they have to be
removed too. A head that is kept elsewhere (a report, a message) closes that gap.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from quantga.errors import ConfigError, Conflict, ManifestMismatch, MissingBars, StoreError, Transient
from quantga.lang.bars import Bars
from quantga.store.ingest.times import iso
from quantga.store.lake import Lake, sha256, to_json
from quantga.store.manifest import Manifest
from quantga.store.market import load_holdout, select
from quantga.trust.holdout import Look, Permission, Search, Span, may_look

FOLDER = "ledger"
_ATTEMPTS = 200
_ANCHORED = ("runs", "strategies")

type Kind = Literal["search", "trials", "look", "answer"]
"""A search begins; programs were appraised; a holdout is opened; what it answered."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SpanRow(_Record):
    """A `Span` as it is stored."""

    asset: str
    interval: str
    start: int
    end: int


class Entry(_Record):
    """What is to be recorded.

    key: names the entry once and for all (`<run>/search`, `<run>/gen=0012`): appending it again changes nothing.
    trials: programs appraised. level, p: of a look and of its answer. note: a sentence.
    """

    kind: Kind
    key: str
    run: str
    spans: tuple[SpanRow, ...]
    trials: int = 0
    level: float = 0.0
    p: float | None = None
    note: str = ""


class Row(_Record):
    """One entry in its place: `previous` is the SHA-256 of the file before, `nonce` tells equal entries apart."""

    format: Literal[1] = 1
    number: int
    previous: str
    at: int
    nonce: str
    entry: Entry

    def to_bytes(self) -> bytes:
        """Return the row as canonical JSON."""
        return to_json(self.model_dump(mode="json"))

    @property
    def head(self) -> Head:
        """How far the ledger had got when this was its last row."""
        return Head(self.number, sha256(self.to_bytes()))


@dataclass(frozen=True, slots=True)
class Head:
    """How far the ledger has got: the last row's number (0: none) and the SHA-256 of its file."""

    number: int
    digest: str

    @property
    def record(self) -> dict[str, int | str]:
        """What a run or a strategy writes under the key `ledger`, for `verify` to hold the chain against."""
        return {"number": self.number, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class History:
    """What was tried before on the bars of some spans: programs, searches, looks, and how to say it."""

    trials: int
    searches: int
    looks: int
    words: str


def entry(kind: Kind, key: str, run: str, spans: Sequence[Span], **more: float | str | None) -> Entry:
    """Return an entry; ConfigError where it names no span or a number that is none."""
    rows = tuple(SpanRow(asset=s.asset, interval=s.interval, start=s.start, end=s.end) for s in spans)
    try:
        made = Entry.model_validate({"kind": kind, "key": key, "run": run, "spans": rows, **more})
    except ValidationError as error:
        raise ConfigError(f"no entry for the ledger: {error.errors()[0]['msg']}") from error
    if not rows or not key or not run or made.trials < 0:
        raise ConfigError("an entry of the ledger names its key, its run, at least one span, and no negative trials")
    return made


class Ledger:
    """The ledger of one lake; rows that were read once are kept, since they never change."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._rows: list[Row] = []
        self._head = Head(0, "")

    def rows(self) -> tuple[Row, ...]:
        """Return all rows in order.

        Raises:
            ManifestMismatch: the chain is broken; says where.
        """
        for path in self.lake.paths(FOLDER)[len(self._rows) :]:
            row, digest = _read(self.lake, path)
            _require(path, row, self._head)
            self._rows.append(row)
            self._head = Head(row.number, digest)
        return tuple(self._rows)

    def head(self) -> Head:
        """Return how far the ledger has got, to be named by what is written because of it."""
        self.rows()
        return self._head

    def append(self, made: Entry | Callable[[tuple[Row, ...]], Entry]) -> Row:
        """Write an entry as the next row and return it; an entry whose key is there already is returned as it stands.

        Args:
            made: the entry, or a function of the rows before it that returns it or refuses: it is asked again whenever
                another writer was first, so that it always judges the very rows that it follows.

        Raises:
            Conflict: the key is there with another content.
            ManifestMismatch: the chain is broken.
            Transient: other writers were first every time.
        """
        for _ in range(_ATTEMPTS):
            before = self.rows()
            wanted = made if isinstance(made, Entry) else made(before)
            standing = next((row for row in before if row.entry.key == wanted.key), None)
            if standing is not None:
                if standing.entry != wanted:
                    raise Conflict(f"the ledger has another entry {wanted.key} (row {standing.number}): it stands")
                return standing
            head = self._head
            row = Row(
                number=head.number + 1,
                previous=head.digest,
                at=int(time.time() * 1000),
                nonce=secrets.token_hex(8),
                entry=wanted,
            )
            try:
                self.lake.put(_path(row.number), row.to_bytes())
            except Conflict:
                continue  # another writer won this number
            return row
        raise Transient(f"the ledger of {self.lake.root} was busy {_ATTEMPTS} times: give the command again")

    def searches(self) -> list[Search]:
        """Return every search with the programs that it appraised."""
        return _searches(self.rows())

    def looks(self) -> list[Look]:
        """Return every look, in order."""
        return _looks(self.rows())

    def history(self, spans: Sequence[Span], run: str = "", until: int | None = None) -> History:
        """Return what was tried on bars that `spans` share; a ledger without rows says that it knows nothing.

        run: whose own rows are left out. until: number of the last row that counts; None is all. A search that has begun and
        appraised nothing counts as none.
        """
        rows = self.rows()[:until]
        if not any(row.entry.run != run for row in rows):
            return History(
                0, 0, 0, "no history: this store has recorded nothing; what was tried elsewhere is not known"
            )
        found = [one for one in _searches(rows) if one.run != run and one.trials and _meet(one.spans, spans)]
        looks = [look for look in _looks(rows) if look.run != run and _meet(look.spans, spans)]
        trials = sum(search.trials for search in found)
        words = f"{trials:,} programs in {_count(len(found), 'search')} and {_count(len(looks), 'look')} at bars of these spans"
        return History(trials, len(found), len(looks), words)


def open_holdout(  # noqa: PLR0913 (what is opened, by whom, on which terms)
    ledger: Ledger,
    manifest: Manifest,
    symbols: Sequence[str],
    run: str,
    *,
    alpha: float = 0.05,
    second_look: bool = False,
    warmup: int = 0,
    since: int = 0,
) -> tuple[Row, Permission, Mapping[str, Bars]]:
    """Record a look at the locked bars of `symbols`, then return its row, its permission and the bars.

    The row is written before a bar is read: whoever sees the holdout has been counted. The same run may come again, after
    a crash: it is the same look. `since` (ms UTC) leaves out what lies before it, for new bars behind a holdout that was
    opened: see `fresh_since`; `warmup` bars before the first come along in any case, unless there are none.

    Raises:
        LockedBars: the holdout was seen before, see `quantga.trust.holdout.may_look`.
        MissingBars: a symbol is not in the dataset.
    """
    spans = holdout_spans(manifest, symbols, since)
    row, permission = record_look(ledger, spans, run, alpha, second_look=second_look)
    market = load_holdout(ledger.lake, manifest, symbols, warmup)
    first = since - warmup * manifest.interval_ms
    return row, permission, {symbol: bars.between(first, int(bars.time[-1]) + 1) for symbol, bars in market.items()}


def record_look(
    ledger: Ledger, spans: Sequence[Span], run: str, alpha: float = 0.05, *, second_look: bool = False
) -> tuple[Row, Permission]:
    """Record that a run looks at `spans`, before it does; return the row and the permission. Raises as `open_holdout`."""
    key = f"{run}/look"
    granted: list[Permission] = []

    def judged(rows: tuple[Row, ...]) -> Entry:
        permission = permitted(rows, spans, run, alpha, second_look=second_look)
        granted.append(permission)
        return entry("look", key, run, spans, level=permission.level, note=permission.words)

    row = ledger.append(judged)
    return row, granted[-1]


def permitted(
    rows: Sequence[Row], spans: Sequence[Span], run: str, alpha: float = 0.05, *, second_look: bool = False
) -> Permission:
    """Return the permission that a run has, or would have now, to look at `spans`; see `quantga.trust.holdout.may_look`."""
    key = f"{run}/look"
    mine = next((row.number for row in rows if row.entry.key == key), len(rows) + 1)
    earlier = [row for row in rows if row.number < mine]
    return may_look(spans, _looks(earlier), _searches(earlier), alpha, second_look=second_look)


def holdout_spans(manifest: Manifest, symbols: Sequence[str], since: int = 0) -> tuple[Span, ...]:
    """Return the locked part of each symbol, from `since` on (ms UTC), by base asset.

    Raises:
        MissingBars: a symbol has no bars since.
    """
    parts = [manifest.instrument(symbol) for symbol in select(manifest, symbols)]
    late = next((part for part in parts if since >= part.end), None)
    if late is not None:
        raise MissingBars(
            f"{late.symbol} has no bars after {iso(since)} UTC, where the last look ended: import newer ones"
        )
    return tuple(Span(part.base, manifest.interval, max(part.locked_from, since), part.end) for part in parts)


def fresh_since(ledger: Ledger, manifest: Manifest, symbols: Sequence[str]) -> int:
    """Return from when on (ms UTC) nobody has seen the locked bars of `symbols`: 0 if all of them are fresh."""
    spans = holdout_spans(manifest, symbols)
    seen = [span for look in ledger.looks() for span in look.spans]
    seen += [span for search in ledger.searches() for span in search.spans]
    return max((span.end for span in seen if _meet([span], spans)), default=0)


def searched_spans(manifest: Manifest, symbols: Sequence[str], start: int, end: int) -> tuple[Span, ...]:
    """Return what a search on [start, end) (ms UTC) reads of each symbol, by base asset; one without bars there is left out.

    A search that may read the holdout has it in its spans, and so that holdout never answers.
    """
    parts = [manifest.instrument(symbol) for symbol in select(manifest, symbols)]
    inside = [(part.base, max(start, part.first), min(end, part.end)) for part in parts]
    return tuple(Span(base, manifest.interval, first, last) for base, first, last in inside if first < last)


def verify(lake: Lake, heads: Iterable[Head] = ()) -> list[str]:
    """Return what is wrong with the ledger, as sentences; an empty list says that nothing can be seen to be.

    Holds against it the heads that runs and strategies of this lake name, and those given.
    """
    found: list[str] = []
    digests = {0: ""}
    before = Head(0, "")
    for path in lake.paths(FOLDER):
        try:
            row, digest = _read(lake, path)
            _require(path, row, before)
        except ManifestMismatch as error:
            found.append(str(error))
            return found  # nothing that follows a break can be trusted
        before = Head(row.number, digest)
        digests[row.number] = digest
    for where, head in [*_anchors(lake), *(("a head that was kept", head) for head in heads)]:
        if head.number not in digests:
            found.append(f"{where} names row {head.number}, and the ledger ends at {before.number}: rows were removed")
        elif digests[head.number] != head.digest:
            found.append(f"{where} names another row {head.number}: the ledger was written anew")
    return found


def _anchors(lake: Lake) -> Iterator[tuple[str, Head]]:
    for folder in _ANCHORED:
        for path in lake.paths(folder):
            if not path.endswith(".json") or path.endswith("state.json"):
                continue
            value = lake.read_json(path)
            named = value.get("ledger") if isinstance(value, dict) else None
            if (
                isinstance(named, dict)
                and isinstance(named.get("number"), int)
                and isinstance(named.get("digest"), str)
            ):
                yield path, Head(named["number"], named["digest"])


def _read(lake: Lake, path: str) -> tuple[Row, str]:
    try:
        data = lake.read(path)
    except StoreError as error:
        raise ManifestMismatch(f"the ledger's {path} cannot be read: {error}") from error
    try:
        row = Row.model_validate_json(data)
    except ValidationError as error:
        raise ManifestMismatch(f"the ledger's {path} is no row: it was changed after it was written") from error
    if row.to_bytes() != data:
        raise ManifestMismatch(f"the ledger's {path} was changed after it was written")
    return row, sha256(data)


def _require(path: str, row: Row, before: Head) -> None:
    expected = before.number + 1
    if path != _path(expected):
        raise ManifestMismatch(f"the ledger's row {expected} is missing: {path} follows row {before.number}")
    if row.number != expected:
        raise ManifestMismatch(f"the ledger's {path} holds row {row.number}: rows were moved")
    if row.previous != before.digest:
        raise ManifestMismatch(
            f"the ledger's chain is broken at row {expected}: row {before.number} is not the one that it was written after"
        )


def _path(number: int) -> str:
    return f"{FOLDER}/{number:06d}.json"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('h') else 's'}"


def spans_of(made: Entry) -> tuple[Span, ...]:
    """Return what an entry is charged to."""
    return tuple(Span(span.asset, span.interval, span.start, span.end) for span in made.spans)


def _searches(rows: Sequence[Row]) -> list[Search]:
    found: dict[str, Search] = {}
    for row in rows:
        one = row.entry
        if one.kind in ("search", "trials"):
            known = found.get(one.run, Search(one.run, (), 0))
            spans = tuple(dict.fromkeys((*known.spans, *spans_of(one))))
            found[one.run] = Search(one.run, spans, known.trials + one.trials)
    return list(found.values())


def _looks(rows: Sequence[Row]) -> list[Look]:
    return [Look(row.entry.run, spans_of(row.entry), row.entry.level) for row in rows if row.entry.kind == "look"]


def _meet(some: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(one.overlaps(other) for one in some for other in others)
