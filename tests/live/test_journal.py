"""The journal: durable, readable after any cut, and honest about what was changed in it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import Conflict, StoreError
from quantga.live.journal import Journal, read

EVENTS: list[tuple[str, dict[str, object]]] = [
    ("bar", {"close": 1.5}),
    ("intent", {"cloid": "0x1", "size": "0.1"}),
    ("fill", {"tid": 2**49}),
]


def written(folder: Path) -> Path:
    """Return a journal of five entries."""
    path = folder / "journal"
    with Journal(path) as journal:
        journal.append(1, EVENTS[0])
        journal.append(2, *EVENTS)
        journal.append(3, EVENTS[2])
    return path


def test_what_was_appended_is_read_by_the_next_one_who_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path)
    with Journal(path) as journal:
        assert journal.damage is None
        assert [(one.number, one.time, one.kind) for one in journal.entries] == [
            (0, 1, "bar"), (1, 2, "bar"), (2, 2, "intent"), (3, 2, "fill"), (4, 3, "fill"),
        ]  # fmt: skip
        journal.append(4, ("halt", {}))
    entries, damage = read(path)
    assert damage is None
    assert entries[5].kind == "halt"
    assert entries[2].body == EVENTS[1][1]


def test_two_writers_cannot_have_one_journal(tmp_path: Path) -> None:
    with Journal(written(tmp_path)), pytest.raises(Conflict, match="another process"):
        Journal(tmp_path / "journal")


def test_a_journal_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Journal(tmp_path / "file" / "journal")


@given(st.data())
def test_a_journal_cut_anywhere_has_a_valid_beginning_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("cut"))
    whole = path.read_bytes()
    entries, _ = read(path)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    complete = whole[:cut].count(b"\n")
    with Journal(path) as journal:
        assert tuple(journal.entries) == entries[:complete]
        assert (journal.damage is None) == whole[:cut].endswith(b"\n") or cut == 0
        if journal.damage:
            assert Path(journal.damage.kept_in).read_bytes() == whole[:cut].splitlines(keepends=True)[-1]
        journal.append(9, ("halt", {}))
    assert [one.kind for one in read(path)[0]] == [one.kind for one in entries[:complete]] + ["halt"]


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_seen(tmp_path_factory: pytest.TempPathFactory, place: int, change: int) -> None:
    path = written(tmp_path_factory.mktemp("changed"))
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    entries, damage = read(path)
    assert damage is not None
    assert len(entries) == damage.number < 5


@pytest.mark.parametrize("order", [[0, 1, 3, 4], [1, 0, 2, 3, 4], [0, 0, 1, 2, 3, 4], [1, 2, 3, 4]])
def test_a_line_removed_moved_or_told_twice_is_seen(tmp_path: Path, order: list[int]) -> None:
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[i] for i in order))
    assert read(path)[1] is not None


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with Journal(path) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
            with pytest.raises(StoreError, match="only orders that reduce"):
                journal.append(5, ("bar", {"close": 1.0, "long": "x" * 100}))
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert len(journal.entries) == 5
            journal.append(6, ("bar", {}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    entries, damage = read(path)
    assert damage is None
    assert (entries[5].number, entries[5].time) == (5, 6)


def test_what_append_returned_for_survives_a_kill(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from quantga.live.journal import Journal\n"
        "j = Journal(Path(sys.argv[1])); n = 0\n"
        "while True:\n    j.append(n, ('bar', {'n': n})); print(n, flush=True); n += 1\n"
    )
    path = tmp_path / "journal"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            told = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        told = max([told, *(int(line) for line in writer.stdout.read().splitlines())])
    entries, _ = read(path)
    assert [one.body["n"] for one in entries[: told + 1]] == list(range(told + 1))
