"""A dataset's manifest: which immutable files it consists of, what they hold, and what of it is locked.

The id of a dataset is the hash of its manifest, so a result that names a dataset names its bytes. Which manifest is the
newest of a venue and an interval is a numbered series of write-once heads: the writer of the next number wins.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from quantga.errors import ManifestMismatch, MissingBars
from quantga.store.lake import Lake, sha256, to_json


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Record):
    """One immutable Parquet file; `first` and `last` are keys in milliseconds, `column` is a user's column or empty."""

    kind: Literal["bars", "funding", "features"]
    symbol: str
    column: str = ""
    path: str
    sha256: str
    rows: int
    first: int
    last: int


class Gap(_Record):
    """Absent bars: the open of the first of them, and how many."""

    first: int
    bars: int


class Funding(_Record):
    """What is known of an instrument's funding: stamps, the first and the last in milliseconds."""

    stamps: int
    first: int
    last: int


class Instrument(_Record):
    """One symbol's part of a dataset; times are milliseconds UTC.

    `end` is the close of the last bar; bars that close after `locked_from` are the locked holdout. `gaps` and `missing`
    count gaps and absent bars; `longest` are the ten longest gaps. `funding` is None where none was imported.
    """

    symbol: str
    base: str
    unit: int
    rows: int
    first: int
    end: int
    locked_from: int
    gaps: int
    missing: int
    longest: tuple[Gap, ...] = ()
    funding: Funding | None = None
    columns: tuple[str, ...] = ()


class Manifest(_Record):
    """A dataset: bars of one venue and interval, with their funding and the user's columns."""

    format: Literal[1] = 1
    venue: str
    interval: str
    interval_ms: int
    instruments: tuple[Instrument, ...]
    files: tuple[FileEntry, ...]

    @property
    def id(self) -> str:
        """The dataset's id: the first 16 hex digits of the SHA-256 of the manifest."""
        return sha256(self.to_bytes())[:16]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The venue symbols, sorted."""
        return tuple(instrument.symbol for instrument in self.instruments)

    def instrument(self, symbol: str) -> Instrument:
        """Return the part of a venue symbol."""
        found = next((one for one in self.instruments if one.symbol == symbol), None)
        if found is None:
            raise MissingBars(f"no bars of {symbol} in dataset {self.id}: it has {', '.join(self.symbols)}")
        return found

    def entries(self, kind: str, symbol: str, column: str = "") -> list[FileEntry]:
        """Return the files of one series, the earliest first."""
        found = [e for e in self.files if e.kind == kind and e.symbol == symbol and e.column == column]
        return sorted(found, key=lambda entry: entry.first)

    def to_bytes(self) -> bytes:
        """Return the manifest as canonical JSON."""
        return to_json(self.model_dump(mode="json"))


def read_manifest(lake: Lake, dataset: str) -> Manifest:
    """Return the manifest of a dataset id.

    Raises:
        MissingBars: there is no such dataset.
        ManifestMismatch: the file is not what its name says.
    """
    path = f"manifests/{dataset}.json"
    if not lake.exists(path):
        raise MissingBars(f"there is no dataset {dataset} in {lake.root}: `quantga data list` shows what there is")
    try:
        manifest = Manifest.model_validate_json(lake.read(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ManifestMismatch(
            f"{lake.root}/{path} is no manifest that this version reads ({where}: {first['msg']})"
        ) from error
    if manifest.id != dataset:
        raise ManifestMismatch(f"{lake.root}/{path} was changed after it was written: restore it, or import again")
    return manifest


def heads(lake: Lake) -> list[Manifest]:
    """Return the newest dataset of every venue and interval, sorted by both."""
    found = []
    for venue in lake.folders("heads"):
        for interval in lake.folders(f"heads/{venue}"):
            paths = lake.paths(f"heads/{venue}/{interval}")
            if paths:
                found.append(_follow(lake, paths[-1]))
    return found


def head(lake: Lake, venue: str, interval: str) -> tuple[int, Manifest | None]:
    """Return the number of a venue's and interval's newest head with its dataset; 0 and None before the first."""
    paths = lake.paths(_folder(venue, interval))
    if not paths:
        return 0, None
    return int(paths[-1].rsplit("/", 1)[1].removesuffix(".json")), _follow(lake, paths[-1])


def commit(lake: Lake, manifest: Manifest, number: int) -> None:
    """Make `manifest` head `number` of its venue and interval; Conflict if another writer was first."""
    lake.put(f"manifests/{manifest.id}.json", manifest.to_bytes())
    lake.put_json(f"{_folder(manifest.venue, manifest.interval)}/{number:06d}.json", {"dataset": manifest.id})


def _folder(venue: str, interval: str) -> str:
    return f"heads/venue={venue}/interval={interval}"


def _follow(lake: Lake, path: str) -> Manifest:
    value = lake.read_json(path)
    if not isinstance(value, dict) or not isinstance(value.get("dataset"), str):
        raise ManifestMismatch(f"{lake.root}/{path} names no dataset: restore it, or delete it to go back one import")
    return read_manifest(lake, value["dataset"])
