"""What an answer to an action means: done, refused, or not known; a timeout or a 502 is never a refusal.

Business errors come with status 200, for the whole action as a text, or per order; one error may stand for a batch.
"""

from __future__ import annotations

import orjson

from quantga.errors import RateLimited, Rejected, Unknown, VenueError
from quantga.venue.account import Done, Filled, Outcome, Refused, Resting, Waiting
from quantga.venue.hyperliquid.reading import Json, exact, lowered, reader, text, whole
from quantga.venue.wire import Reply

_SHOWN = 300


def outcomes(reply: Reply, asked: int) -> tuple[Outcome, ...]:
    """Return one outcome per order of an action of `asked` orders.

    Raises:
        Rejected: the venue refused the whole action.
        RateLimited: it wants less: the weight of the minute, or the address's own budget, is used up.
        Unknown: the answer does not say what became of it.
    """
    answer = content(reply)
    if isinstance(answer, dict) and answer.get("status") == "err":
        raise _refusal(str(answer.get("response")))
    found = _statuses(answer, asked)
    if len(found) != asked:
        raise Unknown(f"the venue gave {len(found)} outcomes for {asked} orders: look each of them up")
    return found


def content(reply: Reply) -> Json:
    """Return the JSON of an answer with status 200.

    Raises:
        Rejected: 4xx: it was not understood, and not executed.
        RateLimited: 429.
        Unknown: 5xx, or no JSON: a gateway answered in the venue's place.
    """
    if reply.status == 429:
        raise RateLimited("the venue says 429: too many requests from this address in the last minute")
    shown = reply.body[:_SHOWN].decode("utf-8", "replace").strip()
    if 400 <= reply.status < 500:
        raise Rejected(f"the venue did not take the request ({reply.status}): {shown}")
    if reply.status != 200:
        raise Unknown(f"the venue, or a gateway before it, failed ({reply.status}): {shown}")
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError as error:
        raise Unknown(f"the venue's answer is no JSON: {shown}") from error


def _refusal(reason: str) -> VenueError:
    if "duplicate nonce" in reason:
        return Unknown(f"an action with this nonce was admitted before: look its orders up ({reason})")
    if reason.startswith("Too many cumulative requests"):
        return RateLimited(reason)
    return Rejected(reason)


@reader("answer to an action")
def _statuses(answer: Json, asked: int) -> tuple[Outcome, ...]:
    if answer["status"] != "ok":
        raise ValueError(f"the status {answer['status']!r} is not known")
    data = answer["response"].get("data")
    if data is None:
        return (Done(),) * asked
    rows = data["statuses"]
    found = tuple(_outcome(row) for row in rows)
    if len(found) == 1 and asked > 1 and isinstance(found[0], Refused):
        return found * asked
    return found


def _outcome(row: Json) -> Outcome:
    if row == "success":
        return Done()
    if isinstance(row, str):
        return Waiting(row)
    if "error" in row:
        return Refused(text(row["error"]))
    if "resting" in row:
        return Resting(whole(row["resting"]["oid"]), lowered(row["resting"].get("cloid")))
    filled = row["filled"]
    size, average = exact(filled["totalSz"]), exact(filled["avgPx"])
    return Filled(whole(filled["oid"]), size, average, lowered(filled.get("cloid")))
