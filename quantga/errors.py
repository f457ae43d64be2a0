"""Every error quantga raises on purpose, and what its caller should do.

    QuantgaError
    ├─ ConfigError          before anything starts: mend the setting or the argument       exit 2
    ├─ ProgramError         a text that is no program, or needs a column that is not there  exit 2
    ├─ DataError            stop; never fill with neutral values                            exit 2
    │  ├─ BadBars           a file's content is wrong: file, row, reason
    │  ├─ MissingBars       the bars asked for are not in the lake
    │  ├─ LockedBars        the bars asked for belong to the locked holdout
    │  └─ ManifestMismatch  stored bytes differ from what the manifest promises
    ├─ StoreError           the lake or the catalog failed                                  exit 1
    │  ├─ Conflict          the path exists with other bytes: nothing was written
    │  └─ Transient         try again: the store did not answer in time
    ├─ ClusterError         Ray could not be reached or lost the work for good              exit 1
    └─ VenueError           the venue                                                       exit 1
       ├─ Rejected          it said no: record, carry on
       ├─ Unknown           no answer: reconcile before the next order
       ├─ RateLimited       wait; for orders treat as Unknown
       └─ Denied            our own limits said no: no order left the process

Arguments are positional only, so that an exception survives pickling between processes.
"""

from __future__ import annotations


class QuantgaError(Exception):
    """Base of all; `exit_code` is what the command line returns."""

    exit_code = 1


class ConfigError(QuantgaError):
    """A setting or an argument is wrong."""

    exit_code = 2


class ProgramError(QuantgaError):
    """A text is no program, or a program needs what the market lacks."""

    exit_code = 2


class DataError(QuantgaError):
    """Data are missing or wrong."""

    exit_code = 2


class BadBars(DataError):
    """A file of bars, funding or features has wrong content."""


class MissingBars(DataError):
    """The bars asked for are not in the lake."""


class LockedBars(DataError):
    """The bars asked for belong to the locked holdout."""


class ManifestMismatch(DataError):
    """Stored bytes are not those the manifest names."""


class StoreError(QuantgaError):
    """The lake or the catalog failed."""


class Conflict(StoreError):
    """The path already holds other bytes."""


class Transient(StoreError):
    """The store did not answer; the same call may succeed later."""


class ClusterError(QuantgaError):
    """Ray could not be reached, or lost the work for good."""


class VenueError(QuantgaError):
    """The venue, or the way to it, failed."""


class Rejected(VenueError):
    """The venue said no."""


class Unknown(VenueError):
    """No usable answer: the order may live or not."""


class RateLimited(VenueError):
    """The venue asks to wait."""


class Denied(VenueError):
    """Our own limits said no."""
