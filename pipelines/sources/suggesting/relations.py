"""How tables belong together: who the people are, where contacts are described, what borrows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.sources.suggesting.roles import Roles

OVERLAP = 0.3
"""Share of a table's ids that another must know for the two to be tied."""


@dataclass(frozen=True)
class Relations:
    """What ties the tables.

    Attributes:
        people: the table with one row a subject that says birth or sex, None where there is none.
        contacts: the table with one row a contact, with its start and end or its subject.
        death: the table that deaths are taken from.
    """

    people: Roles | None
    contacts: Roles | None
    death: Roles | None


def relate(tables: Sequence[Roles]) -> Relations:
    """The relations of tables whose columns have roles."""
    people = _best(
        [told for told in tables if _is_people(told)], lambda told: bool(told.birth) + bool(told.sex)
    )
    contacts = _best(
        [told for told in tables if _is_contacts(told)],
        lambda told: 2 * bool(told.time and told.end) + bool(told.subject),
    )
    with_death = [
        told for told in tables if told.death and told.subject and told.subject.column.shape.is_unique
    ]
    death = _best(with_death, lambda told: told is people or len(told.columns) < 6)
    if death is None and contacts is not None and contacts.death:
        death = contacts
    return Relations(people, contacts, death)


def _best(tables: list[Roles], score: Callable[[Roles], int]) -> Roles | None:
    return max(tables, key=lambda told: (score(told), told.table.rows.height), default=None)


def _is_people(told: Roles) -> bool:
    """One row a subject, with a birth or a sex."""
    return bool(told.subject and told.subject.column.shape.is_unique and (told.birth or told.sex))


def _is_contacts(told: Roles) -> bool:
    """One row a contact, with two times or a subject beside it, and no code."""
    is_one_each = bool(told.contact and told.contact.column.shape.is_unique)
    return is_one_each and bool((told.time and told.end) or told.subject) and told.table.rows.height > 0


def knows(owner: Roles, told: Roles, column: str) -> bool:
    """Whether enough of a table's ids stand in another table."""
    if column not in owner.table.rows.columns or column not in told.table.rows.columns:
        return False
    ids = told.table.rows[column].drop_nulls().unique()
    n_known = int(ids.is_in(owner.table.rows[column].drop_nulls().implode()).sum())
    return n_known >= OVERLAP * ids.len()
