"""Made-up bars for the tests of the store."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_704_067_200_000  # 2024-01-01 00:00 UTC


def candles(n, start=START, step=HOUR, seed=1):
    """Return columns of `n` sound bars: ts, open, high, low, close, volume."""
    draw = np.random.default_rng(seed)
    close = 100 * np.cumprod(1 + draw.normal(0, 0.01, n))
    opened = np.concatenate([[100.0], close[:-1]])
    return {
        "ts": start + step * np.arange(n, dtype=np.int64),
        "open": opened,
        "high": np.maximum(opened, close) * 1.001,
        "low": np.minimum(opened, close) * 0.999,
        "close": close,
        "volume": draw.uniform(1, 2, n),
    }


def rows(columns, keep):
    return {name: values[keep] for name, values in columns.items()}


def write(path, columns):
    """Write columns as the kind of file that the name says; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".feather":
        import pyarrow.feather

        pyarrow.feather.write_feather(table, str(path))
    else:
        lines = [",".join(table.column_names)]
        lines += [",".join(str(value) for value in row.values()) for row in table.to_pylist()]
        path.write_text("\n".join(lines) + "\n")
    return path


def tree(root):
    """Return every file below `root` with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
