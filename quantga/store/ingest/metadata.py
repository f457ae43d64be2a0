"""What a venue's assets were at a time: one small file per change, so that an old backtest keeps its lots and tiers.

Metadata decide sizes and margin; they are checked against what was known before, because an asset that changes its
number would send orders to another market.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, ValidationError

from quantga.engine.instruments import MAX_DECIMALS, Instrument
from quantga.errors import DataError, ManifestMismatch, MissingBars
from quantga.store.ingest.times import iso
from quantga.store.lake import Lake, sha256, to_json
from quantga.store.symbols import name_of
from quantga.venue.market import Asset, MarginMode, MarginTier, Meta


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AssetRecord(_Record):
    """One asset; `tiers` are (lower bound in USDC, maximal leverage), empty where the venue did not give them."""

    coin: str
    index: int
    size_decimals: int
    max_leverage: int
    margin_mode: MarginMode
    delisted: bool
    tiers: tuple[tuple[str, int], ...]


class Snapshot(_Record):
    """The assets of a venue from `recorded` (ms UTC, the venue's clock) on, in the order of their numbers."""

    format: int = 1
    venue: str
    recorded: int
    assets: tuple[AssetRecord, ...]

    def meta(self) -> Meta:
        """Return the assets as the venue's client has them."""
        return Meta(tuple(_asset(row) for row in self.assets))

    def instruments(self) -> tuple[Instrument, ...]:
        """Return what the ledger needs of the assets whose margin is known, by base asset."""
        return tuple(
            Instrument(name_of(row.coin).base, row.size_decimals, tuple((float(low), most) for low, most in row.tiers))
            for row in self.assets
            if row.tiers and row.size_decimals <= MAX_DECIMALS
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of metadata: the snapshot that now stands, and whether it is a new one."""

    snapshot: Snapshot
    new: bool


def keep(lake: Lake, venue: str, meta: Meta, recorded: int) -> Kept:
    """Write the assets as they were at `recorded`, unless that is what stands already.

    Raises:
        DataError: an asset of before is gone or has another number: something is wrong with the venue, or it is another.
    """
    rows = tuple(_row(asset) for asset in meta.assets)
    paths = lake.paths(_folder(venue))
    if paths:
        last = _read(lake, paths[-1])
        _require_same_numbers(last, rows, venue)
        if last.assets == rows:
            return Kept(last, new=False)
        recorded = max(recorded, last.recorded + 1)
    snapshot = Snapshot(venue=venue, recorded=recorded, assets=rows)
    data = to_json(snapshot.model_dump(mode="json"))
    lake.put(f"{_folder(venue)}/{recorded:014d}-{sha256(data)[:12]}.json", data)
    return Kept(snapshot, new=True)


def metadata_at(lake: Lake, venue: str, time: int) -> Snapshot:
    """Return the assets as they were known at `time` (ms UTC).

    Raises:
        MissingBars: none were recorded at or before that time.
    """
    paths = [path for path in lake.paths(_folder(venue)) if _recorded(path) <= time]
    if not paths:
        raise MissingBars(
            f"the store knows no metadata of {venue} at {iso(time)}: `quantga data pull` records them from now on"
        )
    return _read(lake, paths[-1])


def _folder(venue: str) -> str:
    return f"metadata/venue={venue}"


def _recorded(path: str) -> int:
    return int(path.rsplit("/", 1)[1].partition("-")[0])


def _read(lake: Lake, path: str) -> Snapshot:
    data = lake.read(path)
    if sha256(data)[:12] not in path:
        raise ManifestMismatch(f"{lake.where(path)} was changed after it was written: restore it")
    try:
        return Snapshot.model_validate_json(data)
    except ValidationError as error:
        raise ManifestMismatch(f"{lake.where(path)} is nothing that this version reads: {error.errors()[0]}") from error


def _require_same_numbers(last: Snapshot, rows: tuple[AssetRecord, ...], venue: str) -> None:
    now = {row.coin: row.index for row in rows}
    moved = [row.coin for row in last.assets if now.get(row.coin) != row.index]
    if moved:
        raise DataError(
            f"{venue} numbers its assets in another way than on {iso(last.recorded)} ({', '.join(moved[:5])}): a venue "
            "never does that, so this is another network or a broken answer; use another --store for another network"
        )


def _row(asset: Asset) -> AssetRecord:
    return AssetRecord(
        coin=asset.coin,
        index=asset.index,
        size_decimals=asset.size_decimals,
        max_leverage=asset.max_leverage,
        margin_mode=asset.margin_mode,
        delisted=asset.delisted,
        tiers=tuple((str(tier.lower), tier.max_leverage) for tier in asset.tiers),
    )


def _asset(row: AssetRecord) -> Asset:
    tiers = tuple(MarginTier(Decimal(lower), most) for lower, most in row.tiers)
    return Asset(row.coin, row.index, row.size_decimals, row.max_leverage, tiers, row.margin_mode, row.delisted)
