"""Measures of coding as data: what is counted of which stays, contacts or patient-months, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from ontology.configuration import find_config, read_yaml, validate
from ontology.errors import ConfigurationError, Problem
from phenotype.task_parts import CareLevel, Frozen

Role = Literal["main", "other", "procedure"]
Per = Literal["stay", "contact", "patient_month"]
Adjust = Literal["patient", "all"]
Text = Annotated[str, StringConstraints(min_length=1)]
ROOM = "coding_measures"


class Condition(Frozen):
    """What a stay, contact or patient-month must hold; of the parts that are given every one.

    Attributes:
        codes: beginnings of codes (`ICD10-NO//M54.1`), dots left out on both sides; one code is enough.
        patterns: regular expressions of whole codes, likewise.
        value_sets: names of value sets, likewise.
        roles: of the codes; none given: any.
        main_code: only the first code of a main condition counts.
        care_levels: of the stay or contact.
        urgency: acute or planned.
        age_from: in years at the start, this or more.
        age_below: in years at the start.
        facts: name of a fact -> beginnings of its values; an empty list: any value.
        every: conditions that all hold.
        some: conditions of which one holds.
        none: conditions of which none holds.
    """

    codes: tuple[Text, ...] = ()
    patterns: tuple[Text, ...] = ()
    value_sets: tuple[Text, ...] = ()
    roles: tuple[Role, ...] = ()
    main_code: bool = False
    care_levels: tuple[CareLevel, ...] = ()
    urgency: Literal["acute", "planned"] | None = None
    age_from: float | None = None
    age_below: float | None = None
    facts: Mapping[str, tuple[Text, ...]] = Field(default_factory=dict)
    every: tuple[Condition, ...] = ()
    some: tuple[Condition, ...] = ()
    none: tuple[Condition, ...] = ()

    @property
    def asks_for_codes(self) -> bool:
        """Whether it names codes itself, leaving its parts aside."""
        return bool(self.codes or self.patterns or self.value_sets or self.main_code)

    def parts(self) -> Iterable[Condition]:
        """Itself and every condition within."""
        yield self
        for inner in (*self.every, *self.some, *self.none):
            yield from inner.parts()


class Number(Frozen):
    """What is counted where more than yes or no is asked.

    Attributes:
        of: codes: different codes of these roles; contacts: the contacts of a patient-month.
        roles: of the codes.
    """

    of: Literal["codes", "contacts"]
    roles: tuple[Role, ...] = ("main", "other")


class DrgPair(Frozen):
    """Two groups of one condition: with a complicating condition (the dearer) and without.

    Attributes:
        title: of both.
        high: beginnings of the group with.
        low: of the group without.
    """

    title: Text
    high: tuple[Text, ...] = Field(min_length=1)
    low: tuple[Text, ...] = Field(min_length=1)


class Each(Frozen):
    """One measure for each of many.

    Attributes:
        of: code: every code; category: the first three characters; pair: two categories in one stay;
            main_group: the measure by letter and first digit of the main condition; drg_pair: one of `pairs`.
        roles: of the codes that are taken.
        smallest: of codes, categories and pairs, those that at least so many stays have.
        most: and of these the commonest so many.
        pairs: DRG pairs by key.
    """

    of: Literal["code", "category", "pair", "main_group", "drg_pair"]
    roles: tuple[Role, ...] = ("main", "other")
    smallest: int = Field(default=20, ge=1)
    most: int = Field(default=5000, ge=1)
    pairs: Mapping[str, DrgPair] = Field(default_factory=dict)


class Measure(Frozen):
    """One rate of coding.

    Attributes:
        id: of this measure; those that a template makes are `id/KEY`.
        title: what it says, in English.
        title_nb: in Norwegian.
        case: the public case or rule that it follows, where there is one.
        family: the family of rules whose cases its flags join.
        innocent: explanations that are looked at where a unit is flagged.
        sources: where it comes from.
        per: what is counted: stays, contacts or the months in which a patient had such contacts.
        of: which of them (the denominator).
        counts: which of those count (the numerator).
        number: what is counted instead, where it is a number.
        each: one measure for each of many.
        adjust: patient: age, sex, urgency, comorbidity of earlier stays, transfer; all: also main condition
            and surgery, for measures that these do not decide.
        peers: whom a unit is compared with: units of its specialty, or all that have such stays. Hospitals
            and regions are compared with all.
        direction: which side is looked for.
        from_year: the first year that is judged.
        to_year: the last.
        note: what a reader must know.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    title: Text
    title_nb: str = ""
    case: str = ""
    family: str | None = None
    innocent: tuple[str, ...] = (
        "older_patients",
        "more_comorbidity",
        "more_transfers",
        "small_numbers",
        "one_dominant_procedure",
    )
    sources: tuple[Text, ...] = Field(min_length=1)
    per: Per = "stay"
    of: Condition = Condition()
    counts: Condition | None = None
    number: Number | None = None
    each: Each | None = None
    adjust: Adjust = "all"
    peers: Literal["specialty", "all"] = "specialty"
    direction: Literal["high", "low", "both"] = "high"
    from_year: int | None = None
    to_year: int | None = None
    note: str = ""

    @model_validator(mode="after")
    def _counts_one_thing(self) -> Self:
        takes_codes = self.each is not None and self.each.of in {"code", "category", "pair", "drg_pair"}
        given = [self.counts is not None, self.number is not None, takes_codes]
        if sum(given) != 1:
            raise ValueError(
                "exactly one of counts, number and an `each` of codes or DRG pairs says what counts"
            )
        if self.number and self.number.of == "contacts" and self.per != "patient_month":
            raise ValueError("contacts are counted per patient_month")
        if self.each and (self.each.of == "drg_pair") != bool(self.each.pairs):
            raise ValueError("`pairs` go with `of: drg_pair`")
        return self

    @property
    def is_count(self) -> bool:
        """Whether a number is counted rather than yes or no."""
        return self.number is not None

    def facts(self) -> frozenset[str]:
        """The facts without which it cannot be judged."""
        conditions = [self.of, *([self.counts] if self.counts else [])]
        named = {name for condition in conditions for part in condition.parts() for name in part.facts}
        return frozenset(named | ({"drg"} if self.each and self.each.of == "drg_pair" else set()))


