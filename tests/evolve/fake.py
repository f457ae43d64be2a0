"""A worth that costs nothing and depends on the program alone: for tests of the search, not of trading."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from quantga.evolve.grammar import ALWAYS, grammar_for
from quantga.evolve.islands import Plan
from quantga.evolve.select import Appraisal
from quantga.evolve.vary import Limits, Vocabulary
from quantga.lang.program import Program


def worth(program: Program) -> Appraisal:
    digest = hashlib.sha256(program.text.encode()).digest()
    words = program.text.count("rsi") + program.text.count("ema")
    score = words - program.size / 50 + digest[0] / 512
    failed = "never traded" if digest[1] < 10 else ""
    cases = tuple(score + digest[i] / 256 for i in range(2, 6))
    behaviour = int.from_bytes(digest[8:10], "big")  # few enough that some programs behave alike
    return Appraisal(program, score, digest[6] / 256, behaviour, failed, cases, np.array([score, digest[6] / 256]))


def appraise(programs: Sequence[Program]) -> list[Appraisal]:
    return [worth(program) for program in programs]


def plan(**changes: object) -> Plan:
    standard: dict[str, object] = {
        "vocabulary": Vocabulary(grammar_for(ALWAYS), Limits(size=30), genes=True),
        "seed": 3, "islands": 3, "population": 16, "generations": 6, "migrate_every": 2, "migrants": 2,
    }  # fmt: skip
    return Plan(**{**standard, **changes})  # type: ignore[arg-type]
