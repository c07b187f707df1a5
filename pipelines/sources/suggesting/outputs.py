"""What each table may become: whose it is, when, people and contacts, each with its reasons."""

from __future__ import annotations

from typing import Any

from pipelines.sources.suggesting.columns import Column
from pipelines.sources.suggesting.facts import categories, coded, leave, wide
from pipelines.sources.suggesting.names import compact, name_lists
from pipelines.sources.suggesting.relations import Relations, knows
from pipelines.sources.suggesting.roles import Roles
from pipelines.sources.suggesting.suggested import Moment, Suggested, time_of

_NO_TIME = "time a guess: none was found; without one this tells the future: correct it"


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
        coded(made, moment, is_norwegian=is_norwegian)
    if not told.codes or told is relations.contacts:
        wide(made, moment)
        categories(made, moment)
    leave(made)
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
    end = time_of(told.end.column) if told.end else None
    if told.time:
        why = f"time {told.time.note}"
        known = time_of(told.known.column, at_end=True) if told.known else _day_end(told.time.column)
        reason = f"; known by {told.known.column.name}, {told.known.note}" if told.known else ""
        return Moment(time_of(told.time.column), known, end, why + reason)
    if owner and owner is not told and owner.time and _is_tied(told, owner):
        names = [choice.column.name for choice in (owner.time, owner.end) if choice]
        if not set(names) & set(told.table.rows.columns):
            _join(made, owner, *names)
            start = time_of(owner.time.column)
            last = time_of(owner.end.column) if owner.end else start
            why = f"time a guess: {told.table.name} has none, so that of the contact in {owner.table.name}"
            return Moment(last if told.codes else start, last, None, why)
    return Moment("static", None, None, _NO_TIME)


def _is_tied(told: Roles, owner: Roles) -> bool:
    """Whether the contacts of a table stand in the table of contacts."""
    return told.contact is not None and knows(owner, told, told.contact.column.name)


def _day_end(column: Column) -> Any:
    """What is told to the day is known at its end."""
    return time_of(column, at_end=True) if column.shape.kind == "date" else None


def _people(made: Suggested, relations: Relations) -> None:
    """Birth, sex and death, each from one table; that of contacts where none is of people."""
    told = made.roles
    if told is relations.people or (relations.people is None and told is relations.contacts):
        once = {} if told is relations.people else {"once": True}
        if told.birth:
            content = {"name": "birth", "time": time_of(told.birth.column), "code": "MEDS_BIRTH", **once}
            made.add("events", content, f"birth {told.birth.note}")
        if told.sex and (words := _sexes(told, told.sex.column)):
            code = {"text": f"{{{told.sex.column.name}}}", "map": words}
            made.add(
                "events", {"name": "sex", "time": "static", "code": code, **once}, f"sex {told.sex.note}"
            )
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
    instants = [time_of(choice.column) for choice in told.death if choice.column.shape.kind == "time"]
    days = [
        time_of(choice.column, at_end=True) for choice in told.death if choice.column.shape.kind == "date"
    ]
    times = instants + days[:1]
    when = {"when": [{"column": told.death[0].column.name, "not_null": True}]} if len(times) == 1 else {}
    known = time_of(told.known.column, at_end=True) if told.known else None
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
