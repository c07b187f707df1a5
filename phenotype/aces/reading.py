"""The instants that an ACES task looks at, read from a dataset.

Only events that some predicate reads are taken, each column that no predicate names stays unread, and
alternatives under one condition are one test: a task that names seven hundred diagnoses costs as much as one
that names three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import InputError, Problem
from phenotype.aces.instants import Instants
from phenotype.aces.text import ANY_EVENT, RECORD_END, RECORD_START, SPECIAL, AcesTask, PlainPredicate, Scalar
from phenotype.aces.tree import steps_of
from phenotype.trajectory import INSTANT, Dataset

_KEYS = ["subject_id", "time"]
_INSTANTS = pl.Schema({"subject_id": pl.Int64(), "time": INSTANT})
_ROWS_AT_ONCE = 500_000
_TEXTS = (pl.String, pl.Categorical, pl.Enum)
Column = npt.NDArray[np.int64]
_Atom = tuple[str, ...]
"""Plain predicates of which any one is enough."""


def read_instants(dataset: Dataset, task: AcesTask) -> Instants:
    """The instants of a dataset that a task looks at; subjects without its static facts have none.

    Args:
        dataset: whose events count, whatever the shards and the order of rows.
        task: whose predicates are read.

    Raises:
        InputError: a predicate names a column that the dataset does not have.
    """
    names = _names(task)
    atoms = _Atoms(task)
    wanted = {name: atoms.count(name) for name in names if name not in SPECIAL}
    needed = {name: atoms.holds(name) for name in task.statics}
    bounds = {step.predicate for step in steps_of(task)}
    are_all_places = ANY_EVENT in {task.trigger, *bounds} or any(
        atoms.holds_of_nothing(name) for name in [*wanted, *needed]
    )
    frames = _matched(dataset, task, atoms, has_statics=bool(needed))
    if are_all_places:
        frames.append(_all_instants(dataset))
    elif {RECORD_START, RECORD_END} & set(names):
        frames += _ends_of_records(dataset)
    zero = [pl.col(column).fill_null(0) for column in atoms.columns]
    grouped = (
        pl.concat(frames, how="diagonal").with_columns(zero).group_by(_KEYS).agg(pl.col(atoms.columns).sum())
    )
    if needed:
        is_static = pl.all_horizontal(needed.values())
        subjects = grouped.filter(pl.col("time").is_null() & is_static).select("subject_id")
        grouped = grouped.join(subjects, on="subject_id", how="semi")
    counts = [count.cast(pl.Int64).alias(f"count:{name}") for name, count in wanted.items()]
    counted = grouped.drop_nulls("time").sort(_KEYS).select(*_KEYS, *counts)
    has_more = ANY_EVENT in names and not are_all_places
    return Instants(
        *_numbers(counted),
        {name: counted[f"count:{name}"].to_numpy() for name in wanted},
        Instants(*_numbers(_in_order(_all_instants(dataset).drop_nulls("time")))) if has_more else None,
    )


def _numbers(instants: pl.DataFrame) -> tuple[Column, Column]:
    return instants["subject_id"].to_numpy(), instants["time"].to_physical().to_numpy()


def _in_order(instants: pl.DataFrame) -> pl.DataFrame:
    """Instants sorted and unique; those that are so already cost one look."""
    subjects, times = _numbers(instants)
    later = (subjects[1:] > subjects[:-1]) | ((subjects[1:] == subjects[:-1]) & (times[1:] > times[:-1]))
    return instants if later.all() else instants.unique().sort(_KEYS)


def _names(task: AcesTask) -> list[str]:
    """The predicates whose counts the windows and the trigger need, special ones among them."""
    names = [task.trigger]
    for window in task.windows.values():
        bounds = [bound.predicate for bound in (window.anchor, window.reach) if bound.predicate]
        names += [*bounds, *window.has, *([window.label] if window.label else [])]
    return list(dict.fromkeys(names))


class _Atoms:
    """The tests on single events that the predicates of a task are made of, each asked for once.

    Attributes:
        columns: name of a count's column -> its atom.
    """

    def __init__(self, task: AcesTask) -> None:
        self.task = task
        self.columns: dict[str, _Atom] = {}

    def count(self, name: str) -> pl.Expr:
        """How often a predicate holds at an instant."""
        if isinstance(self.task.predicates[name], PlainPredicate):
            return self._column((name,))
        return self.holds(name)

    def holds(self, name: str) -> pl.Expr:
        """Whether a predicate holds at an instant; a static one holds always, for whom it holds at all."""
        predicate = self.task.predicates[name]
        if isinstance(predicate, PlainPredicate):
            return self._column((name,)) > 0
        parts = [self._holds_as_input(source) for source in predicate.inputs if not self._is_plain(source)]
        plain = [source for source in predicate.inputs if self._is_plain(source)]
        if predicate.operator == "and":
            return pl.all_horizontal([*parts, *[self._column((source,)) > 0 for source in plain]])
        return pl.any_horizontal([*parts, *([self._column(tuple(sorted(set(plain)))) > 0] if plain else [])])

    def holds_of_nothing(self, name: str) -> bool:
        """Whether a predicate holds at an instant without any event that it names."""
        predicate = self.task.predicates[name]
        if isinstance(predicate, PlainPredicate):
            return False
        parts = [self._is_static(source) or self.holds_of_nothing(source) for source in predicate.inputs]
        return all(parts) if predicate.operator == "and" else any(parts)

    def _holds_as_input(self, name: str) -> pl.Expr:
        return pl.lit(value=True) if self._is_static(name) else self.holds(name)

    def _is_plain(self, name: str) -> bool:
        return isinstance(self.task.predicates[name], PlainPredicate) and not self._is_static(name)

    def _is_static(self, name: str) -> bool:
        predicate = self.task.predicates[name]
        return isinstance(predicate, PlainPredicate) and predicate.static

    def _column(self, atom: _Atom) -> pl.Expr:
        name = next((name for name, known in self.columns.items() if known == atom), f"n:{len(self.columns)}")
        self.columns[name] = atom
        return pl.col(name)


def _matched(dataset: Dataset, task: AcesTask, atoms: _Atoms, *, has_statics: bool) -> list[pl.DataFrame]:
    """subject_id, time and one count an atom, by shard: the instants with an event that some atom names."""
    codes = _codes(dataset)
    tests, conditions = _tests(task, atoms, codes)
    columns = [name for name in tests.columns if name != "code"]
    counts = {name: pl.any_horizontal(parts).cast(pl.UInt32) for name, parts in conditions.items()}
    tests = tests.filter(pl.any_horizontal(columns)) if columns else tests.clear()
    asked = tests["code"].implode()
    others = [pair for predicate in _plains(task) for pair in predicate.other_columns.items()]
    frames = []
    for file in dataset.shards if counts else ():
        events = _scan(dataset, file, others).filter(
            pl.col("code").is_in(asked) & (pl.lit(has_statics) | pl.col("time").is_not_null())
        )
        named = events.join(tests.lazy(), on="code", how="inner").select(*_KEYS, **counts)
        held = named.filter(pl.any_horizontal(pl.col(list(counts)) > 0)).group_by(_KEYS).agg(pl.all().sum())
        frames.append(held.collect(engine="streaming"))
    return frames or [pl.DataFrame(schema=_INSTANTS)]


def _codes(dataset: Dataset) -> pl.Series:
    """Every code of the dataset, once."""
    parts = [pl.scan_parquet(file).select(pl.col("code").cast(pl.String)) for file in dataset.shards]
    return pl.concat(parts).unique().collect(engine="streaming")["code"].sort()


def _tests(task: AcesTask, atoms: _Atoms, codes: pl.Series) -> tuple[pl.DataFrame, dict[str, list[pl.Expr]]]:
    """Which codes each atom names, and what further condition their events must meet.

    Returns:
        code and one boolean column a test; and for each atom the tests of which any one is enough, each with
        its condition on the event.
    """
    tests: dict[str, pl.Expr] = {}
    conditions: dict[str, list[pl.Expr]] = {}
    for column, atom in atoms.columns.items():
        alike: dict[str, list[PlainPredicate]] = {}
        for name in atom:
            predicate = task.predicates[name]
            if isinstance(predicate, PlainPredicate):
                key = predicate.model_dump_json(exclude={"code", "static"})
                alike.setdefault(key, []).append(predicate)
        conditions[column] = []
        for predicates in alike.values():
            test = f"test:{len(tests)}"
            tests[test] = _code_test(predicates)
            conditions[column].append(pl.all_horizontal([pl.col(test), *_event_tests(predicates[0])]))
    return pl.DataFrame({"code": codes}).with_columns(**tests), conditions


def _code_test(predicates: Sequence[PlainPredicate]) -> pl.Expr:
    """Whether a code is named by any of these predicates."""
    exactly = sorted({code for predicate in predicates for code in predicate.code.exactly})
    patterns = [predicate.code.regex for predicate in predicates if predicate.code.regex is not None]
    searches = [pl.col("code").str.contains(pattern) for pattern in patterns]
    return pl.any_horizontal([pl.col("code").is_in(exactly), *searches])


def _event_tests(predicate: PlainPredicate) -> list[pl.Expr]:
    """What else an event must be than of a named code; an event without a value meets no bound."""
    value = pl.col("numeric_value")
    tests = []
    if predicate.value_min is not None:
        least = predicate.value_min
        tests.append(value >= least if predicate.value_min_inclusive else value > least)
    if predicate.value_max is not None:
        most = predicate.value_max
        tests.append(value <= most if predicate.value_max_inclusive else value < most)
    return tests + [pl.col(column) == wanted for column, wanted in predicate.other_columns.items()]


def _plains(task: AcesTask) -> Iterable[PlainPredicate]:
    return [one for one in task.predicates.values() if isinstance(one, PlainPredicate)]


def _scan(dataset: Dataset, file: Path, others: Sequence[tuple[str, Scalar]]) -> pl.LazyFrame:
    """The columns of one shard that predicates may name."""
    scan = pl.scan_parquet(file)
    schema = scan.collect_schema()
    problems = [
        Problem(
            "a predicate of this task names a column that the dataset does not have, or not of this type",
            where=file.relative_to(dataset.path).as_posix(),
            found=f"{name}: {type(wanted).__name__}",
            allowed=", ".join(f"{column}: {dtype}" for column, dtype in schema.items()),
            next_step="mend the predicate's extra keys: each is taken for a column and its value",
        )
        for name, wanted in dict(others).items()
        if name not in schema or isinstance(wanted, str) != (schema[name] in _TEXTS)
    ]
    if problems:
        raise InputError(problems)
    value = pl.col("numeric_value") if "numeric_value" in schema else pl.lit(None, dtype=pl.Float32)
    return scan.select(
        pl.col("subject_id").cast(pl.Int64),
        pl.col("time").cast(INSTANT),
        pl.col("code").cast(pl.String),
        value.alias("numeric_value"),
        *sorted({name for name, _ in others} - {"subject_id", "time", "code", "numeric_value"}),
    )


def _all_instants(dataset: Dataset) -> pl.DataFrame:
    """Every instant, static facts among them; repetitions that do not stand together are still there."""
    pieces = [pl.DataFrame(schema=_INSTANTS)]
    for file in dataset.shards:
        scan = _scan(dataset, file, ()).select(_KEYS)
        n_rows = int(scan.select(pl.len()).collect().item())
        parts = (scan.slice(start, _ROWS_AT_ONCE) for start in range(0, n_rows, _ROWS_AT_ONCE))
        pieces.extend(_without_repetitions(part.collect()) for part in parts)
    return _without_repetitions(pl.concat(pieces))


def _without_repetitions(instants: pl.DataFrame) -> pl.DataFrame:
    """The instants that differ from the one before."""
    is_new = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in _KEYS)
    return instants.filter(is_new | (pl.int_range(pl.len()) == 0))


def _ends_of_records(dataset: Dataset) -> list[pl.DataFrame]:
    """The first and the last instant of each subject."""
    shards = [_scan(dataset, file, ()).select(_KEYS) for file in dataset.shards]
    ends = pl.concat([_ends(shard).collect(engine="streaming") for shard in shards])
    known = _ends(ends.lazy().unpivot(index="subject_id", value_name="time")).collect().drop_nulls("first")
    return [known.select("subject_id", time=pl.col(side)).cast(_INSTANTS) for side in ("first", "last")]


def _ends(instants: pl.LazyFrame) -> pl.LazyFrame:
    return instants.group_by("subject_id").agg(first=pl.col("time").min(), last=pl.col("time").max())
