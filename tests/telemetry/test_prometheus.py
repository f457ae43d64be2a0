"""What is exported, against its document, and against a real Prometheus with our rules and dashboards."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from quantga.telemetry.exported import METRICS, RUNS, SESSIONS
from tests.cluster.judged import evolved, store_of, validated
from tests.conftest import ROOT
from tests.service.conftest import UNFINISHED
from tests.service.serving import serving, until
from tests.service.traded import SESSION, trade

RULES = ROOT / "deploy" / "prometheus"
BOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool on this machine: apt install prometheus")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None, reason="no Prometheus on this machine: apt install prometheus"
)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A service of a store in which there is one of everything."""
    folder = tmp_path_factory.mktemp("measured")
    store = store_of(folder, 0.15)
    run = evolved(store)
    validated(store)
    half = store / "runs" / UNFINISHED
    shutil.copytree(store / "runs" / run.id / "gen=0000", half / "gen=0000")
    shutil.copy(store / "runs" / run.id / "run.json", half)
    place = store / "sessions" / f"paper-0x{'a' * 40}"
    trade(place / SESSION / "journal")
    (place / "heartbeat.json").write_text(json.dumps({"session": SESSION, "at": 1_795_000_080_000}))
    with serving(store, folder / "state") as found:
        until(lambda: found.service.archive.validated)
        found.read("/api/v1/runs")
        found.get("/api/v1/runs/nosuch")
        found.get("/api/v1/runs", None)
        yield found


def exported(one):
    return {family.name: family for family in text_string_to_metric_families(one.get("/metrics").text)}


def test_what_is_exported_is_what_is_promised(one):
    families = exported(one)
    assert {name for name in families if name.startswith("quantga_")} == {metric.name for metric in METRICS}
    for metric in METRICS:
        family = families[metric.name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), sample


def test_the_document_has_every_metric_and_no_other():
    text = (ROOT / "docs" / "metrics-exported.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(quantga_\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE
    )
    told = {
        name: (kind, unit, tuple(re.findall(r"`(\w+)`", labels)), most, what)
        for name, kind, unit, labels, most, what in rows
    }
    assert told == {m.name: (m.kind, m.unit, m.labels, m.most, m.help) for m in METRICS}


def test_series_stay_few_whatever_is_asked(one):
    for number in range(40):
        one.get(f"/api/v1/runs/nosuch{number}")
        one.get(f"/api/v1/{number}")
        one.call("FOO", f"/api/v1/runs/{number}")
    families = exported(one)
    samples = families["quantga_http_requests"].samples
    paths = set(one.read("/api/v1/openapi.json")["paths"])
    assert {sample.labels["route"] for sample in samples} <= paths | {"none", "/", "/page", "/api/v1/openapi.json"}
    assert {sample.labels["method"] for sample in samples} <= {"GET", "POST", "other"}
    assert len({s.labels["run"] for s in families["quantga_run_generation"].samples}) <= RUNS
    assert len({s.labels["session"] for s in families["quantga_session_equity_usdc"].samples}) <= SESSIONS


def test_figures_are_those_of_the_api(one):
    families = exported(one)

    def value(name, **labels):
        return next(s.value for s in families[name].samples if s.labels == labels)

    assert value("quantga_runs", state="finished") == 1
    assert value("quantga_run_generation", run=UNFINISHED) == 1
    assert value("quantga_session_equity_usdc", session=SESSION) == 9870
    assert value("quantga_session_orders", session=SESSION, phase="unknown") == 1
    assert value("quantga_session_positions_without_stop", session=SESSION) == 0
    assert value("quantga_ledger_sound") == 1
    assert value("quantga_ledger_rows") == one.read("/api/v1/ledger")["total"]
    assert one.get("/metrics", None).status_code == 401


@needs_promtool
def test_the_rules_do_what_they_say():
    for words in (("check", "rules", "quantga.rules.yml"), ("test", "rules", "quantga.rules.test.yml")):
        done = subprocess.run([PROMTOOL, *words], cwd=RULES, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    rules = yaml.safe_load((RULES / "quantga.rules.yml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    cases = yaml.safe_load((RULES / "quantga.rules.test.yml").read_text())["tests"]
    fired = {t["alertname"] for case in cases for t in case.get("alert_rule_test", ()) if t.get("exp_alerts")}
    assert fired == alerts


@needs_prometheus
def test_every_query_of_rules_and_dashboards_runs_on_a_real_prometheus(one, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shutil.copy(RULES / "quantga.rules.yml", tmp_path)
    (tmp_path / "quantga.token").write_text(one.tokens["read"])
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [one.url.removeprefix("http://")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    where = f"http://127.0.0.1:{port}"

    def ask(expression):
        told = requests.get(f"{where}/api/v1/query", params={"query": expression}, timeout=60).json()
        assert told["status"] == "success", (expression, told)
        return told["data"]["result"]

    def up():
        try:
            return ask("count_over_time(quantga_ledger_sound[5m]) > 4")
        except requests.RequestException:  # not there yet, or 503 while it starts
            return []

    command = [PROMETHEUS, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            until(up)
            rules = yaml.safe_load((RULES / "quantga.rules.yml").read_text())
            for group in rules["groups"]:
                for rule in group["rules"]:
                    ask(rule["expr"])
            assert BOARDS
            for path in BOARDS:
                for panel in json.loads(path.read_text())["panels"]:
                    for target in panel["targets"]:
                        assert until(lambda expr=target["expr"]: ask(expr)), (path.name, panel["title"])
        finally:
            server.terminate()
            server.wait(60)
