"""What each table may become: events, contacts and codings as a mapping says them, each with its reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines.sources.suggesting.names import compact, name_lists
from pipelines.sources.suggesting.relations import Relations, knows
from pipelines.sources.suggesting.roles import Column, Roles

MOST_CATEGORIES = 60
NOMINAL_ANCHOR = "2000-01-01 00:00:00"
_NO_TIME = "time a guess: none was found; without one this tells the future: correct it"
_ID_LIKE = re.compile(r".*(id|nr|num|nummer|number|key|no|code|cd)$")
_DIAGNOSES = frozenset({"ICD10", "ICD10-NO", "ICD9CM"})
_PROCEDURES = frozenset({"NCSP+NCMP", "NCSP", "NCMP", "ICD9PCS"})
_CLEAN = {
    "ICD10": "icd10_dot",
    "ICD10-NO": "icd10_dot",
    "ICD9CM": "icd9_dot",
    "ICD9PCS": "icd9_procedure_dot",
}


@dataclass
class Suggested:
    """One table of the mapping: plain content, and why each output is as it is.

    Attributes:
        content: of the table, without the lists of outputs.
        outputs: by list (events, contacts, codings): content and comments of each.
        notes: comments for keys of the table.
        unused: columns without a place, with the reason.
    """

    roles: Roles
    content: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, list[tuple[dict[str, Any], list[str]]]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    unused: list[tuple[str, str]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def add(self, kind: str, content: dict[str, Any], *why: str) -> None:
        """One output with its reasons."""
        told = {key: value for key, value in content.items() if value is not None}
        self.outputs.setdefault(kind, []).append((told, [reason for reason in why if reason]))


@dataclass(frozen=True)
class Moment:
    """When a table's facts happened: times as a mapping writes them, and why."""

    time: Any
    known: Any
    end: Any
    why: str


def suggest_table(told: Roles, relations: Relations, *, is_norwegian: bool) -> Suggested | None:
    """What a table may become; None where nothing ties it to a patient.

    Args:
        told: the roles of its columns.
        relations: what ties the tables.
        is_norwegian: whether ICD-10 codes are taken for those of the Norwegian edition.
    """
    made = Suggested(told)
    if not _whose(made, relations):
        return None
    moment = _moment(made, relations)
    _people(made, relations)
    if told is relations.contacts and moment.end is not None:
        _contact(made, moment)
    if told.codes:
        _coded(made, moment, is_norwegian=is_norwegian)
    else:
        _wide(made, moment)
    if not told.codes or told is relations.contacts:
        _categories(made, moment)
    _leave(made)
    return made


def _whose(made: Suggested, relations: Relations) -> bool:
    """The subject and the contact of a table, borrowed from the table of contacts where it has no subject."""
    told, owner = made.roles, relations.contacts
    if told.contact:
        made.content["contact"] = f"{{{told.contact.column.name}}}"
        made.notes["contact"] = told.contact.note
    if told.subject:
        made.content["subject"] = f"{{{told.subject.column.name}}}"
        made.notes["subject"] = told.subject.note
    elif told.table.has_own_subject:
        made.content["file_columns"] = r"(?P<subject>\d+)[^/\d]*$"
        made.content["subject"] = "{subject}"
        made.notes["subject"] = "likely: one file a patient, called by its number"
    elif owner and owner.subject and _is_tied(told, owner):
        made.content["subject"] = f"{{{owner.subject.column.name}}}"
        made.notes["subject"] = f"likely: {owner.table.name} says whose each contact is"
        _join(made, owner, owner.subject.column.name)
    elif told.contact and owner is None:
        made.content["subject"] = f"{{{told.contact.column.name}}}"
        made.notes["subject"] = "a guess: no column tells the patient, so each contact is one"
    else:
        return False
    return True


def _join(made: Suggested, owner: Roles, *names: str) -> None:
    """Columns of the table of contacts for the rows of another."""
    contact = made.roles.contact
    if contact is None:
        return
    joins = made.content.setdefault("joins", [])
    if joins:
        joins[0]["take"] += [name for name in names if name not in joins[0]["take"]]
    else:
        joins.append(
            {"table": owner.table.name, "by": contact.column.name, "take": list(names), "miss": "keep"}
        )


def _moment(made: Suggested, relations: Relations) -> Moment:
    """The table's own times, else those of its contact, else none."""
    told, owner = made.roles, relations.contacts
    end = _time(told.end.column) if told.end else None
    if told.time:
        why = f"time {told.time.note}"
        known = _time(told.known.column, at_end=True) if told.known else _day_end(told.time.column)
        reason = f"; known by {told.known.column.name}, {told.known.note}" if told.known else ""
        return Moment(_time(told.time.column), known, end, why + reason)
    if owner and owner is not told and owner.time and _is_tied(told, owner):
        names = [choice.column.name for choice in (owner.time, owner.end) if choice]
        if not set(names) & set(told.table.rows.columns):
            _join(made, owner, *names)
            start = _time(owner.time.column)
            last = _time(owner.end.column) if owner.end else start
            why = f"time a guess: {told.table.name} has none, so that of the contact in {owner.table.name}"
            return Moment(last if told.codes else start, last, None, why)
    return Moment("static", None, None, _NO_TIME)


