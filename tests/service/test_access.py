"""Tokens: kept as hashes, found in constant time, ended by time or by hand."""

from __future__ import annotations

import hmac
import json
import threading

import pytest

from quantga.cli import main
from quantga.errors import ConfigError
from quantga.service import access
from quantga.service.access import Scope, Tokens
from quantga.service.limits import Buckets, Pace
from quantga.service.logins import LIFE_S, Logins

DAY = 86_400_000


class Clock:
    now = 1_700_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(tmp_path, clock):
    return Tokens(tmp_path / "state" / "tokens.json", clock)


def test_a_token_is_never_written(tokens):
    text = tokens.create("ann", [Scope.READ], 1)
    secret = text.split("_", 2)[2]
    assert all(secret not in path.read_text() for path in tokens.path.parent.iterdir() if path.is_file())
    assert tokens.path.stat().st_mode & 0o777 == 0o600
    assert tokens.holder(text).name == "ann"


def test_what_is_not_the_token_is_nobodys(tokens):
    text = tokens.create("ann", [Scope.READ], 1)
    other = tokens.create("bob", [Scope.READ], 1)
    mixed = text[:12] + "_" + other.split("_", 2)[2]
    for wrong in (
        "",
        "qga",
        text[:-1],
        text + "A",
        text.upper(),
        mixed,
        f" {text}",
        text[:-1] + "é",
        "qga_" + "0" * 8 + text[12:],
    ):
        assert tokens.holder(wrong) is None, wrong


def test_a_token_is_compared_in_constant_time_whether_its_id_is_known_or_not(tokens, monkeypatch):
    text = tokens.create("ann", [Scope.READ], 1)
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(access.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    tokens.holder(text)
    tokens.holder("qga_00000000_" + "A" * 43)
    tokens.holder("nothing like it")
    assert [len(a) == len(b) == 64 for a, b in compared] == [True] * 3


def test_scopes_are_apart_and_each_may_read(tokens):
    held = {scope: tokens.holder(tokens.create("x", [scope], 1)) for scope in Scope}
    permits = {scope: [one for one in Scope if held[scope].permits(one)] for scope in Scope}
    assert permits == {
        Scope.READ: [Scope.READ],
        Scope.RESEARCH: [Scope.READ, Scope.RESEARCH],
        Scope.TRADE: [Scope.READ, Scope.TRADE],
    }


def test_a_token_expires_and_is_revoked(tokens, clock):
    soon, never = tokens.create("soon", [Scope.READ], 1), tokens.create("never", [Scope.READ], None)
    clock.now += DAY - 1
    assert tokens.holder(soon)
    clock.now += 1
    assert tokens.holder(soon) is None
    assert tokens.holder(never)
    Tokens(tokens.path, clock).revoke(never.split("_")[1])  # by another process
    assert tokens.holder(never) is None
    assert [one.state(clock.now) for one in tokens.all()] == ["expired", "revoked"]


def test_a_file_that_others_may_read_is_refused(tokens):
    tokens.create("ann", [Scope.READ], 1)
    tokens.path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        tokens.all()


def test_two_who_create_at_once_both_do(tokens):
    makers = [threading.Thread(target=tokens.create, args=(f"n{i}", [Scope.READ], 1)) for i in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert {one.name for one in Tokens(tokens.path).all()} == {f"n{i}" for i in range(8)}


def test_a_login_ends_with_its_token_and_with_its_time(tokens, clock):
    logins = Logins(tokens)
    text = tokens.create("ann", [Scope.READ], None)
    first, second = (logins.begin(tokens.holder(text)) for _ in range(2))
    assert logins.holder(first).name == "ann"
    assert logins.holder("another") is None
    logins.end(first)
    assert logins.holder(first) is None
    clock.now += LIFE_S * 1000
    assert logins.holder(second) is None
    third = logins.begin(tokens.holder(text))
    tokens.revoke(text.split("_")[1])
    assert logins.holder(third) is None


def test_a_bucket_is_empty_and_fills_again():
    now = [0.0]
    buckets = Buckets(Pace(0.5, 2), lambda: now[0])
    for _ in range(2):
        assert buckets.wait("a") == 0
        buckets.take("a")
    assert buckets.wait("a") == 2
    assert buckets.wait("b") == 0
    now[0] = 2.0
    assert buckets.wait("a") == 0


def test_tokens_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QUANTGA_STATE", str(tmp_path / "state"))

    def give(*words):
        with pytest.raises(SystemExit) as left:
            main(["token", *words])
        out, err = capsys.readouterr()
        return left.value.code or 0, out, err

    code, out, err = give("create", "ann", "--scope", "research")
    assert (code, out.startswith("qga_"), "not shown again" in err) == (0, True, True)
    code, listed, _ = give("list", "--json")
    (row,) = json.loads(listed)["tokens"]
    assert (row["name"], row["scopes"], row["state"]) == ("ann", "read,research", "active")
    assert out.strip().split("_", 2)[2] not in listed
    assert give("revoke", row["id"])[0] == 0
    assert "revoked" in give("list")[1]
    assert give("revoke", "nosuch")[0] == 2
    assert give("create", "ann", "--scope", "everything")[0] == 2
    assert give("create", "a\nb")[0] == 2
