"""Streams depend on their name and on nothing else."""

import subprocess
import sys

from quantga.streams import dice, stream


def test_a_name_gives_the_same_stream_whatever_was_drawn_before():
    first = stream(1, "breed", 2, 3).random(4)
    stream(1, "breed", 2, 4).random(100)
    assert list(stream(1, "breed", 2, 3).random(4)) == list(first)
    assert dice(1, "a").random() == dice(1, "a").random()


def test_different_names_give_different_streams():
    names = [(1, "a", 1), (1, "a", 2), (1, "b", 1), (2, "a", 1), (1, "a1"), (11, "a")]
    assert len({stream(seed, *key).random() for seed, *key in names}) == len(names)
    assert len({dice(seed, *key).random() for seed, *key in names}) == len(names)


def test_values_are_fixed_for_ever():
    code = "from quantga.streams import dice, stream; print(stream(7, 'x', 1).random(), dice(7, 'x', 1).random())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed == [repr(float(stream(7, "x", 1).random())), repr(dice(7, "x", 1).random())]
