"""The mapping language: how one source's tables become events, contacts, codings and observation windows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError, model_validator

from ontology.configuration import find_config, read_yaml, validation_problems
from ontology.errors import ConfigurationError, Problem
from pipelines.sources.fields import (
    CleanStep,
    Condition,
    Encoding,
    NumberField,
    Pattern,
    Scalar,
    Strict,
    Text,
    TimeField,
    Zone,
)

Header = Literal["as_written", "lower"]
Delimiter = Literal["auto"] | Annotated[str, Field(min_length=1, max_length=1)]


def _as_names(given: object) -> object:
    """One name, a list of names, or {name here: name there}."""
    names = [given] if isinstance(given, str) else given
    return {name: name for name in names} if isinstance(names, list) else given


def _as_melt(given: object) -> object:
    """A list of columns, {column: name}, or {column: {name, unit}}."""
    if isinstance(given, list):
        return {name: {} for name in given}
    if isinstance(given, dict):
        return {
            key: {"name": entry} if isinstance(entry, str) else entry or {} for key, entry in given.items()
        }
    return given


class Column(Strict):
    """What is special about one column of a table.

    Attributes:
        null_values: texts that mean "not known" here, beside the table's own.
        clean: steps applied to the text once nulls are out.
        optional: whether a file may lack the column; it is then null.
    """

    null_values: tuple[Scalar, ...] = ()
    clean: tuple[CleanStep, ...] = ()
    optional: bool = False


class Join(Strict):
    """Columns taken from another table of the mapping.

    Attributes:
        table: the other table; its own filters and joins have been applied.
        by: this table's key columns, and the other's where they are called differently ({here: there}). YAML
            reads a bare `on` as true, so it is called `by`; a quoted "on" is taken too.
        take: the columns taken, and what they are called here.
        miss: what happens to a row without a partner: reject it, or keep it with nulls.
    """

    table: str
    by: Annotated[
        dict[str, str],
        BeforeValidator(_as_names),
        Field(min_length=1, validation_alias=AliasChoices("by", "on")),
    ]
    take: Annotated[dict[str, str], BeforeValidator(_as_names), Field(min_length=1)]
    miss: Literal["reject", "keep"] = "reject"


class MeltColumn(Strict):
    """What one melted column says of itself: `{_name}` in templates, and its unit."""

    name: str | None = None
    unit: str | None = None


class Split(Strict):
    """A column with several texts in a cell ("428.0, I50.9"): one output each, `{_cell}`, number `{_no}`."""

    column: str
    separator: Annotated[str, Field(min_length=1)]


class Output(Strict):
    """What events and codings share: which rows, whose, and how one row becomes several.

    Attributes:
        name: what the accounting calls it.
        when: only rows for which all conditions hold.
        subject: the source's patient id; the table's own where it is not given.
        contact: the source's contact id; the table's own where it is not given.
        melt: columns that become one output for each cell that is not null; `{_name}` and `{_cell}` name the
            column and the cell, `{_no}` counts the columns from 1.
        split: a column that becomes one output for each of its parts.
    """

    name: str | None = None
    when: tuple[Condition, ...] = ()
    subject: Text | None = None
    contact: Text | None = None
    melt: Annotated[dict[str, MeltColumn], BeforeValidator(_as_melt)] | None = None
    split: Split | None = None


class Event(Output):
    """One fact a row (or a cell, when melted).

    Attributes:
        time: when it happened; "static" for facts without a time, of no contact unless the event names one.
        known_time: when it could be known, where that is later.
        code: SYSTEM//code, as a template.
        value: the number; a text that is none is a reject.
        text: the text value.
        value_or_text: a column read as a number where it is one, else as text.
        unit: the unit of the value.
        sent_value: for the lineage, where the value is not as it was sent.
        sent_unit: for the lineage, where the value was sent in another unit and is converted.
        description: what codes.parquet says about the code.
        alternates: other codes that the source sent for the same fact, kept in the lineage.
        keep_empty: whether an event whose value and text are all null is still an event.
        once: whether equal events of one subject are written once, as for facts repeated on every row.
        free_text: whether the text is somebody's own words, which the identity policy drops unless told
            otherwise; the event itself stays.
    """

    time: TimeField
    known_time: TimeField | None = None
    code: Text
    value: NumberField | None = None
    text: Text | None = None
    value_or_text: str | None = None
    unit: Text | None = None
    sent_value: Text | None = None
    sent_unit: Text | None = None
    description: Text | None = None
    alternates: Text | None = None
    keep_empty: bool = False
    once: bool = False
    free_text: bool = False


class Contact(Strict):
    """What one unit reports. Rows with one id are combined: the earliest start, the latest end.

    Attributes:
        id: the source's contact id.
        when: only rows for which all conditions hold.
        subject: the source's patient id; the table's own where it is not given.
        start, end: admission and discharge; an end before the start is a rejected field.
        care_level: inpatient, day, outpatient, emergency or icu.
        urgency: acute, planned or null.
        unit, hospital, admitted_from, discharged_to: as texts; discharged_to is "death" where they died.
        referral_period: the source's id of it.
        events: whether CONTACT//<care_level> and CONTACT_END//<care_level> are written.
        end_known_time: when the discharge could be known, where the end is only known to the day.
    """

    id: Text
    name: str | None = None
    when: tuple[Condition, ...] = ()
    subject: Text | None = None
    start: TimeField | None = None
    end: TimeField | None = None
    care_level: Text | None = None
    urgency: Text | None = None
    unit: Text | None = None
    hospital: Text | None = None
    admitted_from: Text | None = None
    discharged_to: Text | None = None
    referral_period: Text | None = None
    events: bool = True
    end_known_time: TimeField | None = None


class Coding(Output):
    """One code that a contact reports, as codings.parquet has it; write an event beside it for models to see.

    Attributes:
        system: the code system ("ICD10-NO").
        version: its version or year.
        code: the code without its system.
        role: main, other or procedure.
        sequence: the role from a column instead: its number 1 is the main condition, the rest are others.
        group_no, code_no, condition_group_no: whole numbers, as templates.
        coded_time: when it was coded.
    """

    system: Text
    version: Text | None = None
    code: Text
    role: Text | None = None
    sequence: str | None = None
    group_no: Text | None = None
    code_no: Text | None = None
    condition_group_no: Text | None = None
    coded_time: TimeField | None = None

    @model_validator(mode="after")
    def _has_one_role(self) -> Self:
        if (self.role is None) == (self.sequence is None):
            message = "a coding has either a role or a sequence column"
            raise ValueError(message)
        return self


class Observation(Strict):
    """A time in which what happened would have been seen.

    Attributes:
        source: where it is from; the mapping's name where it is not given.
        start, end: its ends.
        end_reason: extract end, emigration, death...
        combine: whether a subject's rows make one window, from the earliest start to the latest end.
    """

    name: str | None = None
    when: tuple[Condition, ...] = ()
    subject: Text | None = None
    source: Text | None = None
    start: TimeField
    end: TimeField
    end_reason: Text | None = None
    combine: bool = False


class Table(Strict):
    """One table: where its files are, how they are read, and what its rows become.

    Attributes:
        files: glob patterns under the input folder (or of the input file itself); the first that finds any
            file counts. A record reader finds its own.
        optional: whether the source may lack the table.
        file_columns: a regular expression over a file's path under the input, whose named groups become
            columns that the file itself lacks: one file a patient with the id in its name.
        column_names: the columns of files without a header.
        header: lower where the names of a file's columns are taken in lower case, however they are written.
        any_case: whether the names of files may be written in any letter case.
        delimiter: taken from the ending where it is not given (csv and txt: comma, tsv: tab, psv: bar);
            "auto" is the one of comma, semicolon, tab and bar that the header has most of.
        encoding: utf-8 where it is not given; latin-1, cp1252...
        null_values: texts that mean "not known" in every column; an empty cell always does.
        columns: what is special about single columns.
        duplicates: what happens to a row that is wholly equal to an earlier one of the file.
        unique: columns that name one row; rows that share them and differ are all rejected.
        filter: rows that fail a condition are ignored, under the condition's name.
        joins: columns taken from other tables.
        derive: new columns as texts, made after the joins, in order.
        subject, contact: the ids that outputs use unless they give their own.
    """

    files: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    ] = ()
    optional: bool = False
    file_columns: Pattern | None = None
    column_names: tuple[str, ...] | None = None
    header: Header = "as_written"
    any_case: bool = False
    delimiter: Delimiter | None = None
    encoding: Encoding = "utf-8"
    null_values: tuple[Scalar, ...] = ()
    columns: dict[str, Column] = Field(default_factory=dict)
    duplicates: Literal["reject", "keep"] = "reject"
    unique: tuple[str, ...] = ()
    filter: tuple[Condition, ...] = ()
    joins: tuple[Join, ...] = ()
    derive: dict[str, Text] = Field(default_factory=dict)
    subject: Text | None = None
    contact: Text | None = None
    events: tuple[Event, ...] = ()
    contacts: tuple[Contact, ...] = ()
    codings: tuple[Coding, ...] = ()
    observation: tuple[Observation, ...] = ()


class SubjectList(Strict):
    """The table that lists the subjects; rows of others about somebody else are rejected."""

    table: str
    column: str


class Mapping(Strict):
    """One source.

    Attributes:
        format: of the mapping language.
        name, title, version, licence, source: what the dataset's metadata say.
        reader: what makes tables of the input: files that are tables, FHIR resources, or NPR messages.
        options: of the reader; see docs/fhir.md and docs/npr.md.
        take_along: "meds" where what the tables of a MEDS folder cannot say is written beside the dataset.
        id_space: which sources share patient ids; the name where it is not given.
        time_zone: the zone of every time column that names none.
        nominal_anchor: the instant that stands for "admission" where a source has only relative times.
        header, any_case, delimiter: of every table that does not say it itself.
        max_reject_share: the run stops above this share of rejected rows.
        subjects: the table that lists the subjects, where there is one.
        observe: where subjects without a window get one from: contacts (else events), events, or nowhere.
        tables: by name, in the order in which they are read.
    """

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    version: str = ""
    licence: str = ""
    source: str = ""
    reader: Literal["tables", "fhir", "npr"] = "tables"
    options: dict[str, Any] = Field(default_factory=dict)
    take_along: Literal["meds"] | None = None
    id_space: str | None = None
    time_zone: Zone | None = None
    nominal_anchor: datetime | None = None
    header: Header = "as_written"
    any_case: bool = False
    delimiter: Delimiter | None = None
    max_reject_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    subjects: SubjectList | None = None
    observe: Literal["contacts", "events", "none"] = "contacts"
    tables: Annotated[dict[str, Table], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _with_words_for_tables(cls, given: object) -> object:
        tables = given.get("tables") if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(tables, dict):
            return given
        words = {name: given[name] for name in ("header", "any_case", "delimiter") if name in given}
        told = {
            name: {**words, **table} if isinstance(table, dict) else table for name, table in tables.items()
        }
        return {**given, "tables": told}


def load_mapping(name_or_path: str | Path) -> Mapping:
    """The mapping of a shipped source, or of a YAML file.

    A mapping that `extends` another is laid over it: keys that both have as mappings are merged, all else is
    replaced.

    Raises:
        ConfigurationError: with every fault of the file: unknown keys, wrong values, names that lead nowhere.
    """
    from pipelines.sources.references import reference_problems

    file = find_config("sources", name_or_path)
    content = _with_base(read_yaml(file), (file,))
    problems = []
    mapping = None
    try:
        mapping = Mapping.model_validate(content)
    except ValidationError as error:
        problems = validation_problems(error, where=file.name)
    problems += reference_problems(content, where=file.name)
    if mapping is None or problems:
        raise ConfigurationError(problems)
    return mapping


def _with_base(content: dict[str, Any], chain: tuple[Path, ...]) -> dict[str, Any]:
    """The content laid over that of the mapping which it extends, if it extends one."""
    if "extends" not in content:
        return content
    base = find_config("sources", str(content["extends"]))
    if base in chain:
        names = " -> ".join(path.name for path in (*chain, base))
        raise ConfigurationError(
            Problem(
                "mappings extend each other in a circle", chain[0].name, names, next_step="break the circle"
            )
        )
    own = {key: value for key, value in content.items() if key != "extends"}
    return _laid_over(own, _with_base(read_yaml(base), (*chain, base)))


def _laid_over(upper: dict[str, Any], lower: dict[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for key, value in upper.items():
        under = lower.get(key)
        both = isinstance(value, dict) and isinstance(under, dict)
        merged[key] = _laid_over(value, under) if both and isinstance(under, dict) else value
    return merged
