"""The metrics that the service exports: one table, which the exporter, the document and the tests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RUNS = 20
SESSIONS = 10
"""At most so many runs (unfinished ones, the newest) and sessions (the newest of each account) have series."""


@dataclass(frozen=True)
class Metric:
    """One metric. most: how many series it can have."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    labels: tuple[str, ...]
    most: str
    help: str


_R, _S = f"{RUNS} runs", f"{SESSIONS} sessions"
METRICS = (
    Metric("quantga_http_requests", "counter", "requests", ("method", "route", "status"), "routes × statuses", "Requests answered."),
    Metric("quantga_http_seconds", "histogram", "seconds", ("route",), "routes × 12", "Time until an answer began; streams are left out."),
    Metric("quantga_streams", "gauge", "streams", (), "1", "Browsers that follow a run."),
    Metric("quantga_tokens", "gauge", "tokens", ("state",), "3", "Tokens that are active, expired, revoked."),
    Metric("quantga_catalog_timestamp_seconds", "gauge", "s since 1970", (), "1", "When the catalog that is served was built."),
    Metric("quantga_store_free_bytes", "gauge", "bytes", (), "1", "Free space where the store's folder is; absent for a bucket."),
    Metric("quantga_dataset_end_timestamp_seconds", "gauge", "s since 1970", ("venue", "interval"), "venues × intervals", "Close of the last bar of the newest dataset."),
    Metric("quantga_dataset_missing_bars", "gauge", "bars", ("venue", "interval"), "venues × intervals", "Absent bars of the newest dataset."),
    Metric("quantga_runs", "gauge", "runs", ("state",), "2", "Runs that are finished, unfinished."),
    Metric("quantga_run_generation", "gauge", "generations", ("run",), _R, "Committed generations."),
    Metric("quantga_run_generations", "gauge", "generations", ("run",), _R, "Generations that it will have."),
    Metric("quantga_run_trials", "gauge", "programs", ("run",), _R, "Distinct programs appraised."),
    Metric("quantga_run_best_score", "gauge", "score", ("run",), _R, "Best score that lives; in-sample."),
    Metric("quantga_run_diversity_ratio", "gauge", "0 to 1", ("run",), _R, "Of what the last generation asked for, the share that behaves unlike."),
    Metric("quantga_run_last_generation_timestamp_seconds", "gauge", "s since 1970", ("run",), _R, "When the last generation was committed; absent for a bucket."),
    Metric("quantga_ledger_rows", "gauge", "rows", (), "1", "Rows of the ledger of trials."),
    Metric("quantga_ledger_sound", "gauge", "0 or 1", (), "1", "Whether its chain holds."),
    Metric("quantga_validations", "gauge", "validations", ("decision",), "4", "Validations by what they decided."),
    Metric("quantga_strategies", "gauge", "strategies", (), "1", "Promoted strategies."),
    Metric("quantga_session_equity_usdc", "gauge", "USDC", ("session",), _S, "Equity of the account."),
    Metric("quantga_session_daily_loss_ratio", "gauge", "share", ("session",), _S, "Loss since 00:00 UTC; negative is a gain."),
    Metric("quantga_session_drawdown_ratio", "gauge", "share", ("session",), _S, "Distance from the peak equity."),
    Metric("quantga_session_positions", "gauge", "positions", ("session",), _S, "Symbols held."),
    Metric("quantga_session_positions_without_stop", "gauge", "positions", ("session",), _S, "Symbols held for which the journal knows no stop that rests."),
    Metric("quantga_session_halts", "gauge", "halts", ("session",), _S, "Symbols halted, and the account."),
    Metric("quantga_session_orders", "gauge", "orders", ("session", "phase"), f"{_S} × 7", "Orders that the session still knows, by what is known of them."),
    Metric("quantga_session_journal_timestamp_seconds", "gauge", "s since 1970", ("session",), _S, "Time of the journal's last entry."),
    Metric("quantga_session_heartbeat_timestamp_seconds", "gauge", "s since 1970", ("session",), _S, "The trader's last sign of life; absent where it left on purpose."),
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in METRICS}
