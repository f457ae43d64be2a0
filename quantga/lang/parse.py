"""Read a program's text; a refusal says where, what stood there and what was expected."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from difflib import get_close_matches

from quantga.errors import ProgramError
from quantga.lang.genes import Genes
from quantga.lang.kinds import Kind
from quantga.lang.ops import BY_NAME, Op
from quantga.lang.program import MAX_WINDOW, Program, Token, level, window

_WORD = re.compile(r"\s*(?:([A-Za-z_]\w*)|(\$[A-Za-z_]\w*)|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(.))", re.DOTALL)
_MAX_LEVEL = 50_000
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    at: int
    sort: str  # name, column, number, mark, end


@dataclass(frozen=True, slots=True)
class _Value:
    """A parsed argument: tokens of a kind, or a bare number whose kind the operator decides."""

    tokens: tuple[Token, ...]
    kind: Kind | None
    number: float = 0.0

    def fits(self, kind: Kind) -> bool:
        if self.kind is not None:
            return self.kind is kind
        if kind is Kind.LEVEL:
            return True
        return kind in (Kind.WINDOW, Kind.FACTOR) and self.number == int(self.number)

    def named(self) -> str:
        return f"the number {self.number:g}" if self.kind is None else str(self.kind)


def parse(text: str) -> Program:
    """Return the program of `text`, e.g. `when(gt(rsi(close, 14), level(70)), short, hold) with stop=0.05, latch`.

    Raises ProgramError with the place and what was expected.
    """
    reader = _Reader(text)
    value = reader.expression(0)
    if value.kind is not Kind.POSITION:
        raise reader.refusal(
            0, f"a strategy must be a Position (long, short, flat, hold, when, scale), this is {value.named()}"
        )
    genes = reader.genes() if reader.word.text == "with" else Genes()
    if reader.word.sort != "end":
        raise reader.refusal(reader.word.at, f"expected the end, or `with` and genes, but found {reader.word.text!r}")
    return Program.of(value.tokens, genes)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.words = list(_split(text))
        self.place = 0

    @property
    def word(self) -> _Word:
        return self.words[self.place]

    def refusal(self, at: int, why: str) -> ProgramError:
        shown = self.text if len(self.text) <= 60 else f"{self.text[max(0, at - 30) : at + 30]}"
        return ProgramError(f"not a program, at character {at + 1}: {why} (in {shown!r})")

    def take(self, mark: str) -> None:
        if self.word.text != mark:
            found = repr(self.word.text) if self.word.sort != "end" else "the end"
            raise self.refusal(self.word.at, f"expected {mark!r} but found {found}")
        self.place += 1

    def expression(self, depth: int) -> _Value:
        word = self.word
        if depth > _MAX_DEPTH:
            raise self.refusal(word.at, f"nested deeper than {_MAX_DEPTH}")
        self.place += 1
        if word.sort == "number":
            return _Value((), None, float(word.text))
        if word.sort == "column":
            return _Value((word.text,), Kind.RATIO)
        if word.sort != "name":
            self.place -= 1
            raise self.refusal(
                word.at, f"expected an operator, a column or a number but found {word.text or 'the end'!r}"
            )
        if word.text == "level":
            return self._level(word)
        if word.text not in BY_NAME:
            near = get_close_matches(word.text, BY_NAME, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise self.refusal(word.at, f"there is no operator {word.text!r}{hint} (`quantga ops` lists them)")
        return self._call(word, depth)

    def _level(self, word: _Word) -> _Value:
        self.take("(")
        if self.word.sort != "number":
            raise self.refusal(self.word.at, f"expected a number in level(...) but found {self.word.text!r}")
        value = float(self.word.text)
        self.place += 1
        self.take(")")
        return _Value((self._level_token(value, word.at),), Kind.LEVEL)

    def _level_token(self, value: float, at: int) -> Token:
        if abs(value) > _MAX_LEVEL or round(value, 4) != value:
            raise self.refusal(at, f"a level has at most four decimals and lies within +-{_MAX_LEVEL}, not {value:g}")
        return level(value)

    def _call(self, word: _Word, depth: int) -> _Value:
        args: list[_Value] = []
        if self.word.text == "(":
            self.take("(")
            while self.word.text != ")":
                args.append(self.expression(depth + 1))
                if self.word.text != ")":
                    self.take(",")
            self.take(")")
        for op in BY_NAME[word.text]:
            if len(args) == len(op.args) and all(a.fits(k) for a, k in zip(args, op.args, strict=True)):
                return _Value((op.code, *self._arguments(op, args, word.at)), op.ret)
        wanted = " or ".join(dict.fromkeys(f"({', '.join(op.args)})" for op in BY_NAME[word.text]))
        given = ", ".join(a.named() for a in args)
        raise self.refusal(word.at, f"{word.text} takes {wanted}, not ({given})")

    def _arguments(self, op: Op, args: list[_Value], at: int) -> list[Token]:
        tokens: list[Token] = []
        for value, kind in zip(args, op.args, strict=True):
            if value.kind is not None:
                tokens += value.tokens
            elif kind is Kind.LEVEL:
                tokens.append(self._level_token(value.number, at))
            elif 1 <= value.number <= MAX_WINDOW:
                tokens.append(window(int(value.number)))
            else:
                raise self.refusal(at, f"a {kind} of {op.name} is 1 to {MAX_WINDOW} bars, not {value.number:g}")
        return tokens

    def genes(self) -> Genes:
        given: dict[str, object] = {}
        names = {f.name for f in fields(Genes)}
        start = self.word.at
        while not given or self.word.text == ",":
            self.place += 1
            word = self.word
            if word.text not in names or word.text in given:
                raise self.refusal(word.at, f"expected one of the genes {', '.join(sorted(names - set(given)))}")
            self.place += 1
            given[word.text] = self._gene(word.text)
        try:
            return Genes(**given)  # type: ignore[arg-type]
        except ProgramError as error:
            raise self.refusal(start, str(error)) from error

    def _gene(self, name: str) -> object:
        if name == "latch":
            return True
        self.take("=")
        if name == "ladder":
            return self._ladder()
        value = self._number()
        if name == "max_hold" and value != int(value):
            raise self.refusal(self.words[self.place - 1].at, "max_hold is a whole number of bars")
        return int(value) if name == "max_hold" else value

    def _number(self) -> float:
        if self.word.sort != "number":
            raise self.refusal(self.word.at, f"expected a number but found {self.word.text or 'the end'!r}")
        self.place += 1
        return float(self.words[self.place - 1].text)

    def _ladder(self) -> tuple[tuple[int, float], ...]:
        steps: list[tuple[int, float]] = []
        while True:
            age = self._number()
            self.take(":")
            steps.append((int(age), self._number()))
            if self.word.text != "/":
                return tuple(steps)
            self.place += 1


def _split(text: str) -> list[_Word]:
    words = []
    for match in _WORD.finditer(text):
        sort = ("name", "column", "number", "mark")[(match.lastindex or 4) - 1]
        words.append(_Word(match[match.lastindex or 4], match.start(match.lastindex or 4), sort))
    return [*(w for w in words if not w.text.isspace()), _Word("", len(text), "end")]
