"""run_validation(): from a finished run to promoted strategies, or to the sentence that says why there are none.

Whatever is computed is kept at once, and everything follows from the run, the ledger and the terms; so to validate again is to
go on, and a validation that is done is only read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from quantga.cluster.case import Case, Terms, open_case
from quantga.cluster.connect import connect
from quantga.cluster.findings import Material, findings, records
from quantga.cluster.look import Opening
from quantga.cluster.null_searches import null_searches
from quantga.cluster.record import RunFiles, code_version, grammar_version, run_named
from quantga.cluster.sample import sample_of
from quantga.cluster.validation_progress import Asked, Show, Silent
from quantga.errors import ConfigError, ManifestMismatch
from quantga.lang.bars import Bars
from quantga.lang.program import Program
from quantga.settings import Settings
from quantga.store.lake import Lake, open_lake
from quantga.store.null_library import NullLibrary, NullSearch
from quantga.store.objects import Held
from quantga.store.strategies import Anchor, Expected, Market, Proof, Strategy, keep_strategy
from quantga.store.trials import Head, Ledger, entry, verify
from quantga.trust.pipeline import Looked, decide
from quantga.trust.promote import Forecast, Outcome
from quantga.trust.tradability import tradability

FILE = "validation.json"
RECORDS = "validation.parquet"


@dataclass(frozen=True)
class Validation:
    """A validation that is done: its record as in validation.json, and whether it was done just now."""

    run: str
    record: dict[str, Any] = field(repr=False)
    new: bool

    @property
    def decision(self) -> str:
        """What was decided: promoted, not promoted, not provable, unopened."""
        return str(self.record["decision"])

    @property
    def strategies(self) -> tuple[str, ...]:
        """Ids of the promoted strategies."""
        return tuple(self.record["strategies"])


type Here = Callable[[Mapping[str, Bars], Settings, str, int], NullSearch]
"""Runs one surrogate search in this process: (market, settings, kind, number)."""


def run_validation(
    settings: Settings,
    run: str = "last",
    terms: Terms | None = None,
    show: Show | None = None,
    here: Here | None = None,
) -> Validation:
    """Judge a finished run and return the verdict; go on where an interrupted validation stopped.

    Args:
        settings: store and cluster; everything else is the run's own.
        run: its id, the beginning of it, or "last".
        terms: see `Terms`.
        show: is told how far it is.
        here: runs surrogate searches in this process instead of on Ray.

    Raises, before any work, what `open_case` does, LockedBars where the holdout was opened before, and Conflict where another
    process validates the run.
    """
    terms, show = terms or Terms(), show or Silent()
    kept = _kept(open_lake(settings.store.path), run, terms)
    if kept:
        return kept
    case = open_case(settings, run, terms)
    with case.lake.hold(f"validation {case.run}") as held:
        return _kept(case.lake, case.run, terms) or _judged(case, held, show, here)


def _judged(case: Case, held: Held, show: Show, here: Here | None) -> Validation:
    asked, taken = _begun(case, show), list[NullSearch]()
    reports = [tradability(case.found.programs[k], case.market, case.costs, _window(case)) for k in case.shortlist]
    opening, library = Opening(case, reports), _library(case)

    def look(programs: Sequence[Program]) -> Looked:
        held.require()
        return opening(programs)

    with _resumable(case), closing(_null_scores(case, library, here)) as searches:
        judged = decide(case.found, _scores(searches, asked, taken), look, case.rules)
    show.say("the verdict is being written up")
    sample = sample_of(case.files, case.rules.seed)
    held.require()
    return _concluded(Material(case, judged, opening, reports, taken, library.key, sample))


def _begun(case: Case, show: Show) -> Asked:
    """Refuse what cannot be judged, and say what will be done."""
    words = case.permission.words
    part, ground = case.split, case.ground
    show.say(f"run {case.run}: {', '.join(ground.symbols)} {ground.manifest.interval} of {ground.manifest.venue}")
    show.say(f"ledger: {case.history.words}")
    days = (part.opens - part.end) / 86_400_000
    show.say(f"holdout: {words}; {case.rules.holdout_days} days after an embargo of {days:.0f} days")
    best = max((case.found.scores[k] for k in case.shortlist), default=float("-inf"))
    return show.asks(best, case.rules.stop)


def _window(case: Case) -> tuple[int, int]:
    return case.split.start, case.split.end


def _library(case: Case) -> NullLibrary:
    """Return the surrogate searches of this kind of search that are kept."""
    science, window = case.settings.science, case.ground.window
    search = {name: value for name, value in science["search"].items() if name != "seed"}
    return NullLibrary.of(
        case.lake,
        {
            "dataset": case.ground.manifest.id,
            "symbols": list(case.ground.symbols),
            "span": [window.start, window.end],
            "grammar": grammar_version(),
            "code": code_version(),
            "search": search,
            "costs": science["costs"],
            "surrogate": case.terms.surrogate,
        },
    )


def _null_scores(case: Case, library: NullLibrary, here: Here | None) -> Generator[tuple[NullSearch, bool]]:
    """Yield surrogate searches by number, and whether each is new: those that are kept, then others, which are kept."""
    known, most = library.known(), case.terms.nulls
    lacking = [number for number in range(most) if number not in known]
    search = case.settings.search.model_copy(update={"seed": library.seed})
    settings, kind = case.settings.model_copy(update={"search": search}), case.terms.surrogate
    with ExitStack() as stack:
        fresh: Iterator[NullSearch] = iter(())
        for number in range(most):
            if number in known:
                yield known[number], False
                continue
            if number == lacking[0]:
                if here is not None:
                    fresh = _here(here, case, settings, lacking, library)
                else:
                    workers = stack.enter_context(connect(case.settings.cluster))
                    searches = null_searches(case.market, settings, kind, lacking, workers, library.keep)
                    fresh = stack.enter_context(closing(searches))
            yield next(fresh), True


def _here(
    here: Here, case: Case, settings: Settings, numbers: Sequence[int], library: NullLibrary
) -> Iterator[NullSearch]:
    for number in numbers:
        found = here(case.market, settings, case.terms.surrogate, number)
        library.keep(found)
        yield found


def _scores(searches: Iterator[tuple[NullSearch, bool]], asked: Asked, taken: list[NullSearch]) -> Iterator[float]:
    """Yield the searches' scores; note each, and tell who looks on."""
    for one, new in searches:
        taken.append(one)
        asked.answered(one.score, new=new)
        yield one.score


