"""Ways to plant faults into a simulated hospital's dataset: rows changed, repeated, taken out, moved."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

HOUR, DAY = pl.duration(hours=1), pl.duration(days=1)
TIME, CODE, VALUE = pl.col("time"), pl.col("code"), pl.col("numeric_value")
OF_2020 = pl.col("start_time").dt.year() == 2020


@dataclass(frozen=True)
class Hospital:
    """A dataset in memory: its tables, its account and metadata, and how it is written."""

    events: pl.DataFrame
    contacts: pl.DataFrame
    codings: pl.DataFrame
    observation: pl.DataFrame
    lineage: pl.DataFrame
    account: dict[str, Any]
    metadata: dict[str, Any]
    codes: tuple[str, ...]
    is_sorted: bool = True
    torn_subject: int | None = None

    @property
    def people(self) -> pl.DataFrame:
        """subject_id, birth, death, n (events), sorted by n."""
        of_code = {"birth": "MEDS_BIRTH", "death": "MEDS_DEATH"}
        times = {name: TIME.filter(code == CODE).min() for name, code in of_code.items()}
        is_male = (CODE == "SEX//male").any()
        return (
            self.events.group_by("subject_id")
            .agg(n=pl.len(), is_male=is_male, **times)
            .sort("n", "subject_id")
        )


def read_hospital(path: Path) -> Hospital:
    """A dataset from its folder."""
    tables = {
        name: pl.read_parquet(path / f"{name}.parquet")
        for name in ("contacts", "codings", "observation", "lineage")
    }
    return Hospital(
        events=pl.read_parquet(sorted((path / "data").glob("*.parquet"))),
        account=json.loads((path / "ingest.json").read_text("utf-8")),
        metadata=json.loads((path / "metadata" / "dataset.json").read_text("utf-8")),
        codes=tuple(pl.read_parquet(path / "metadata" / "codes.parquet")["code"]),
        **tables,
    )


def write_hospital(hospital: Hospital, path: Path) -> None:
    """A dataset's folder, in two shards."""
    shutil.rmtree(path, ignore_errors=True)
    for name in ("data", "metadata"):
        (path / name).mkdir(parents=True)
    events = hospital.events
    if hospital.is_sorted:
        events = events.sort("subject_id", "time", "code", nulls_last=False)
    shard = pl.col("subject_id") % 2
    if hospital.torn_subject is not None:
        is_torn = (pl.col("subject_id") == hospital.torn_subject) & (pl.int_range(pl.len()) % 2 == 0)
        shard = pl.when(is_torn).then(1 - shard).otherwise(shard)
    for number in (0, 1):
        events.filter(shard == number).write_parquet(path / "data" / f"{number}.parquet")
    for name in ("contacts", "codings", "observation", "lineage"):
        table: pl.DataFrame = getattr(hospital, name)
        table.write_parquet(path / f"{name}.parquet")
    (path / "ingest.json").write_text(json.dumps(hospital.account), "utf-8")
    (path / "metadata" / "dataset.json").write_text(json.dumps(hospital.metadata), "utf-8")
    pl.DataFrame({"code": hospital.codes}).write_parquet(path / "metadata" / "codes.parquet")


