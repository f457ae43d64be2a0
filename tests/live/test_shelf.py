"""The shelf: readers take what is new, and are told what is gone."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.live.bars import Bar
from quantga.live.shelf import Shelf, Taken

KEY = ("BTC", 60_000)


def bar(k, coin="BTC"):
    return Bar(coin, 60_000, k * 60_000, 1.0, 1.0, 1.0, 1.0, 1.0, 1, k * 60_000 + 60_000, 0, "stream")


@given(count=st.integers(0, 60), depth=st.integers(1, 20), after=st.integers(-1, 70))
def test_nothing_is_taken_twice_and_what_is_gone_is_counted(count, depth, after):
    shelf = Shelf(depth)
    for k in range(count):
        shelf.put([bar(k)])
    taken = shelf.take({KEY: after * 60_000 if after >= 0 else -1})[KEY]
    times = [one.time // 60_000 for one in taken.bars]
    assert times == list(range(count))[count - len(times) :]
    if after >= 0:
        assert taken.missed + len(times) == max(0, count - 1 - after)
        assert all(time > after for time in times)
    else:
        assert len(times) >= min(count, depth)


def test_a_reader_waits_for_the_next_bar_and_no_longer_than_asked():
    shelf = Shelf(10)
    began = time.monotonic()
    assert shelf.wait({KEY: -1}, 0.05) == {KEY: Taken(())}
    assert time.monotonic() - began >= 0.05
    threading.Timer(0.05, shelf.put, [[bar(7)]]).start()
    assert [one.time for one in shelf.wait({KEY: -1}, 10)[KEY].bars] == [420_000]
    threading.Timer(0.02, shelf.put, [[bar(3, "ETH")]]).start()
    assert shelf.wait({KEY: 420_000}, 0.1)[KEY].bars == ()  # another coin's bar wakes nobody
    assert shelf.newest() == {KEY: 420_000, ("ETH", 60_000): 180_000}


@pytest.mark.parametrize("readers", [8])
def test_many_readers_see_one_series(readers):
    shelf, seen = Shelf(1000), [[] for _ in range(readers)]

    def read(out):
        at = -1
        while len(out) < 200:
            for one in shelf.wait({KEY: at}, 5)[KEY].bars:
                out.append(one.time)
                at = one.time

    threads = [threading.Thread(target=read, args=(out,)) for out in seen]
    for thread in threads:
        thread.start()
    for k in range(200):
        shelf.put([bar(k)])
    for thread in threads:
        thread.join(20)
    assert all(out == [k * 60_000 for k in range(200)] for out in seen)