def _is_tied(told: Roles, owner: Roles) -> bool:
    """Whether the contacts of a table stand in the table of contacts."""
    return told.contact is not None and knows(owner, told, told.contact.column.name)


def _time(column: Column, *, at_end: bool = False) -> Any:
    """A time as a mapping writes it."""
    if column.is_relative:
        plain = compact(column.name)
        unit = "hours" if "hour" in plain else "days" if "day" in plain else "minutes"
        return {"anchor": "nominal", "offset": column.name, "unit": unit}
    told: dict[str, Any] = {"column": column.name}
    if column.shape.is_number:
        told["formats"] = ["%Y"]
    elif column.shape.formats:
        told["formats"] = list(column.shape.formats)
    if at_end and column.shape.kind == "date":
        told["at"] = "end"
    return column.name if len(told) == 1 else told


def _day_end(column: Column) -> Any:
    """What is told to the day is known at its end."""
    return _time(column, at_end=True) if column.shape.kind == "date" else None


def _people(made: Suggested, relations: Relations) -> None:
    """Birth, sex and death, each from one table."""
    told = made.roles
    if told is relations.people:
        if told.birth:
            made.add("events", {"name": "birth", "time": _time(told.birth.column), "code": "MEDS_BIRTH"},
                     f"birth {told.birth.note}")  # fmt: skip
        if told.sex and (words := _sexes(told, told.sex.column)):
            code = {"text": f"{{{told.sex.column.name}}}", "map": words}
            made.add("events", {"name": "sex", "time": "static", "code": code}, f"sex {told.sex.note}")
    if told is relations.death:
        _death(made)


def _sexes(told: Roles, column: Column) -> dict[Any, str]:
    """The words of the column that are known to mean a sex."""
    seen = set(told.table.rows[column.name].drop_nulls().unique().to_list())
    meanings = name_lists().meanings
    for name in ("sexes", "numbered_sexes", "omop_sexes"):
        known = {word: sex for word, sex in meanings[name].items() if str(word) in seen}
        if known:
            return {word: f"SEX//{sex}" for word, sex in known.items()}
    return {}


def _death(made: Suggested) -> None:
    """Death at the minute where it is told, else at the end of the day."""
    told = made.roles
    instants = [_time(choice.column) for choice in told.death if choice.column.shape.kind == "time"]
    days = [_time(choice.column, at_end=True) for choice in told.death if choice.column.shape.kind == "date"]
    times = instants + days[:1]
    when = {"when": [{"column": told.death[0].column.name, "not_null": True}]} if len(times) == 1 else {}
    known = _time(told.known.column, at_end=True) if told.known else None
    time = times[0] if len(times) == 1 else {"first_of": times}
    made.add(
        "events",
        {"name": "death", **when, "time": time, "known_time": known, "code": "MEDS_DEATH"},
        f"death {told.death[0].note}",
    )


def _contact(made: Suggested, moment: Moment) -> None:
    """A contact with its beginning and end; words of NPR's value sets are taken where they are."""
    told = made.roles
    if told.contact is None or moment.time == "static":
        return
    content: dict[str, Any] = {
        "id": f"{{{told.contact.column.name}}}",
        "start": moment.time,
        "end": moment.end,
    }
    reasons = [f"contact {told.contact.note}; {moment.why}; end {told.end.note}" if told.end else ""]
    for key, name in (("care_level", "omsorgsniva"), ("urgency", "innmatehast")):
        column = next((column for column in told.columns if compact(column.name) == name), None)
        if column:
            content[key] = {"text": f"{{{column.name}}}", "map": dict(name_lists().meanings[key])}
            made.used.add(column.name)
            reasons.append(f"{key} sure: {column.name} is a value set of NPR")
    made.add("contacts", content, *reasons)


def _system(told: Roles, *, is_norwegian: bool) -> str | None:
    """The code system; ICD-9-CM in a table of procedures is that of procedures."""
    system = told.codes[0].column.shape.system
    if system == "ICD10" and is_norwegian:
        return "ICD10-NO"
    if system == "ICD9CM" and "proc" in told.table.name:
        return "ICD9PCS"
    return system


