"""A dataset as coding control sees it: contacts, what is told of each, and their codes.

Nothing is dropped: a contact without codes, without an end or with an end before its start is there, and
whoever judges says what could not be judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import read_yaml, validate
from ontology.errors import InputError, Problem
from ontology.normalising import normalise
from ontology.systems import parts, reading
from ontology.terminology import Ontology
from phenotype.contacts import join_stays, stays
from phenotype.trajectory import BIRTH_CODE, CONTACTS, INSTANT, Dataset

CODED_CONTACTS = pl.Schema(
    {
        **CONTACTS,
        "unit": pl.String(),
        "judged_time": INSTANT,
        "year": pl.Int32(),
        "age_years": pl.Float64(),
        "sex": pl.String(),
    }
)
"""CONTACTS and: unit = `hospital_id/unit_id`, `?` for what is not told; judged_time = the end, else the
start; year = its year; age_years at the start, null where birth is not told; sex = male, female or null."""
CODES = pl.Schema(
    {
        "contact_id": pl.Int64(),
        "stay_id": pl.Int64(),
        "group_no": pl.Int32(),
        "code_no": pl.Int32(),
        "role": pl.String(),
        "code": pl.String(),
        "sent": pl.String(),
        "is_own_code": pl.Boolean(),
        "condition_group_no": pl.Int32(),
        "day": pl.Date(),
        "lineage_id": pl.Int64(),
    }
)
"""code = `SYSTEM//code` as the lists spell it; where no list has it, as its system writes such codes (dots,
case, no spaces, no dagger or asterisk behind it), and as sent where it has no form of its system; is_own_code
= a list has this very code; day = whose list holds: of a procedure its own, of a diagnosis that of the
contact's end."""
FACTS = pl.Schema(
    {"contact_id": pl.Int64(), "fact": pl.String(), "value": pl.String(), "number": pl.Float64()}
)
"""What is told of a contact beside its columns; several rows where several values are told."""
ROLES = ("main", "other", "procedure")
DAYS_A_YEAR = 365.25


