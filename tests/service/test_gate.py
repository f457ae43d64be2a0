"""Who gets in: every route with every scope, by every door; and what each answer carries."""

from __future__ import annotations

import json
import re

import pytest
import requests

from quantga.service.limits import Buckets, Pace
from tests.service.serving import serving

NEEDS = {"get": "read", "post": "research"}
"""What a method of a route needs, unless TRADE says otherwise."""
TRADE = re.compile(r"/(halt|flatten|resume)$")


def routes(served):
    """Return (method, path with parameters filled in, scope needed) of every route that the service has."""
    spec = served.read("/api/v1/openapi.json")
    filled = {
        "run": "nosuch",
        "program": "abcd",
        "dataset": "0" * 16,
        "strategy": "0" * 12,
        "session": "nosuch",
        "job": "nosuch",
    }
    found = []
    for path, methods in spec["paths"].items():
        for method in methods:
            if path != "/health":
                need = "trade" if TRADE.search(path) else NEEDS[method]
                found.append((method.upper(), path.format(**filled), need))
    return [*found, ("GET", "/", "read"), ("GET", "/api/v1/openapi.json", "read"), ("GET", "/page/index.html", "read")]


def test_every_route_and_scope(served):
    for method, path, need in routes(served):
        assert served.call(method, path, None).status_code == 401, path
        forged = {"authorization": "Bearer qga_00000000_" + "A" * 43}
        assert served.call(method, path, None, headers=forged).status_code == 401, path
        for scope in ("read", "research", "trade"):
            status = served.call(method, path, scope).status_code
            permitted = need in ("read", scope)
            assert (status != 403) == permitted, (method, path, scope, status)
            assert status not in (401, 500), (method, path, scope, status)


def test_the_description_has_every_route_and_says_that_it_is_shut(served):
    app_routes = set()
    for path, methods in served.read("/api/v1/openapi.json")["paths"].items():
        for told in methods.values():
            app_routes.add(path)
            if path != "/health":
                assert told["security"], path
                assert {"401", "403", "429"} <= set(told["responses"]), path
    assert {"/health", "/api/v1/runs", "/api/v1/ledger"} <= app_routes


def test_health_is_open_and_says_nothing_else(served):
    answer = served.get("/health", None)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "path",
    [
        "/page/app.js",
        "/api/v1/nothing",
        "/health/",
        "//health",
        "/health/../api/v1/runs",
        "/HEALTH",
        "/api/v1/runs;/health",
        "/page/../../tokens.json",
    ],
)
def test_no_way_around(served, path):
    answer = served.get(path, None)
    assert answer.status_code in (401, 404), (path, answer.status_code)
    assert answer.status_code == 401 or path == "/health/"


def test_another_name_another_origin_and_another_site_are_refused(served):
    assert served.get("/api/v1/runs", headers={"host": "evil.example"}).status_code == 421
    assert served.get("/health", None, headers={"host": "evil.example"}).status_code == 421
    for origin in ("http://evil.example", "null", "https://127.0.0.1", served.url.replace("http", "https")):
        assert served.get("/api/v1/runs", headers={"origin": origin}).status_code == 403, origin
    assert served.get("/api/v1/runs", headers={"origin": served.url}).status_code == 200
    crossed = served.call(
        "POST", "/login", None, headers={"sec-fetch-site": "cross-site"}, data={"token": served.tokens["read"]}
    )
    assert crossed.status_code == 403
    answer = served.get("/api/v1/runs", headers={"origin": served.url})
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_every_answer_is_closed_in(served):
    for path, scope in (
        ("/", None),
        ("/health", None),
        ("/api/v1/runs", "read"),
        ("/", "read"),
        ("/api/v1/nothing", "read"),
    ):
        headers = served.get(path, scope).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")
        assert "server" not in {name.lower() for name in headers}


