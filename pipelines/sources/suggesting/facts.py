"""The clinical facts of one table: codes, numbers side by side, words; and the columns without a place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pipelines.sources.suggesting.columns import Choice, Column
from pipelines.sources.suggesting.names import compact
from pipelines.sources.suggesting.roles import Roles
from pipelines.sources.suggesting.suggested import Moment, Suggested

MOST_CATEGORIES = 60
_ID_LIKE = re.compile(r".*(id|nr|num|nummer|key|no|code|cd)$")
_DIAGNOSES = frozenset({"ICD10", "ICD10-NO", "ICD9CM"})
_PROCEDURES = frozenset({"NCSP+NCMP", "NCSP", "NCMP", "ICD9PCS"})
_CLEAN = {
    "ICD10": "icd10_dot",
    "ICD10-NO": "icd10_dot",
    "ICD9CM": "icd9_dot",
    "ICD9PCS": "icd9_procedure_dot",
}


def coded(made: Suggested, moment: Moment, *, is_norwegian: bool) -> None:
    """One event a code (or one each of several columns), and a coding where a contact reports it.

    Args:
        made: the table, with codes among its roles; events and codings are added.
        moment: when its facts happened.
        is_norwegian: whether ICD-10 codes are taken for those of the Norwegian edition.
    """
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
    shared = {**melt, "time": moment.time, "known_time": moment.known}
    code = f"{prefix}//{cell}"
    content = {"name": told.table.name, **shared, "code": code, **_values(told)}
    reasons = [f"code {told.codes[0].note}", moment.why, *_value_reasons(told)]
    if told.description:
        content["description"] = f"{{{told.description.column.name}}}"
        reasons.append(f"description {told.description.note}")
    made.add("events", content, *reasons)
    for value, unit in told.further_values:
        name = value.column.name
        content = {"name": name, **shared, "code": f"{code}//{name}", "value": _number(value)}
        made.add(
            "events", content | ({"unit": f"{{{unit.column.name}}}"} if unit else {}), f"value {value.note}"
        )
    for choice in told.further_codes:
        name = choice.column.name
        content = {"name": name, "time": moment.time, "known_time": moment.known}
        made.add("events", content | {"code": f"{name.upper()}//{{{name}}}"}, f"code {choice.note}")
    if system in _DIAGNOSES | _PROCEDURES and told.contact is not None:
        _coding(made, {**melt, "system": prefix, "code": cell}, is_procedure=system in _PROCEDURES)


def _coding(made: Suggested, coding: dict[str, Any], *, is_procedure: bool) -> None:
    sequence = made.roles.sequence
    if is_procedure:
        made.add("codings", {**coding, "role": "procedure"}, "role likely: the codes are of procedures")
    elif sequence:
        made.add("codings", {**coding, "sequence": sequence.column.name}, f"role {sequence.note}")
    else:
        made.add("codings", {**coding, "role": "other"}, "role a guess: which is the main one is not told")


def _system(told: Roles, *, is_norwegian: bool) -> str | None:
    """The code system; ICD-9-CM in a table of procedures is that of procedures."""
    system = told.codes[0].column.shape.system
    if system == "ICD10" and is_norwegian:
        return "ICD10-NO"
    if system == "ICD9CM" and "proc" in told.table.name:
        return "ICD9PCS"
    return system


def _number(choice: Choice) -> Any:
    """A number as a mapping writes it."""
    name = choice.column.name
    return {"column": name, "decimal_comma": True} if choice.column.shape.has_decimal_comma else name


def _values(told: Roles) -> dict[str, Any]:
    """Value, unit and text of an event."""
    unit = {"unit": f"{{{told.unit.column.name}}}"} if told.unit else {}
    text = {"text": f"{{{told.text.column.name}}}"} if told.text else {}
    if told.value is None:
        return text
    if not told.value.column.shape.is_number:
        return {"value_or_text": told.value.column.name, **unit}
    return {"value": _number(told.value), **unit, **text}


def _value_reasons(told: Roles) -> Iterator[str]:
    for name, choice in (("value", told.value), ("unit", told.unit), ("text", told.text)):
        if choice:
            yield f"{name} {choice.note}"


def wide(made: Suggested, moment: Moment) -> None:
    """Columns that are numbers, where no column says what was measured: one event a cell.

    What is told beside a contact is taken to be known at its end: totals, lengths and outcomes stand there.
    """
    told = made.roles
    left = {column.name for column in told.left} | ({told.value.column.name} if told.value else set())
    candidates = [
        column
        for column in told.columns
        if column.name in left - made.used and not column.is_time and not column.role("row_number")
    ]
    numbers = [column.name for column in candidates if column.shape.is_number and _is_measured(column)]
    mixed = [
        column.name for column in candidates if column.shape.kind == "words" and column.shape.has_numbers
    ]
    if moment.time == "static" and not told.contact and told.subject and told.subject.column.shape.is_unique:
        return
    made.used.update(numbers + mixed)
    is_late = moment.end is not None
    when = {"time": moment.end if is_late else moment.time, "known_time": None if is_late else moment.known}
    code = {"code": f"{told.table.name.upper()}//{{_name}}"}
    why = "known at the end, with what is told of it as a whole" if is_late else moment.why
    if numbers:
        content = {"name": f"{told.table.name} numbers", "melt": numbers, **when, **code, "value": "_cell"}
        made.add("events", content, "code a guess: each column is a measurement called by its name", why)
    for name in mixed:
        content = {"name": name, **when, "code": f"{told.table.name.upper()}//{name}", "value_or_text": name}
        made.add("events", content, "value a guess: some of its cells are numbers, others words", why)


def _is_measured(column: Column) -> bool:
    """Whether a number is no name of something."""
    return bool(column.role("value")) or not _ID_LIKE.fullmatch(compact(column.name))


def categories(made: Suggested, moment: Moment) -> None:
    """Columns with few different words: one event each, called by the column."""
    for column in made.roles.left:
        if not _is_category(column) or column.name in made.used:
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


def _is_category(column: Column) -> bool:
    shape = column.shape
    is_few = 1 < shape.n_distinct <= MOST_CATEGORIES and shape.n_distinct < shape.n_rows
    is_numbered = shape.kind == "whole" and bool(_ID_LIKE.fullmatch(compact(column.name)))
    is_word = shape.kind in {"words", "code"} or is_numbered
    return is_few and is_word and not (column.role("free_text") or column.role("row_number"))


def leave(made: Suggested) -> None:
    """The columns that have no place, each with the reason; never a value of theirs."""
    for column in made.roles.columns:
        if column.name not in made.roles.taken | made.used:
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