Plant = Callable[[Hospital], Hospital]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what is planted.
        plant: puts it into a hospital.
        found: ids of the checks that must fail anew, and no others.
        ceased: ids of the checks that must hold although they did not before.
    """

    name: str
    plant: Plant
    found: frozenset[str]
    ceased: frozenset[str] = field(default_factory=frozenset)


def some(among: pl.Expr, share: float) -> pl.Expr:
    """A fixed part of the rows for which a condition holds, scattered over them without a pattern."""
    among = among.fill_null(value=False)
    return among & (among.cum_sum() * 7919 % 10_007 < round(10_007 * share))


def first(among: pl.Expr, n: int) -> pl.Expr:
    """The first rows for which a condition holds."""
    among = among.fill_null(value=False)
    return among & (among.cum_sum() <= n)


def changed(table: str, is_planted: pl.Expr, **values: Any) -> Plant:
    """Columns of a table overwritten where a condition holds; text is a value, not a column."""

    def plant(hospital: Hospital) -> Hospital:
        rows: pl.DataFrame = getattr(hospital, table)
        marked = rows.with_columns(_planted=is_planted)
        assert marked["_planted"].any(), "nothing was planted"
        columns = {
            name: pl.when("_planted")
            .then(pl.lit(value) if not isinstance(value, pl.Expr) else value)
            .otherwise(name)
            for name, value in values.items()
        }
        cast = [column.cast(rows.schema[name]).alias(name) for name, column in columns.items()]
        return replace(hospital, **{table: marked.with_columns(cast).drop("_planted")})

    return plant


def without(table: str, is_planted: pl.Expr) -> Plant:
    """Rows taken out of a table."""

    def plant(hospital: Hospital) -> Hospital:
        rows: pl.DataFrame = getattr(hospital, table)
        kept = rows.filter(~is_planted.fill_null(value=False))
        assert kept.height < rows.height, "nothing was planted"
        return replace(hospital, **{table: kept})

    return plant


def repeated(table: str, is_planted: pl.Expr, **values: Any) -> Plant:
    """Rows of a table put in once more, with some columns changed."""

    def plant(hospital: Hospital) -> Hospital:
        rows: pl.DataFrame = getattr(hospital, table)
        more = rows.filter(is_planted)
        assert more.height, "nothing was planted"
        columns = [
            (pl.lit(value) if not isinstance(value, pl.Expr) else value).cast(rows.schema[name]).alias(name)
            for name, value in values.items()
        ]
        return replace(hospital, **{table: pl.concat([rows, more.with_columns(columns)])})

    return plant


def then(*plants: Plant) -> Plant:
    """Several changes one after another."""

    def plant(hospital: Hospital) -> Hospital:
        for one in plants:
            hospital = one(hospital)
        return hospital

    return plant


def accounted(change: Callable[[dict[str, Any]], None]) -> Plant:
    """The account of ingestion with a change."""

    def plant(hospital: Hospital) -> Hospital:
        account = copy.deepcopy(hospital.account)
        change(account)
        return replace(hospital, account=account)

    return plant


def _dead(hospital: Hospital) -> pl.DataFrame:
    return hospital.people.filter(pl.col("death").is_not_null()).select("subject_id", "death")


def after_death(share: float, days: int) -> Plant:
    """A share of the laboratory results of those who died, moved to days after their death."""

    def plant(hospital: Hospital) -> Hospital:
        events = hospital.events.join(_dead(hospital), on="subject_id", how="left", maintain_order="left")
        is_moved = some(CODE.str.starts_with("NLK//") & pl.col("death").is_not_null(), share)
        later = pl.col("death") + pl.duration(days=days)
        moved = events.with_columns(_moved=is_moved).with_columns(
            time=pl.when("_moved").then(later).otherwise("time"),
            known_time=pl.when("_moved").then(later + HOUR).otherwise("known_time"),
        )
        return replace(hospital, events=moved.drop("death", "_moved"))

    return plant


def before_birth(hospital: Hospital) -> Hospital:
    births = hospital.people.select("subject_id", "birth")
    events = hospital.events.join(births, on="subject_id", how="left", maintain_order="left")
    is_moved = some(CODE.str.starts_with("NLK//"), 0.001)
    early = pl.col("birth") - pl.duration(days=10)
    moved = events.with_columns(_moved=is_moved).with_columns(
        time=pl.when("_moved").then(early).otherwise("time"),
        known_time=pl.when("_moved").then(early + HOUR).otherwise("known_time"),
    )
    return replace(hospital, events=moved.drop("birth", "_moved"))


def contacts_after_death(hospital: Hospital) -> Hospital:
    contacts = hospital.contacts.join(_dead(hospital), on="subject_id", how="left", maintain_order="left")
    is_moved = first((pl.col("care_level") == "outpatient") & pl.col("death").is_not_null(), 12)
    later = pl.col("death") + pl.duration(days=5)
    moved = contacts.with_columns(_moved=is_moved).with_columns(
        start_time=pl.when("_moved").then(later).otherwise("start_time"),
        end_time=pl.when("_moved").then(later + HOUR).otherwise("end_time"),
    )
    return replace(hospital, contacts=moved.drop("death", "_moved"))


def of_living(among: pl.Expr, share: float, **values: Any) -> Plant:
    """A share of the events of those who did not die, changed."""

    def plant(hospital: Hospital) -> Hospital:
        alive = hospital.people.filter(pl.col("death").is_null())["subject_id"]
        return changed("events", some(among & pl.col("subject_id").is_in(alive.implode()), share), **values)(
            hospital
        )

    return plant


def of_subjects(
    table: str, choose: Callable[[pl.DataFrame], pl.Series], among: pl.Expr, **values: Any
) -> Plant:
    """Rows of chosen subjects, changed; without values they are taken out."""

    def plant(hospital: Hospital) -> Hospital:
        chosen = choose(hospital.people).implode()
        where = pl.col("subject_id").is_in(chosen) & among
        return (changed(table, where, **values) if values else without(table, where))(hospital)

    return plant


def quietest(people: pl.DataFrame) -> pl.Series:
    """The subject with the fewest events of those with ten or more."""
    return people.filter(pl.col("n") >= 10)["subject_id"].head(1)


def busiest(people: pl.DataFrame) -> pl.Series:
    """The living subject with the most events."""
    return people.filter(pl.col("death").is_null())["subject_id"].tail(1)


def each(n: int) -> Callable[[pl.DataFrame], pl.Series]:
    """Each n-th subject."""
    return lambda people: people["subject_id"].gather_every(n)


def more_people(hospital: Hospital) -> Hospital:
    """As many as a fifth of the subjects again, of whom nothing is known but birth and sex."""
    static = CODE.str.starts_with("SEX//") | (CODE == "MEDS_BIRTH")
    chosen = hospital.people["subject_id"].gather_every(5).implode()
    new = pl.col("subject_id") + 1
    events = hospital.events.filter(static & pl.col("subject_id").is_in(chosen)).with_columns(new)
    windows = hospital.observation.filter(pl.col("subject_id").is_in(chosen)).with_columns(new)
    return replace(
        hospital,
        events=pl.concat([hospital.events, events]),
        observation=pl.concat([hospital.observation, windows]),
    )


def events_of_one(hospital: Hospital) -> Hospital:
    """A subject with 300,001 events more, one each ten minutes."""
    subject = int(busiest(hospital.people)[0])
    start = dt.datetime(2016, 2, 1)
    n = 300_001
    times = pl.datetime_range(
        start, start + dt.timedelta(minutes=10 * (n - 1)), "10m", eager=True, time_unit="us"
    )
    rows = pl.DataFrame({"time": times}).with_columns(
        subject_id=pl.lit(subject), code=pl.lit("MONITOR//alive")
    )
    lineage = pl.lit(int(hospital.lineage["lineage_id"][0]))
    schema = hospital.events.schema
    whole = rows.with_columns(lineage_id=lineage).select(
        (pl.col(name) if name in {"time", "subject_id", "code", "lineage_id"} else pl.lit(None))
        .cast(dtype)
        .alias(name)
        for name, dtype in schema.items()
    )
    return replace(hospital, events=pl.concat([hospital.events, whole]))


def valid_number() -> str:
    """A valid synthetic national number."""
    return next(valid_numbers())


def numbers_as_ids(hospital: Hospital) -> Hospital:
    """All subjects under synthetic national numbers instead of pseudonyms."""
    subjects = hospital.people["subject_id"].sort()
    numbers = [int(number) for number, _ in zip(valid_numbers(), subjects, strict=False)]
    renamed = pl.col("subject_id").replace_strict(subjects, numbers, return_dtype=pl.Int64)
    tables = {
        name: getattr(hospital, name).with_columns(renamed) for name in ("events", "contacts", "observation")
    }
    return replace(hospital, **tables)


def valid_numbers() -> Iterator[str]:
    """Valid synthetic national numbers, their control digits worked as the rule is written."""
    for day, individual in itertools.product(range(1, 29), range(100, 200)):
        digits = [int(digit) for digit in f"{day:02}8190{individual}"]
        for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)):
            digits.append(-sum(w * d for w, d in zip(weights, digits, strict=True)) % 11)
        if max(digits) < 10:
            yield "".join(map(str, digits))


def per_unit(unit: str, years: tuple[int, ...]) -> pl.Expr:
    """Contacts of a unit that began in some years."""
    return (pl.col("unit_id") == unit) & pl.col("start_time").dt.year().is_in(years)


def of_contacts(table: str, contacts: pl.Expr, among: pl.Expr) -> Plant:
    """Rows of chosen contacts taken out."""

    def plant(hospital: Hospital) -> Hospital:
        chosen = hospital.contacts.filter(contacts)["contact_id"].implode()
        return without(table, pl.col("contact_id").is_in(chosen) & among)(hospital)

    return plant


def more_codes(contacts: pl.Expr, codes: tuple[str, ...]) -> Plant:
    """More conditions for chosen contacts, one of each code."""

    def plant(hospital: Hospital) -> Hospital:
        chosen = hospital.contacts.filter(contacts)["contact_id"].implode()
        mains = hospital.codings.filter((pl.col("role") == "main") & pl.col("contact_id").is_in(chosen))
        more = [
            mains.with_columns(
                role=pl.lit("other"), code=pl.lit(code), group_no=pl.lit(50 + place, dtype=pl.Int32)
            )
            for place, code in enumerate(codes)
        ]
        return replace(hospital, codings=pl.concat([hospital.codings, *more]))

    return plant


def in_men(code: str) -> Plant:
    """A code in thirty diagnoses of men of 20 to 55."""

    def plant(hospital: Hospital) -> Hospital:
        men = hospital.people.filter("is_male").select("subject_id", "birth")
        events = hospital.events.join(men, on="subject_id", how="left", maintain_order="left")
        years = TIME.dt.year() - pl.col("birth").dt.year()
        is_planted = first(CODE.str.starts_with("ICD10-NO//") & years.is_between(20, 55), 30)
        planted = events.with_columns(code=pl.when(is_planted).then(pl.lit(code)).otherwise("code"))
        return replace(hospital, events=planted.drop("birth", "is_male", strict=False))

    return plant


def of_first_file(**counts: Any) -> Callable[[dict[str, Any]], None]:
    """Counts of the account's largest file, as shares of its rows."""

    def change(account: dict[str, Any]) -> None:
        entry = max(account["files"], key=lambda one: int(one["rows_read"]))
        for name, share in counts.items():
            n = int(share * entry["rows_read"])
            if name == "rows_used":
                entry[name] = entry["rows_read"] - n
            else:
                entry[name] = {"planted": n}

    return change


IN_NLK, IN_VITAL, IN_ATC = (CODE.str.starts_with(f"{name}//") for name in ("NLK", "VITAL", "ATC"))
IN_ICD = CODE.str.starts_with("ICD10-NO//")
CREATININE, CRP, SODIUM = (f"NLK//{code}" == CODE for code in ("NPU04998", "NPU19748", "NPU03429"))
SINCE_2021 = TIME.dt.year() >= 2021
INPATIENT = pl.col("care_level") == "inpatient"
SENT_HOME = pl.col("discharged_to") == "home"
OUTPATIENT = pl.col("care_level") == "outpatient"
MAIN, OTHER = pl.col("role") == "main", pl.col("role") == "other"
NEW_ID = pl.col("contact_id") + 1
STARTED_EARLY = pl.col("start_time") < dt.datetime(2016, 6, 1)
