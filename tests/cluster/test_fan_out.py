"""The fan-out on a real Ray: same appraisals as here, and it survives workers that die, hang or fail."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from quantga.cluster.fan_out import FanOut, appraisals
from quantga.engine.appraise import Appraisals, Trial, appraise_market, appraiser
from quantga.engine.metrics import ALPHA_SHARPE, KEYS, KURTOSIS, N_DAYS, SKEW
from quantga.errors import ClusterError, DataError
from quantga.evolve.select import Record, complexity, merit
from quantga.evolve.vary import random_programs
from quantga.lang.bars import Bars
from quantga.settings import Cluster

PROGRAMS = random_programs(150, seed=11, genes=True)


def figures_of(programs):
    rows = np.array([[int(program.id[:8], 16) / (i + 1) for i in range(len(KEYS))] for program in programs])
    n = len(programs)
    score, cases = rows[:, 0].copy(), rows[:, :4].copy()
    return Appraisals(tuple(programs), score, cases, np.arange(n, dtype=np.uint64), rows, np.zeros(n, dtype=np.uint8))


def a_judge(folder, act=None, at=""):
    """Return a judge whose code travels to the worker, and that does `act` once where it meets program `at`."""
    keys = len(KEYS)

    def judge(programs):
        if at in {program.id for program in programs}:
            marker = folder / f"met-{at}"
            first = not marker.exists()
            with marker.open("a") as file:
                file.write(f"{len(programs)}\n")
            act(first)
        rows = np.array([[int(program.id[:8], 16) / (i + 1) for i in range(keys)] for program in programs])
        n = len(programs)
        return Appraisals(
            tuple(programs),
            rows[:, 0].copy(),
            rows[:, :4].copy(),
            np.arange(n, dtype=np.uint64),
            rows,
            np.zeros(n, np.uint8),
        )

    return judge


def everything(crew, programs):
    crew.submit(programs)
    found = {}
    while len(found) < len(programs):
        came = crew.collect()
        assert came, "the crew fell silent"
        found |= {appraisal.program: appraisal for appraisal in came}
    return found


def check(found):
    expected = figures_of(PROGRAMS)
    for i, program in enumerate(PROGRAMS):
        record = Record(*expected.figures[i, [ALPHA_SHARPE, SKEW, KURTOSIS, N_DAYS]].tolist())
        assert found[program].score == merit(record, complexity(program))
        assert found[program].cases == tuple(expected.cases[i])
        assert np.array_equal(found[program].figures, expected.figures[i])


@pytest.fixture
def cluster():
    return Cluster(batch_ms=1, deadline_s=60)


@pytest.mark.usefixtures("ray_local")
def test_programs_come_back_with_their_own_figures(tmp_path, cluster):
    check(everything(FanOut({}, Trial(), cluster, 2, a_judge(tmp_path)), PROGRAMS))


@pytest.mark.usefixtures("ray_local")
def test_a_worker_that_dies_loses_nothing(tmp_path, cluster):
    def die(first):
        if first:
            os.kill(os.getpid(), 9)

    check(everything(FanOut({}, Trial(), cluster, 2, a_judge(tmp_path, die, PROGRAMS[3].id)), PROGRAMS))
    assert (tmp_path / f"met-{PROGRAMS[3].id}").read_text().count("\n") >= 2


@pytest.mark.usefixtures("ray_local")
def test_a_batch_that_does_not_come_back_is_sent_out_again(tmp_path):
    def hang(first):
        if first:
            time.sleep(20)

    started = time.monotonic()
    crew = FanOut({}, Trial(), Cluster(batch_ms=1, deadline_s=1.5), 2, a_judge(tmp_path, hang, PROGRAMS[40].id))
    check(everything(crew, PROGRAMS))
    assert time.monotonic() - started < 15


@pytest.mark.usefixtures("ray_local")
def test_what_lacks_memory_is_tried_in_halves(tmp_path, cluster):
    judge = a_judge(tmp_path)

    def small(programs):
        (tmp_path / f"{len(programs)}-{time.time_ns()}").touch()
        if len(programs) > 10:
            raise MemoryError
        return judge(programs)

    check(everything(FanOut({}, Trial(), cluster, 2, small), PROGRAMS))
    sizes = {int(path.name.split("-")[0]) for path in tmp_path.iterdir()}
    assert max(sizes) > 10 >= min(sizes)


@pytest.mark.usefixtures("ray_local")
def test_a_program_for_which_no_memory_suffices_is_named(cluster):
    bad = PROGRAMS[9].id

    def judge(programs):
        if bad in {program.id for program in programs}:
            raise MemoryError
        return figures_of_many(programs)

    figures_of_many = a_judge(None)
    with pytest.raises(ClusterError, match=bad):
        everything(FanOut({}, Trial(), cluster, 2, judge), PROGRAMS[:20])


@pytest.fixture(scope="module")
def market():
    hours = 3000
    draw = np.random.default_rng(4)
    close = 100 * np.cumprod(1 + draw.standard_t(5, hours) * 0.006)
    before = np.append(100, close[:-1])
    columns = {"open": before, "high": np.maximum(before, close), "low": np.minimum(before, close), "close": close}
    columns["volume"] = draw.lognormal(5, 1, hours)
    time_ = (np.arange(hours, dtype=np.int64) + 480_000) * 3_600_000
    return {name: Bars.from_columns(time_, columns, symbol=name) for name in ("BTC", "ETH")}


@pytest.mark.usefixtures("ray_local")
@pytest.mark.parametrize("mishap", ["none", "killed", "overdue"])
def test_figures_are_those_of_this_process_to_the_bit_whatever_happens(tmp_path, market, mishap):
    real = appraiser(market, Trial(slices=4))
    at, marker = PROGRAMS[100].id, tmp_path / "met"

    def unlucky(programs):
        if mishap != "none" and at in {program.id for program in programs} and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), 9) if mishap == "killed" else time.sleep(20)
        return real(programs)

    found = everything(FanOut(market, Trial(slices=4), Cluster(deadline_s=1.5), 2, unlucky), PROGRAMS)
    assert marker.exists() == (mishap != "none")
    for one in appraisals(PROGRAMS, appraise_market(PROGRAMS, market, Trial(slices=4))):
        assert found[one.program] == one
        assert found[one.program].figures.tobytes() == one.figures.tobytes()


@pytest.mark.usefixtures("ray_local")
def test_batches_are_a_fair_share_and_few(tmp_path, cluster):
    judge = a_judge(tmp_path)

    def noted(programs):
        (tmp_path / f"{len(programs)}-{time.time_ns()}").touch()
        time.sleep(0.02)
        return judge(programs)

    crew = FanOut({}, Trial(), cluster, 2, noted)
    everything(crew, PROGRAMS[:10])
    everything(crew, PROGRAMS[10:20])  # now it knows the pace of workers that were there before
    for path in tmp_path.iterdir():
        path.unlink()
    everything(crew, PROGRAMS[20:])
    assert sorted(int(path.name.split("-")[0]) for path in tmp_path.iterdir()) == [65, 65]


@pytest.mark.usefixtures("ray_local")
def test_our_errors_arrive_as_they_were(tmp_path, cluster):
    def refuse(first):
        raise DataError("too few bars")

    with pytest.raises(DataError, match="too few bars"):
        everything(FanOut({}, Trial(), cluster, 2, a_judge(tmp_path, refuse, PROGRAMS[7].id)), PROGRAMS)


@pytest.mark.usefixtures("ray_local")
def test_a_bug_names_the_programs(tmp_path, cluster):
    def fail(first):
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError) as caught:
        everything(FanOut({}, Trial(), cluster, 2, a_judge(tmp_path, fail, PROGRAMS[0].id)), PROGRAMS)
    assert PROGRAMS[0].id in "".join(caught.value.__notes__)


@pytest.mark.proof
@pytest.mark.usefixtures("ray_local")
def test_a_program_that_ends_every_worker_is_named(tmp_path, cluster):
    def die(first):
        os.kill(os.getpid(), 9)

    with pytest.raises(ClusterError, match=PROGRAMS[5].id):
        everything(FanOut({}, Trial(), cluster, 2, a_judge(tmp_path, die, PROGRAMS[5].id)), PROGRAMS)
