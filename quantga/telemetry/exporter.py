"""What Prometheus scrapes of the service: requests as they are counted, everything else as it is when it is asked."""

from __future__ import annotations

import shutil
from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from quantga.live.orders import Phase, Purpose
from quantga.live.places import Account
from quantga.service.service import Service
from quantga.service.sessions import Told, positions, risk
from quantga.store.strategies import strategies
from quantga.telemetry.exported import BY_NAME, RUNS, SESSIONS

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
_STREAM = "/events"

type Series = Iterator[tuple[str, tuple[str, ...], float]]


class Exporter:
    """The registry of one service."""

    def __init__(self, service: Service) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter, and nobody asks
        self._registry = CollectorRegistry()
        requests, seconds = BY_NAME["quantga_http_requests"], BY_NAME["quantga_http_seconds"]
        self._requests = Counter(requests.name, requests.help, requests.labels, registry=self._registry)
        self._seconds = Histogram(seconds.name, seconds.help, seconds.labels, registry=self._registry, buckets=_BUCKETS)
        self._registry.register(_State(service))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; `route` is a template, or empty where no route was reached."""
        known = route or "none"
        self._requests.labels(method if method in _METHODS else "other", known, str(status)).inc()
        if not known.endswith(_STREAM):
            self._seconds.labels(known).observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self._registry)


class _State(Collector):
    """Reads what a service knows, when it is scraped."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return every gauge with its series."""
        families: dict[str, GaugeMetricFamily] = {}
        for part in (_service, _data, _runs, _belief, _trading):
            for name, labels, value in part(self._service):
                known = BY_NAME[name]
                family = families.setdefault(name, GaugeMetricFamily(name, known.help, labels=known.labels))
                family.add_metric(labels, value)
        return families.values()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: names are not claimed before the first scrape."""
        return ()


def _service(service: Service) -> Series:
    tokens = service.guard.tokens
    states = Counts(token.state(tokens.clock()) for token in tokens.all())
    for state in ("active", "expired", "revoked"):
        yield "quantga_tokens", (state,), states[state]
    yield "quantga_streams", (), service.streams
    yield "quantga_catalog_timestamp_seconds", (), service.archive.edition.stamp / 1e9
    if isinstance(service.lake.root, Path):
        yield "quantga_store_free_bytes", (), shutil.disk_usage(service.lake.root).free


def _data(service: Service) -> Series:
    sql = (
        'SELECT venue, "interval", epoch_ms(max("end")) AS ends, sum(missing)::BIGINT AS missing '
        "FROM datasets WHERE newest GROUP BY ALL"
    )
    for row in service.archive.edition.rows(sql):
        where = (row["venue"], row["interval"])
        yield "quantga_dataset_end_timestamp_seconds", where, row["ends"] / 1000
        yield "quantga_dataset_missing_bars", where, row["missing"] or 0


def _runs(service: Service) -> Series:
    rows = service.archive.edition.runs.values()
    states = Counts(row["state"] for row in rows)
    for state in ("finished", "unfinished"):
        yield "quantga_runs", (state,), states[state]
    going = sorted((row for row in rows if row["state"] == "unfinished"), key=lambda row: (-row["ledger"], row["run"]))
    for row in going[:RUNS]:
        run = (row["run"],)
        generations = service.progress.of(row["run"])
        yield "quantga_run_generation", run, len(generations)
        if row["generations"]:
            yield "quantga_run_generations", run, row["generations"]
        if generations:
            yield from _last(run, generations[-1])


def _last(run: tuple[str], last: dict[str, Any]) -> Series:
    yield "quantga_run_trials", run, last["trials"]
    yield "quantga_run_diversity_ratio", run, last["distinct"] / max(1, last["asked"])
    best = [score for score in last["best"] if score is not None]
    if best:
        yield "quantga_run_best_score", run, max(best)
    if last["at"] is not None:
        yield "quantga_run_last_generation_timestamp_seconds", run, last["at"] / 1000


def _belief(service: Service) -> Series:
    book = service.ledger.now()
    yield "quantga_ledger_rows", (), len(book.rows)
    yield "quantga_ledger_sound", (), not book.faults
    yield "quantga_strategies", (), len(strategies(service.lake))
    for decision, count in Counts(service.archive.validated.values()).items():
        yield "quantga_validations", (decision,), count


def _trading(service: Service) -> Series:
    seen: set[str] = set()
    for told in service.sessions.all():
        if told.folder not in seen and len(seen) < SESSIONS:
            seen.add(told.folder)
            yield from _session(service, told)


def _session(service: Service, told: Told) -> Series:
    name, state, stands = (told.id,), told.state, risk(told)
    yield "quantga_session_equity_usdc", name, stands["equity"]
    yield "quantga_session_daily_loss_ratio", name, stands["daily_loss"]
    yield "quantga_session_drawdown_ratio", name, stands["drawdown"]
    yield "quantga_session_halts", name, len(stands["halts"])
    held = {row["symbol"] for row in positions(told)}
    stops = {
        one.intent.request.coin
        for one in state.orders.values()
        if one.intent.purpose is Purpose.STOP and one.phase is Phase.RESTING
    }
    yield "quantga_session_positions", name, len(held)
    yield "quantga_session_positions_without_stop", name, len(held - stops)
    phases = Counts(one.phase for one in state.orders.values())
    for phase in Phase:
        yield "quantga_session_orders", (told.id, str(phase)), phases[phase]
    yield "quantga_session_journal_timestamp_seconds", name, told.last / 1000
    network, _, address = told.folder.partition("-")
    sign = Account.of(service.lake, network, address).beaten() or {}
    if sign.get("session") == told.id and not sign.get("leaving"):
        yield "quantga_session_heartbeat_timestamp_seconds", name, float(sign.get("at", 0)) / 1000
