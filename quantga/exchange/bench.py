"""How fast the exchange is: signed actions a second, each checked and on disk before its answer, over real HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from eth_account import Account as Key
from hyperliquid.utils.signing import sign_l1_action

from quantga.errors import VenueError

Json = dict[str, Any]
BATCH = 40
CONNECTIONS = 32
PER_ACCOUNT = 20
"""Batches per account: 800 resting orders, below the venue's thousand."""
BASE = 60_000
WAIT = 300.0


@dataclass(frozen=True, slots=True)
class Speed:
    """One measurement: `actions` requests of `orders` orders each in `seconds`; waits in milliseconds.

    `actions_per_cpu_second` counts the exchange's own processor time, which other work on the machine does not lengthen; None
    where the system does not tell it.
    """

    actions: int
    orders: int
    seconds: float
    actions_per_second: float
    orders_per_second: float
    actions_per_cpu_second: float | None
    median_ms: float
    p99_ms: float
    refused: int


def write_market(folder: Path) -> None:
    """A flat BTC market of one-minute bars."""
    count = 600
    columns: dict[str, Any] = {"ts": 1_735_689_600_000 + np.arange(count) * 60_000}
    for name, value in (("open", 80_000), ("high", 80_010), ("low", 79_990), ("close", 80_000), ("volume", 10)):
        columns[name] = np.full(count, float(value))
    folder.mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "BTC.parquet")


def signed_bodies(keys: list[Any], per_key: int, batch: int) -> list[bytes]:
    """Bodies of `/exchange` with `batch` resting orders each, signed before anything is measured."""
    bodies, nonce = [], time.time_ns() // 1_000_000
    for k in range(per_key):
        for key in keys:
            nonce += 1
            rows = [
                {
                    "a": 0,
                    "b": True,
                    "p": str(BASE + k * batch + j),
                    "s": "0.001",
                    "r": False,
                    "t": {"limit": {"tif": "Gtc"}},
                }
                for j in range(batch)
            ]
            action = {"type": "order", "orders": rows, "grouping": "na"}
            signature = sign_l1_action(key, action, None, nonce, None, False)
            bodies.append(
                orjson.dumps(
                    {
                        "action": action,
                        "nonce": nonce,
                        "signature": signature,
                        "vaultAddress": None,
                        "expiresAfter": None,
                    }
                )
            )
    return bodies


async def _pour(url: str, bodies: list[bytes]) -> tuple[float, list[float], int]:
    waits: list[float] = []
    refused = 0
    queue = iter(bodies)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

        async def worker() -> None:
            nonlocal refused
            for body in queue:
                began = time.perf_counter()
                async with session.post(f"{url}/exchange", data=body, headers=headers) as answer:
                    reply = orjson.loads(await answer.read())
                waits.append(time.perf_counter() - began)
                statuses = reply["response"]["data"]["statuses"] if reply["status"] == "ok" else [{"error": reply}]
                refused += any("error" in status for status in statuses)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
        return time.perf_counter() - began, waits, refused


def _processor(pid: int) -> float | None:
    """Seconds of processor time that a process has had."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return None
    fields = path.read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _speed(url: str, pid: int, bodies: list[bytes], batch: int) -> Speed:
    before = _processor(pid)
    seconds, waits, refused = asyncio.run(_pour(url, bodies))
    after = _processor(pid)
    own = len(bodies) / (after - before) if before is not None and after is not None else None
    ordered = sorted(waits)
    rate = len(bodies) / seconds
    median, high = ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000
    return Speed(len(bodies), batch, seconds, rate, rate * batch, own, median, high, refused)


def _answers(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def measure(singles: int = 3000, batches: int = 500) -> Json:
    """Start an exchange in its own process and measure it with single orders, then with batches of 40.

    Raises:
        VenueError: it does not start.
    """
    keys = [Key.create() for _ in range(max(4, batches // PER_ACCOUNT))]
    single_keys = [Key.create() for _ in range(max(4, singles // 500))]
    with tempfile.TemporaryDirectory() as folder:
        write_market(Path(folder) / "bars")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            sys.executable,
            "-c",
            "from quantga.cli import main; main()",
            "exchange",
            "--port",
            str(port),
            "--no-limits",
        ]
        command += ["--state", f"{folder}/state", "--replay", f"{folder}/bars"]
        command += [f"--account={key.address}=10000000" for key in [*keys, *single_keys]]
        url = f"http://127.0.0.1:{port}"
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603 -- our own interpreter
            try:
                deadline = time.monotonic() + WAIT
                while not _answers(url):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise VenueError("the exchange to be measured does not start")
                    time.sleep(0.05)
                one = _speed(url, process.pid, signed_bodies(single_keys, singles // len(single_keys), 1), 1)
                forty = _speed(url, process.pid, signed_bodies(keys, batches // len(keys), BATCH), BATCH)
            finally:
                process.terminate()
    return {"single": asdict(one), "batches": asdict(forty), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