def _coded(made: Suggested, moment: Moment, *, is_norwegian: bool) -> None:
    """One event a code (or one each of several columns), and a coding where a contact reports it."""
    told = made.roles
    system = _system(told, is_norwegian=is_norwegian)
    names = [choice.column.name for choice in told.codes]
    cell = "{_cell}" if len(names) > 1 else f"{{{names[0]}}}"
    melt = {"melt": names} if len(names) > 1 else {}
    if step := _CLEAN.get(system or ""):
        made.content["columns"] = {name: {"clean": [step]} for name in names}
    if system == "NCSP+NCMP":
        cases = [{"text": "NCMP", "when": [{"column": names[0], "matches": "^[A-Z]{4}"}]}, {"text": "NCSP"}]
        made.content["derive"] = {"code_system": cases}
    prefix = "{code_system}" if system == "NCSP+NCMP" else system or told.table.name.upper()
    content = {"name": told.table.name, **melt, "time": moment.time, "known_time": moment.known}
    content |= {"code": f"{prefix}//{cell}", **_values(told)}
    made.add("events", content, f"code {told.codes[0].note}", moment.why, *_value_reasons(told))
    if system in _DIAGNOSES | _PROCEDURES and (told.contact is not None):
        role = {"role": "procedure"} if system in _PROCEDURES else {"role": "other"}
        if told.sequence and system in _DIAGNOSES:
            role = {"sequence": told.sequence.column.name}
        coding = {**melt, "system": prefix, "code": cell, **role}
        made.add(
            "codings", coding, f"role {told.sequence.note}" if told.sequence else "role a guess: not told"
        )


def _values(told: Roles) -> dict[str, Any]:
    """Value, unit and text of an event."""
    unit = {"unit": f"{{{told.unit.column.name}}}"} if told.unit else {}
    text = {"text": f"{{{told.text.column.name}}}"} if told.text else {}
    if told.value is None:
        return text
    name, shape = told.value.column.name, told.value.column.shape
    if not shape.is_number:
        return {"value_or_text": name, **unit}
    return {
        "value": {"column": name, "decimal_comma": True} if shape.has_decimal_comma else name,
        **unit,
        **text,
    }


def _value_reasons(told: Roles) -> Iterator[str]:
    for name, choice in (("value", told.value), ("unit", told.unit), ("text", told.text)):
        if choice:
            yield f"{name} {choice.note}"


def _wide(made: Suggested, moment: Moment) -> None:
    """Columns that are numbers, where no column says what was measured: one event a cell."""
    told = made.roles
    columns = [*told.left, *([told.value.column] if told.value else [])]
    wanted = [
        column.name
        for column in told.columns
        if column in columns
        and column.shape.is_number
        and not column.is_time
        and column.name not in made.used
        and not column.role("row_number")
        and (column.role("value") or not _ID_LIKE.fullmatch(compact(column.name)))
    ]
    if not wanted or (moment.time == "static" and told is made.roles and not told.contact):
        return
    made.used.update(wanted)
    content = {
        "name": f"{told.table.name} numbers",
        "melt": wanted,
        "time": moment.time,
        "known_time": moment.known,
    }
    content |= {"code": f"{told.table.name.upper()}//{{_name}}", "value": "_cell"}
    made.add("events", content, "code a guess: each column is a measurement called by its name", moment.why)


def _categories(made: Suggested, moment: Moment) -> None:
    """Columns with few different words: one event each, called by the column."""
    told = made.roles
    for column in told.left:
        few = 1 < column.shape.n_distinct <= MOST_CATEGORIES and column.shape.n_distinct < column.shape.n_rows
        is_word = column.shape.kind in {"words", "code"} or (
            column.shape.kind == "whole" and _ID_LIKE.fullmatch(compact(column.name))
        )
        if (
            not (few and is_word)
            or column.name in made.used
            or column.role("free_text")
            or column.role("row_number")
        ):
            continue
        made.used.add(column.name)
        is_late = bool(column.role("ending")) and moment.end is not None
        content = {
            "name": column.name,
            "time": moment.end if is_late else moment.time,
            "known_time": None if is_late else moment.known,
            "code": f"{column.name.upper()}//{{{column.name}}}",
        }
        when = "its name speaks of the end" if is_late else "taken to be known at the time of the row"
        made.add("events", content, f"code a guess: few different words; {when}")


def _leave(made: Suggested) -> None:
    """The columns that have no place, each with the reason; never a value of theirs."""
    told = made.roles
    for column in told.columns:
        if column.name in told.taken | made.used:
            continue
        made.unused.append((column.name, _why_unused(column)))


def _why_unused(column: Column) -> str:
    if column.shape.kind == "empty":
        return "empty"
    if column.role("row_number") or (column.shape.is_unique and column.shape.kind == "whole"):
        return "a number of the row"
    if column.role("free_text") or column.shape.kind == "text":
        return "may be free text"
    if column.is_time or column.shape.kind == "clock":
        return "a further time"
    if column.shape.is_number:
        return "a number whose meaning its name does not tell"
    return "words whose meaning its name does not tell"