class ContactFact(BaseModel):
    """Where one fact about contacts stands in a dataset.

    Attributes:
        title: what it is, for people.
        codes: beginnings of event codes; the rest of the code is the value. A code that ends where the
            beginning does has the event's text as its value, and its number as its number.
        source: what defines the values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    codes: tuple[str, ...] = Field(min_length=1)
    source: str = ""


class ContactFacts(BaseModel):
    """The facts about contacts that rules may ask for, by name.

    Attributes:
        facts: name -> where it stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    facts: Mapping[str, ContactFact]

    @classmethod
    def load(cls, path: Path) -> ContactFacts:
        """The facts that a YAML file names.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return validate(cls, read_yaml(path), where=str(path))


@dataclass(frozen=True)
class CodedRecord:
    """Contacts and codes of one dataset.

    Attributes:
        contacts: columns of CODED_CONTACTS, one row a contact, sorted by contact_id.
        stays: columns of `phenotype.contacts.STAYS`.
        codes: columns of CODES, sorted by contact, role, group and code number.
        facts: columns of FACTS, sorted by contact, fact and value.
        told: names of the facts that the dataset tells of at least one contact.
    """

    contacts: pl.DataFrame
    stays: pl.DataFrame
    codes: pl.DataFrame
    facts: pl.DataFrame
    told: frozenset[str]


def read_coded_record(dataset: Dataset, ontology: Ontology, facts: ContactFacts) -> CodedRecord:
    """The coded record of a dataset.

    Args:
        dataset: whose.
        ontology: the lists by which codes are spelled.
        facts: where facts about contacts stand.

    Raises:
        InputError: contacts share an id, or have none or no subject.
    """
    contacts = _contacts(dataset)
    told = _facts(dataset, facts)
    return CodedRecord(
        contacts=contacts,
        stays=stays(contacts.select(list(CONTACTS))),
        codes=_codes(dataset.codings(), contacts, ontology),
        facts=told,
        told=frozenset(told["fact"].unique()),
    )


def unread_codes(record: CodedRecord) -> pl.DataFrame:
    """Codes that say nothing of a contact: reason and n, how many of them; only reasons with any."""
    is_known = pl.col("contact_id").is_in(record.contacts["contact_id"].implode())
    reason = (
        pl.when(~is_known.fill_null(value=False))
        .then(pl.lit("of no contact in contacts.parquet"))
        .when(pl.col("code").is_null())
        .then(pl.lit("without a code or its system"))
        .when(~pl.col("role").is_in(ROLES).fill_null(value=False))
        .then(pl.lit("neither main, other nor procedure"))
    )
    told = record.codes.select(reason=reason).drop_nulls()
    return told.group_by("reason").agg(n=pl.len().cast(pl.Int64)).sort("reason")


def _contacts(dataset: Dataset) -> pl.DataFrame:
    contacts = dataset.contacts()
    _check_ids(contacts, dataset)
    known = contacts if contacts.height and not contacts["stay_id"].has_nulls() else join_stays(contacts)
    people = _people(dataset)
    judged = pl.coalesce("end_time", "start_time")
    return (
        known.join(people, on="subject_id", how="left")
        .with_columns(
            unit=pl.concat_str(
                pl.col("hospital_id").fill_null("?"), pl.col("unit_id").fill_null("?"), separator="/"
            ),
            judged_time=judged,
            year=judged.dt.year(),
            age_years=(pl.col("start_time") - pl.col("birth_time")).dt.total_hours() / 24 / DAYS_A_YEAR,
        )
        .select(pl.col(name).cast(dtype) for name, dtype in CODED_CONTACTS.items())
        .sort("contact_id")
    )


def _check_ids(contacts: pl.DataFrame, dataset: Dataset) -> None:
    """Raise InputError where contacts share an id or have no subject: nothing could be counted once."""
    n_shared = int(contacts["contact_id"].drop_nulls().is_duplicated().sum())
    faults = {
        f"{n_shared} rows whose contact_id another row has, too": n_shared,
        **{
            f"{contacts[name].null_count()} rows without {name}": contacts[name].null_count()
            for name in ("contact_id", "subject_id")
        },
    }
    if any(faults.values()):
        raise InputError(
            Problem(
                "contacts cannot be told from each other",
                where=str(dataset.path / "contacts.parquet"),
                found="; ".join(words for words, n in faults.items() if n),
                allowed="one row a contact_id, each with a subject_id",
                next_step="find out which rows are right, or ingest the source again",
            )
        )


def _people(dataset: Dataset) -> pl.DataFrame:
    """subject_id, birth_time and sex of the subjects that have either."""
    events = dataset.events().select("subject_id", "time", "code")
    birth = events.filter(pl.col("code") == BIRTH_CODE).group_by("subject_id").agg(pl.col("time").min())
    sex = (
        events.filter(pl.col("code").is_in(["SEX//male", "SEX//female"]))
        .group_by("subject_id")
        .agg(pl.col("code").min().str.strip_prefix("SEX//").alias("sex"))
    )
    return (
        birth.rename({"time": "birth_time"}).join(sex, on="subject_id", how="full", coalesce=True).collect()
    )


def _codes(codings: pl.DataFrame, contacts: pl.DataFrame, ontology: Ontology) -> pl.DataFrame:
    sent = codings.with_columns(sent=pl.concat_str("system", pl.lit("//"), "code"))
    distinct = sent["sent"].drop_nulls().unique().sort()
    own = (
        normalise(distinct, ontology)
        .with_columns(
            is_own_code=pl.col("how").is_in(["exact", "respelled"])
            & (_system("concept") == _system("sent")).fill_null(value=False)
        )
        .select("sent", "concept", "is_own_code", written=pl.col("sent").replace(_written(distinct)))
    )
    owners = contacts.select("contact_id", "stay_id", "judged_time")
    own_day = pl.when(pl.col("role") == "procedure").then("coded_time")
    return (
        sent.join(own, on="sent", how="left")
        .join(owners, on="contact_id", how="left")
        .with_columns(
            code=pl.when("is_own_code").then("concept").otherwise("written"),
            is_own_code=pl.col("is_own_code").fill_null(value=False),
            day=pl.coalesce(own_day, "judged_time").dt.date(),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in CODES.items())
        .sort("contact_id", "role", "group_no", "code_no", "code", nulls_last=True)
    )


def _written(codes: pl.Series) -> Mapping[str, str]:
    """`SYSTEM//code` -> the same as its system writes it, of those that have a form of their system."""
    found = {}
    for sent in codes:
        system, code = parts(sent)
        read = reading(system, code)
        if read.level is not None:
            found[sent] = f"{system}//{read.written}"
    return found


def _facts(dataset: Dataset, facts: ContactFacts) -> pl.DataFrame:
    """The facts that the events of a dataset tell of contacts, columns of FACTS."""
    found = [_fact(dataset, name, code) for name, fact in facts.facts.items() for code in fact.codes]
    if not found:
        return pl.DataFrame(schema=FACTS)
    return pl.concat(pl.collect_all(found)).unique().sort("contact_id", "fact", "value", "number")


def _fact(dataset: Dataset, name: str, code: str) -> pl.LazyFrame:
    rest = pl.col("code").str.strip_prefix(code)
    return (
        dataset.events()
        .filter(pl.col("contact_id").is_not_null() & pl.col("code").str.starts_with(code))
        .select(
            "contact_id",
            fact=pl.lit(name),
            value=pl.when(rest == "").then("text_value").otherwise(rest),
            number=pl.col("numeric_value").cast(pl.Float64),
        )
    )


def _system(column: str) -> pl.Expr:
    return pl.col(column).str.extract("^(.*?)//")
