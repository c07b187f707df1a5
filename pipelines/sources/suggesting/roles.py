"""Which column of a table is what: subject, contact, times, code, value, unit; each with its reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from pipelines.sources.suggesting.columns import Choice, Column, columns_of
from pipelines.sources.suggesting.names import compact
from pipelines.sources.suggesting.sampling import SampledTable


@dataclass(frozen=True)
class Roles:
    """What each column of a table was taken for.

    Attributes:
        table: the table.
        columns: all of them.
        subject, contact: who and which contact, None where no column tells.
        subject_by_contact: another table that tells whose a contact is, where this one does not.
        time, known, start, end: times.
        codes: one column, or several of one kind that are melted.
        value, unit, text, sequence, description: of an event.
        further_codes, further_values: other things that a row with a code tells, values with their units.
        birth, death, sex: of people.
    """

    table: SampledTable
    columns: tuple[Column, ...]
    subject: Choice | None = None
    contact: Choice | None = None
    time: Choice | None = None
    known: Choice | None = None
    start: Choice | None = None
    end: Choice | None = None
    codes: tuple[Choice, ...] = ()
    value: Choice | None = None
    unit: Choice | None = None
    text: Choice | None = None
    sequence: Choice | None = None
    birth: Choice | None = None
    death: tuple[Choice, ...] = ()
    sex: Choice | None = None
    description: Choice | None = None
    further_codes: tuple[Choice, ...] = ()
    further_values: tuple[tuple[Choice, Choice | None], ...] = ()
    taken: frozenset[str] = field(default_factory=frozenset)

    @property
    def left(self) -> list[Column]:
        """The columns without a role, in their order."""
        return [column for column in self.columns if column.name not in self.taken]


def assign(tables: Sequence[SampledTable]) -> list[Roles]:
    """The roles of all columns of all tables; tables are judged together, as keys tie them."""
    columns = [columns_of(table) for table in tables]
    spread = Counter(column.name for held in columns for column in held)
    return [_roles(table, held, spread) for table, held in zip(tables, columns, strict=True)]


def _roles(table: SampledTable, columns: tuple[Column, ...], spread: Counter[str]) -> Roles:
    left = _Left(columns)
    filled = [column for column in columns if column.shape.kind != "empty"]
    subject = left.take(_key(filled, "subject", spread))
    contact = left.take(_key(left.of(filled), "contact", spread))
    birth = left.take(_named(left.of(filled), "birth", _may_be_birth))
    death = tuple(
        taken
        for choice in _all_named(left.of(filled), "death", lambda column: column.shape.is_time)
        if (taken := left.take(choice))
    )
    sex = left.take(_named(left.of(filled), "sex", lambda column: column.shape.n_distinct <= 12))
    times = [column for column in left.of(filled) if column.is_time]
    start = _named(times, "start", _anything)
    end = left.take(_named(times, "end", _anything))
    time = left.take(
        _main_time([column for column in times if end is None or column is not end.column], start)
    )
    known = left.take(
        _named([column for column in left.of(times) if column.is_time], "known", _anything) if time else None
    )
    codes = tuple(taken for choice in _codes(left.of(filled)) if (taken := left.take(choice)))
    value = left.take(_value(left.of(filled))) if len(codes) < 2 else None
    unit = left.take(_unit(left.of(filled), value)) if value else None
    further_values = _further_values(left, filled) if codes and value else ()
    text = left.take(_named(left.of(filled), "text", lambda column: column.shape.kind in {"words", "text"}))
    sequence = left.take(_named(left.of(filled), "sequence", lambda column: column.shape.kind == "whole"))
    description, further_codes = _beside(table, left, filled, codes[0]) if len(codes) == 1 else (None, ())
    return Roles(
        table, columns, subject, contact, time, known, start, end, codes, value, unit, text, sequence,
        birth, death, sex, description, further_codes, further_values, frozenset(left.taken),
    )  # fmt: skip


def _further_values(left: _Left, columns: list[Column]) -> tuple[tuple[Choice, Choice | None], ...]:
    """Other numbers that names speak of, each with a unit of its own where there is one."""
    found: list[tuple[Choice, Choice | None]] = []
    while (value := _value([column for column in left.of(columns) if column.shape.is_number])) is not None:
        left.take(value)
        unit = _unit(left.of(columns), value)
        is_own = unit is not None and _common(compact(unit.column.name), compact(value.column.name)) > 2
        found.append((value, left.take(unit) if is_own else None))
    return tuple(found)


def _beside(
    table: SampledTable, left: _Left, columns: list[Column], code: Choice
) -> tuple[Choice | None, tuple[Choice, ...]]:
    """Other columns that say what: one that the code decides describes it, others are facts of their own."""
    description: Choice | None = None
    further: list[Choice] = []
    for column in left.of(columns):
        if _code_score(column) < 3:
            continue
        decided = _decides(table, code.column.name, column.name)
        if decided and description is None and column.shape.kind in {"words", "text"}:
            description = Choice(column, 2, "the code decides it")
        elif not decided and column.role("code") > 1:
            further.append(Choice(column, 1, "its name says what, and the first code does not decide it"))
    for choice in (*further, *([description] if description else [])):
        left.take(choice)
    return description, tuple(further)


def _decides(table: SampledTable, code: str, other: str) -> bool:
    """Whether each code has one text beside it, but for a twentieth of the codes."""
    pairs = table.rows.select(code, other).drop_nulls()
    if not pairs.height:
        return False
    n_texts = pairs.group_by(code).agg(pl.col(other).n_unique().alias("n"))["n"]
    return int((n_texts == 1).sum()) >= 0.95 * n_texts.len()


def _anything(_: Column) -> bool:
    return True


def _may_be_birth(column: Column) -> bool:
    low, high = column.shape.low, column.shape.high
    is_year = (
        column.shape.kind == "whole" and low is not None and high is not None and 1800 < low <= high < 2200
    )
    return column.shape.is_time or is_year


class _Left:
    """The columns that have no role yet."""

    def __init__(self, columns: Iterable[Column]) -> None:
        self.names = {column.name for column in columns}
        self.taken: set[str] = set()

    def take(self, choice: Choice | None) -> Choice | None:
        """The choice, its column taken away."""
        if choice is not None:
            self.taken.add(choice.column.name)
        return choice

    def of(self, columns: Iterable[Column]) -> list[Column]:
        """Those of some columns that are left."""
        return [column for column in columns if column.name not in self.taken]


def _all_named(columns: Iterable[Column], role: str, may: Callable[[Column], bool]) -> list[Choice]:
    """All columns whose names speak for a role and that may have it, the surest first."""
    chosen = [column for column in columns if column.role(role) and may(column)]
    return [
        Choice(column, column.role(role), f"its name says {role.replace('_', ' ')}")
        for column in sorted(chosen, key=lambda column: -column.role(role))
    ]


def _named(columns: Iterable[Column], role: str, may: Callable[[Column], bool]) -> Choice | None:
    found = _all_named(columns, role, may)
    return found[0] if found else None


def _key(columns: Iterable[Column], role: str, spread: Counter[str]) -> Choice | None:
    """The id that most tables share among those whose names speak for it."""
    usable = [
        column
        for column in columns
        if column.role(role) and column.shape.kind in {"whole", "words", "code", "text"}
    ]
    if not usable:
        return None
    chosen = max(usable, key=lambda column: (spread[column.name], column.role(role)))
    n_tables = spread[chosen.name]
    shared = f", and {n_tables} tables have it" if n_tables > 1 else ""
    sure = min(3, chosen.role(role) + (n_tables > 2))
    return Choice(chosen, sure, f"its name says {role}{shared}")


def _main_time(times: list[Column], start: Choice | None) -> Choice | None:
    """When it happened: by name; a start where nothing else tells; else the first time there is."""
    best = max(
        times,
        key=lambda column: (
            max(column.role("time"), column.role("start")),
            column.shape.kind == "time",
            bool(column.role("start")),
        ),
        default=None,
    )
    if best is None:
        return None
    sure = max(best.role("time"), best.role("start"))
    if sure:
        return Choice(best, sure, "its name says when, and its cells are times")
    if start is not None:
        return start
    return Choice(
        best, 2 if len(times) == 1 else 1, "it is the only time" if len(times) == 1 else "the first time"
    )


def _codes(columns: list[Column]) -> list[Choice]:
    """The code: by the form of its cells, else by name; columns that only differ by a number go together."""
    scored = [(score, column) for column in columns if (score := _code_score(column)) > 0]
    if not scored:
        return []
    best = max(scored, key=lambda pair: pair[0])[1]
    stem = re.sub(r"\d+$", "", compact(best.name))
    alike = [
        column
        for _, column in scored
        if re.fullmatch(rf"{re.escape(stem)}\d+", compact(column.name))
        and column.shape.system == best.shape.system
    ]
    chosen = alike if len(alike) > 1 else [best]
    if best.shape.system:
        why = f"its cells look like {best.shape.system.replace('+', ' and ')}"
        return [Choice(column, 3 if best.role("code") else 2, why) for column in chosen]
    return [Choice(column, best.role("code"), "its name says what") for column in chosen]


def _code_score(column: Column) -> int:
    named = column.role("code")
    if column.shape.kind == "code":
        return 10 + named
    if column.shape.kind == "whole":
        return named if named == 3 and not column.role("value") else 0
    return 2 * named if named and column.shape.kind in {"words", "text"} else 0


def _value(columns: list[Column]) -> Choice | None:
    """The number: by name, numbers before texts."""
    usable = [
        column
        for column in columns
        if column.role("value") and column.shape.kind in {"whole", "number", "words"}
    ]
    if not usable:
        return None
    best = max(usable, key=lambda column: (column.shape.is_number, column.role("value")))
    if not best.shape.is_number and best.role("value") < 2:
        return None
    told = "its cells are numbers" if best.shape.is_number else "its cells are not all numbers"
    return Choice(best, best.role("value") - (not best.shape.is_number), f"its name says value, {told}")


def _unit(columns: list[Column], value: Choice | None) -> Choice | None:
    """The unit: by name; of several the one whose name is most like the value's."""
    if value is None:
        return None
    usable = [
        column for column in columns if column.role("unit") and column.shape.kind in {"words", "code", "text"}
    ]
    if not usable:
        return None
    named = compact(value.column.name)
    best = max(usable, key=lambda column: (_common(compact(column.name), named), column.role("unit")))
    return Choice(best, best.role("unit"), "its name says unit, beside a value")


def _common(one: str, other: str) -> int:
    """How many letters two names share at the beginning."""
    n_common = 0
    for letter, other_letter in zip(one, other, strict=False):
        if letter != other_letter:
            break
        n_common += 1
    return n_common