@contextmanager
def _resumable(case: Case) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(
            f"\nstopped: `quantga validate {case.run}` goes on from the surrogate searches that are kept\n"
        )
        raise


def _concluded(made: Material) -> Validation:
    """Write the answer into the ledger, the promoted strategies, and last the record, whose presence says that it is done."""
    case, verdict = made.case, made.judged.verdict
    found, folder = findings(made), case.files.folder
    head = case.ledger.head()
    if made.judged.opened:
        answer = entry(
            "answer", f"{case.run}/answer", case.run, case.spans, p=verdict.p, level=verdict.level, note=verdict.words
        )
        head = case.ledger.append(answer).head
    promoted = [
        (place, outcome) for place, outcome in enumerate(verdict.outcomes) if outcome.promoted and outcome.forecast
    ]
    ids = [keep_strategy(case.lake, _strategy(made, place, outcome, head)) for place, outcome in promoted]
    record = {**rounded(found), "strategies": ids, "ledger": head.record}
    case.lake.put_table(f"{folder}/{RECORDS}", records(made))
    case.lake.put_json(f"{folder}/{FILE}", record)
    return Validation(case.run, read_validation(case.lake, case.run), new=True)


def rounded(value: Any) -> Any:
    """Return plain data with floats to twelve digits: sums over large arrays differ in the last ones from process to process."""
    match value:
        case float():
            return float(f"{value:.12g}")
        case dict():
            return {key: rounded(one) for key, one in value.items()}
        case list() | tuple():
            return [rounded(one) for one in value]
    return value


def _strategy(made: Material, place: int, outcome: Outcome, head: Head) -> Strategy:
    case, judged = made.case, made.judged
    manifest, part = case.ground.manifest, case.split
    program = case.found.programs[judged.shortlist[place]]
    bases = tuple(manifest.instrument(symbol).base for symbol in case.ground.symbols)
    home = Market(venue=manifest.venue, symbols=case.ground.symbols, bases=bases, interval=manifest.interval)
    confirmed = made.opening.confirmed[place] if made.opening.confirmed else None
    there = home
    if confirmed:
        there = Market(venue=confirmed.venue, symbols=confirmed.symbols, bases=bases, interval=confirmed.interval)
    if made.opening.row is None or outcome.forecast is None:
        raise ManifestMismatch("nothing is promoted without a look: the judgement does not belong to this case")
    return Strategy(
        program=program.id,
        text=program.text,
        market=there,
        evolved_on=home,
        costs=case.settings.costs.model_dump(mode="json"),
        forecast=_expected(outcome.forecast),
        evidence=Proof(
            p_mine=outcome.p_mine,
            p_hold=outcome.p_hold,
            p=outcome.p_adjusted,
            level=judged.verdict.level,
            trials=case.files.trials(case.files.committed()),
            searches=case.rules.searches,
            null_searches=len(judged.maxima),
            nulls=made.library,
            searched=(part.start, part.end),
            holdout=(part.opens, part.closes),
            holdout_trades=judged.seen[place].trades,
            labels=outcome.labels,
            confirmed=asdict(confirmed) if confirmed else None,
        ),
        run=case.run,
        dataset=manifest.id,
        code=code_version(),
        grammar=grammar_version(),
        look=_anchor(made.opening.row.head),
        ledger=_anchor(head),
    )


def _expected(forecast: Forecast) -> Expected:
    return Expected(**asdict(forecast))


def _anchor(head: Head) -> Anchor:
    return Anchor(number=head.number, digest=head.digest)


def _kept(lake: Lake, run: str, terms: Terms) -> Validation | None:
    """Return the validation of a run that is done; None where it is not. ConfigError where other terms are asked for now."""
    name = run_named(lake, run, Ledger(lake)) if not verify(lake) else run
    if not lake.exists(f"runs/{name}/{FILE}"):
        return None
    _require_chain(lake)
    record = read_validation(lake, name)
    then, now = asdict(Terms(**record["terms"])), asdict(terms)
    if then != now:
        was = ", ".join(f"{key}={value}" for key, value in then.items() if value != now[key])
        raise ConfigError(
            f"run {name} was validated before, with {was}: that answer stands. `quantga validate {name}` under the same terms shows it"
        )
    return Validation(name, record, new=False)


def _require_chain(lake: Lake) -> None:
    faults = verify(lake)
    if faults:
        raise ManifestMismatch(f"the ledger of trials cannot be trusted, and without it no p-value: {faults[0]}")


def read_validation(lake: Lake, run: str) -> dict[str, Any]:
    """Return the record of a run's validation. ConfigError where there is none."""
    if not lake.exists(f"{RunFiles(lake, run).folder}/{FILE}"):
        raise ConfigError(f"run {run} was not validated: give `quantga validate {run}`")
    value = lake.read_json(f"{RunFiles(lake, run).folder}/{FILE}")
    if not isinstance(value, dict):
        raise ManifestMismatch(f"the validation of run {run} is not what it was when it was written: restore it")
    return value
