"""What answers to actions mean: refused only where the venue itself refused, unknown wherever that cannot be seen."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import RateLimited, Rejected, Unknown, VenueError
from quantga.venue.account import Done, Filled, Refused, Resting, Waiting
from quantga.venue.hyperliquid.outcomes import content, outcomes
from quantga.venue.wire import Reply

ERROR = {"error": "Order must have minimum value of $10. asset=4"}


def reply(body, status=200):
    return Reply(status, body if isinstance(body, bytes) else orjson.dumps(body), 0)


def ok(*statuses):
    return reply({"status": "ok", "response": {"type": "order", "data": {"statuses": list(statuses)}}})


@pytest.mark.parametrize(
    ("answer", "asked", "wanted"),
    [
        (ok({"resting": {"oid": 7, "cloid": "0xAB"}}), 1, (Resting(7, "0xab"),)),
        (
            ok({"filled": {"totalSz": "0.02", "avgPx": "1891.4", "oid": 7}}),
            1,
            (Filled(7, Decimal("0.02"), Decimal("1891.4")),),
        ),
        (ok("success", ERROR), 2, (Done(), Refused(ERROR["error"]))),
        (ok({"resting": {"oid": 7}}, "waitingForFill"), 2, (Resting(7), Waiting("waitingForFill"))),
        (ok(ERROR), 3, (Refused(ERROR["error"]),) * 3),
        (reply({"status": "ok", "response": {"type": "default"}}), 1, (Done(),)),
    ],
)
def test_outcomes(answer, asked, wanted):
    assert outcomes(answer, asked) == wanted


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"status": "err", "response": "Insufficient margin"}), Rejected),
        (reply({"status": "err", "response": "Invalid nonce: nonce too low 1 < 2"}), Rejected),
        (reply({"status": "err", "response": "Invalid nonce: duplicate nonce 5"}), Unknown),
        (reply({"status": "err", "response": "Too many cumulative requests sent (9 > 8) for …"}), RateLimited),
        (reply(None, 429), RateLimited),
        (reply(b"Failed to deserialize the JSON body into the target type", 422), Rejected),
        (reply(b"<html>502 Bad Gateway</html>", 502), Unknown),
        (reply(None, 500), Unknown),
        (reply(b"<html>maintenance</html>"), Unknown),
        (reply(b"", 302), Unknown),
        (reply(None), Unknown),
        (reply([]), Unknown),
        (reply({"status": "ok"}), Unknown),
        (reply({"status": "ok", "response": "fine"}), Unknown),
        (ok({"resting": {}}), Unknown),
        (ok({"resting": {"oid": "7"}}), Unknown),
        (ok({"filled": {"totalSz": "NaN", "avgPx": "1", "oid": 7}}), Unknown),
        (ok(), Unknown),
        (ok({"resting": {"oid": 1}}, {"resting": {"oid": 2}}), Unknown),
    ],
)
def test_kinds_of_failure(answer, kind):
    with pytest.raises(VenueError) as caught:
        outcomes(answer, 1)
    assert caught.type is kind


def test_two_orders_and_one_outcome_that_is_no_error_is_unknown():
    with pytest.raises(Unknown, match="look each of them up"):
        outcomes(ok({"resting": {"oid": 1}}), 2)


@given(st.binary(max_size=200), st.integers(200, 599), st.integers(1, 5))
def test_no_bytes_crash(body, status, asked):
    with contextlib.suppress(VenueError):
        assert len(outcomes(Reply(status, body, 0), asked)) == asked


def test_content_is_json():
    assert content(reply({"a": 1})) == {"a": 1}
