"""Planted bugs in the feed: each is put into a copy of the package, and the tests named beside it must fail there."""

import pytest

from tests.exchange.test_planted import Bug, catch

BUGS = [
    Bug("the next candle is proof enough", "tape", "and candle.close in seen.closes", "or True", "bars"),
    Bug("trades count twice", "tape", "        if key in seen.ids:", "        if False:", "bars::tape"),
    Bug("holes are not seen", "bars", "if now - coin.heard > self._rules.hole:", "if False:", "bars"),
    Bug("a new socket hides what was lost", "bars", "coin.heard, coin.since = -math.inf, -1", "pass", "bars"),
    Bug("half a bar counts as whole", "bars", " and 0 <= since <= time", "", "bars"),
    Bug("an answer cut short is believed", "bars", "or one.anchor in told)", "or True)", "bars::nobody"),
    Bug(
        "an open bar is closed",
        "bars",
        "or time + one.interval + self._rules.margin <= ask.clock",
        "or time + one.interval <= ask.clock",
        "bars::too_early",
    ),
    Bug("no second question", "bars", "        self.counts.failed += 1\n", "        return\n", "bars::failed"),
    Bug("bars are told twice", "shelf", "(time - first) // key[1] + 1", "(time - first) // key[1]", "shelf"),
    Bug("what is gone is not told", "shelf", "max(0, (first - time) // key[1] - 1)", "0", "shelf"),
    Bug("the age of data is not watched", "connection", "> timing.stale:", "> 1e9:", "connection"),
    Bug("pongs are not waited for", "connection", "> timing.pong:", "> 1e9:", "connection::pong"),
    Bug("acks are not waited for", "connection", "> timing.ack:", "> 1e9:", "connection::acknow"),
    Bug("sockets without limit", "connection", "+ self._budget.open(time.monotonic())", "", "connection::allows"),
    Bug("frames of a flush are lost", "recorder", "file.add(wall, raw)", "file", "recorder"),
    Bug("a recording is not flushed", "recorder", "                file.flush()\n", "", "recorder::kill"),
]
SAMPLE = ("holes are not seen", "bars are told twice")


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SAMPLE], ids=SAMPLE)
def test_the_tests_catch_a_sample(bug, tmp_path):
    assert bug.right != bug.wrong
    catch(bug, tmp_path, "live")


@pytest.mark.proof
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_tests_catch_it(bug, tmp_path):
    catch(bug, tmp_path, "live")
