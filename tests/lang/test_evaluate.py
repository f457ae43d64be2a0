"""A program's wanted positions do not depend on company, order, sharing, slicing or the processor."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quantga.errors import ProgramError
from quantga.lang.bars import Bars, Floats
from quantga.lang.evaluate import BLOCK, Plan, buffers, column_matrix, evaluate, plan, run_block, tiles
from quantga.lang.kinds import Kind
from quantga.lang.parse import parse
from quantga.lang.program import Program
from tests.lang.markets import random_tokens, same, synthetic

ROOT = Path(__file__).resolve().parents[2]


def population(n: int, seed: int = 5, depth: int = 4) -> list[Program]:
    dice = random.Random(seed)
    return [Program.of(random_tokens(dice, Kind.POSITION, depth)) for _ in range(n)]


def by_hand(planned: Plan, bars: Bars) -> Floats:
    """Run the blocks as the appraiser does."""
    columns, work = column_matrix(planned.columns, bars), buffers(planned)
    out = np.full((len(planned.root), len(bars)), -9.0)
    for start in range(-(bars.origin % BLOCK), len(bars), BLOCK):
        done = 0
        for p, ready in enumerate(planned.ready):
            run_block(planned.nodes, planned.numbers, work, columns, bars.origin, start, done, ready)
            done = ready
            low, high = max(start, 0), min(start + BLOCK, len(bars))
            out[p, low:high] = work[planned.root[p] + low - start : planned.root[p] + high - start]
    return out


def test_alone_and_in_any_company() -> None:
    programs, bars = population(1_200), synthetic(1_700, gaps=5)
    together = evaluate(programs, bars)
    order = np.random.default_rng(3).permutation(len(programs))
    assert same(evaluate([programs[i] for i in order], bars), together[order])
    for i in range(0, len(programs), 20):
        assert same(evaluate([programs[i]], bars)[0], together[i]), programs[i]


def test_bar_by_bar_as_in_trading() -> None:
    programs, bars = population(60, depth=3), synthetic(7_000)
    together = evaluate(programs, bars)
    judged = 0
    for i, program in enumerate(programs):
        for end in (len(bars), len(bars) - 137):
            if program.reach < end:
                last = evaluate([program], bars.slice(end - program.reach - 1, end))[0, -1]
                assert same(np.array([last]), together[i, end - 1 : end]), program
                judged += 1
    assert judged > 80


def test_sharing_changes_no_bit() -> None:
    programs, bars = population(120), synthetic(1_300)
    shared, alone = plan(programs), plan(programs, sharing=False)
    assert len(shared.nodes) < len(alone.nodes)
    assert same(by_hand(shared, bars), by_hand(alone, bars))
    assert same(by_hand(shared, bars), evaluate(programs, bars))


def test_work_arrays_serve_again_for_another_market() -> None:
    planned = plan(population(50))
    columns, work = {}, buffers(planned)
    results = []
    for seed in (1, 2, 1):
        bars = synthetic(1_500, seed)
        columns[seed] = column_matrix(planned.columns, bars)
        last = np.empty((len(planned.root), BLOCK))
        for start in range(-(bars.origin % BLOCK), len(bars), BLOCK):
            done = 0
            for p, ready in enumerate(planned.ready):
                run_block(planned.nodes, planned.numbers, work, columns[seed], bars.origin, start, done, ready)
                done, last[p] = ready, work[planned.root[p] : planned.root[p] + BLOCK]
        results.append(last)
    assert same(results[0], results[2])
    assert not same(results[0], results[1])


def test_read_only_columns_as_ray_hands_them_out() -> None:
    programs, bars = population(20), synthetic(1_100)
    planned = plan(programs)
    columns = column_matrix(planned.columns, bars)
    columns.flags.writeable = False
    work = buffers(planned)
    run_block(planned.nodes, planned.numbers, work, columns, bars.origin, 0, 0, planned.ready[-1])


def test_equal_programs_are_told() -> None:
    programs = [parse(t) for t in ("scale(rank(close, 5))", "long", "scale(rank(close, 5)) with stop=0.1")]
    assert plan(programs).same.tolist() == [0, 1, 0]


def test_wanted_positions_are_positions() -> None:
    wanted = evaluate(population(400), synthetic(900, gaps=3))
    assert np.nanmax(np.abs(wanted)) <= 1


def test_words() -> None:
    bars = synthetic(40)
    wanted = evaluate([parse(t) for t in ("long", "short", "flat", "hold", "scale(0.25)")], bars)
    assert np.array_equal(wanted[:, 7], [1, -1, 0, np.nan, 0.25], equal_nan=True)


def test_a_users_column() -> None:
    bars = synthetic(700)
    own = np.where(np.arange(700) % 7 == 0, np.inf, np.linspace(-2, 2, 700))
    bars = bars.with_columns({"$mood": own})
    wanted = evaluate([parse("scale($mood)"), parse("when(gt($mood, 1), long, flat)"), parse("scale(ret)")], bars)
    assert same(wanted[0], np.where(np.isinf(own), np.nan, np.clip(own, -1, 1)))


def test_a_column_that_is_not_there() -> None:
    bars = synthetic(50)
    with pytest.raises(ProgramError, match=r"no column '\$mood'"):
        evaluate([parse("scale($mood)")], bars)


def test_no_programs_and_absurd_reach() -> None:
    assert evaluate([], synthetic(10)).shape == (0, 10)
    with pytest.raises(ProgramError, match="four million"):
        plan([parse("when(gt(higher_mean(close, 5000, 5000), close), long, flat)")])


def test_masks_of_a_share_equal_their_level() -> None:
    close = np.tile([1.0, 2.0, 3.0, 2.0, 1.0], 100)
    bars = Bars(3_600_000, 0, dict.fromkeys(("open", "high", "low", "close", "volume"), close))
    wanted = evaluate([parse("when(gt(share(gt(change(close, 1), 0), 5), 0.4), long, flat)")], bars)
    assert not np.any(wanted == 1)  # two of five is 0.4, not more


def test_a_window_of_equal_values_does_not_vary() -> None:
    close = np.concatenate([np.full(700, 3.3), np.full(700, 0.1 + 0.2)])
    bars = Bars(3_600_000, 5, dict.fromkeys(("open", "high", "low", "close", "volume"), close))
    texts = ("scale(zscore(close, 7))", "scale(bb_width(close, 50))", "when(gt(mean(close, 7), close), long, flat)")
    wanted = evaluate([parse(t) for t in texts], bars)
    flat = np.r_[100:700, 800:1400]
    assert np.isnan(wanted[0, flat]).all()
    assert (wanted[1:, flat] == 0).all()


def test_tiles_share_nothing_and_change_nothing() -> None:
    programs, bars = population(90), synthetic(800)
    parts = [by_hand(tile, bars) for tile in tiles(programs, size=40)]
    assert same(np.concatenate(parts), evaluate(programs, bars))


DIGEST = """
import sys
import numpy as np
from tests.lang.test_evaluate import digest
print(digest(dict(np.load(sys.argv[1]))))
"""


def digest(columns: dict[str, Floats]) -> str:
    wanted = evaluate(population(400, 9), Bars(3_600_000, 480_000, columns))
    return hashlib.sha256(np.where(np.isnan(wanted), -7.0, wanted).tobytes()).hexdigest()


@pytest.mark.proof
def test_same_bits_on_a_lesser_processor(tmp_path: Path) -> None:
    columns = dict(synthetic(3_000, 4, gaps=6).columns)
    np.savez(tmp_path / "columns.npz", **columns)  # numpy's own exp differs between processors, so data are made once
    lesser = {
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
        "QUANTGA_JIT_CACHE": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", DIGEST, str(tmp_path / "columns.npz")],
        env={**os.environ, **lesser},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == digest(columns)