class _File(Frozen):
    measures: tuple[Measure, ...] = Field(min_length=1)
    shared: Mapping[str, object] = Field(default_factory=dict)


def load_measures(names: Iterable[str | Path] | None = None) -> tuple[Measure, ...]:
    """The measures of files, or those of these ids.

    Args:
        names: ids of measures that come with Pesta, names of its files, or paths of one's own; None: all that
            come with Pesta.

    Returns:
        Each once, sorted by id.

    Raises:
        ConfigurationError: no such file or measure, faults of a file, one id twice: all of a kind at once.
    """
    shipped = {file.stem: file for file in _shipped()}
    every = [measure for file in shipped.values() for measure in read_measures(file)]
    _once(every)
    if names is None:
        return tuple(sorted(every, key=lambda measure: measure.id))
    by_id = {measure.id: measure for measure in every}
    found = [
        measure
        for name in names
        for measure in ((by_id[str(name)],) if str(name) in by_id else read_measures(find_config(ROOM, name)))
    ]
    chosen = list({measure.id: measure for measure in found}.values()) if _same(found) else found
    _once(chosen)
    return tuple(sorted(chosen, key=lambda measure: measure.id))


def read_measures(file: Path) -> tuple[Measure, ...]:
    """The measures of one YAML file.

    Raises:
        ConfigurationError: every fault of the file.
    """
    return validate(_File, read_yaml(file), where=str(file)).measures


def _shipped() -> list[Path]:
    return sorted((Path(str(resources.files("configs"))) / ROOM).glob("*.yaml"))


def _same(found: list[Measure]) -> bool:
    """Whether measures of one id are the same measure, named twice."""
    return all(one == other for one in found for other in found if one.id == other.id)


def _once(measures: Iterable[Measure]) -> None:
    """Complain about ids that several measures have."""
    ids = [measure.id for measure in measures]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ConfigurationError(
            [
                Problem("an id that two measures have", where=ROOM, found=name, next_step="rename one")
                for name in twice
            ]
        )