def test_a_browser_logs_in_with_a_cookie_that_no_script_reads(served):
    page = served.get("/", None)
    assert (page.status_code, "<form" in page.text, "<script" in page.text) == (401, True, False)
    wrong = served.call("POST", "/login", None, data={"token": "qga_00000000_wrong"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    right = served.call("POST", "/login", None, data={"token": served.tokens["read"]}, headers={"origin": served.url})
    cookie = right.headers["set-cookie"]
    assert right.status_code == 303
    assert re.search(r"^quantga=[\w-]{43}; HttpOnly; Max-Age=43200; Path=/; SameSite=strict$", cookie), cookie
    assert served.tokens["read"].split("_")[2] not in cookie
    held = {"cookie": cookie.partition(";")[0]}
    assert served.get("/api/v1/about", None, headers=held).json()["caller"]["name"] == "read"
    assert served.call("POST", "/logout", None, headers=held).status_code == 303
    assert served.get("/api/v1/about", None, headers=held).status_code == 401


def test_a_token_in_the_address_is_nothing(served):
    token = served.tokens["read"]
    for name in ("token", "access_token", "authorization", "api_key"):
        assert served.get(f"/api/v1/runs?{name}={token}", None).status_code == 401


def test_a_body_has_a_bound(served):
    assert served.call("POST", "/login", None, data=b"token=" + b"a" * 70_000).status_code == 413

    def slowly():
        yield b"token="
        for _ in range(20):
            yield b"a" * 8192

    assert served.call("POST", "/login", None, data=slowly()).status_code == 401


def test_who_asks_too_often_waits_and_who_guesses_waits_longer(judged, tmp_path):
    with serving(judged[0], tmp_path / "state") as one:
        one.service.guard.calls = Buckets(Pace(0.01, 3))
        assert [one.get("/api/v1/about").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert int(one.get("/api/v1/about").headers["retry-after"]) > 1
        assert one.get("/api/v1/about", "trade").status_code == 200
        one.service.guard.guesses = Buckets(Pace(0.01, 3))
        forged = {"authorization": "Bearer nothing"}
        assert [one.get("/api/v1/about", None, headers=forged).status_code for _ in range(4)] == [401, 401, 401, 429]
        assert one.call("POST", "/login", None, data={"token": "x"}).status_code == 429
        assert one.get("/health", None).status_code == 200


def test_what_was_done_and_refused_is_written_down_without_secrets(judged, tmp_path):
    with serving(judged[0], tmp_path / "state") as one:
        one.get("/api/v1/runs")
        one.call("POST", "/login", None, data={"token": one.tokens["read"]})
        one.call("POST", "/login", None, data={"token": "qga_00000000_planted"})
        one.get("/api/v1/runs", None, headers={"authorization": "Bearer planted"})
        one.get("/api/v1/runs", None)
        one.call("POST", "/api/v1/runs", "trade")
        text = (tmp_path / "state" / "audit.jsonl").read_text()
        assert (tmp_path / "state" / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(x["method"], x["path"], x["status"], x.get("name")) for x in lines] == [
        ("POST", "/login", 303, "read"),
        ("POST", "/login", 401, None),
        ("GET", "/api/v1/runs", 401, None),
        ("POST", "/api/v1/runs", 405, "trade"),
    ]
    assert "planted" not in text
    assert not [token for token in one.tokens.values() if token.split("_", 2)[2] in text]


def test_a_revoked_token_is_refused_at_once(judged, tmp_path):
    with serving(judged[0], tmp_path / "state") as one:
        cookie = one.call("POST", "/login", None, data={"token": one.tokens["read"]}).headers["set-cookie"]
        held = {"cookie": cookie.partition(";")[0]}
        assert one.get("/api/v1/about", None, headers=held).status_code == 200
        one.service.guard.tokens.revoke(one.tokens["read"].split("_")[1])
        assert one.get("/api/v1/about").status_code == 401
        assert one.get("/api/v1/about", None, headers=held).status_code == 401


def test_a_raw_request_without_a_host_is_refused(served):
    with requests.Session() as session:
        request = requests.Request("GET", served.url + "/health").prepare()
        request.headers["host"] = ""
        assert session.send(request, timeout=60).status_code in (400, 421)
