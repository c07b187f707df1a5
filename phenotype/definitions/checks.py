"""Faults that no single key shows: unknown value sets, units that do not convert, phenotypes in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ontology.errors import PestaError, Problem
from ontology.units.conversion import is_unit, unit_faults
from ontology.valuesets.sets import ValueSet, load_family, load_valueset
from phenotype.definitions.nodes import Events, Part, Phenotype, Weights

if TYPE_CHECKING:
    from ontology.marked_yaml import Place
    from phenotype.definitions.text import Definition, DefinitionFile


def problems_between(files: Sequence[DefinitionFile], others: Iterable[str]) -> list[Problem]:
    """What is wrong between definitions, value sets and units.

    Args:
        files: definition files as read.
        others: names of definitions in other files that may be named.
    """
    problems = [problem for file in files for problem in _reference_problems(file)]
    own: dict[str, tuple[DefinitionFile, Definition, Place]] = {}
    for file in files:
        for definition, place in file.definitions:
            if definition.name in own:
                before, _, first = own[definition.name]
                problems.append(
                    Problem(
                        "two definitions of one name",
                        file.where((*place, "name")),
                        definition.name,
                        next_step=f"rename one; the other stands at {before.where((*first, 'name'))}",
                    )
                )
            own[definition.name] = (file, definition, place)
    problems += _missing_phenotypes(own, set(others))
    return problems + _circles(own)


def _reference_problems(file: DefinitionFile) -> list[Problem]:
    from phenotype.definitions.text import parts_of

    problems: list[Problem] = []
    seen: set[str] = set()
    for definition, _ in file.definitions:
        for criterion in definition.criteria.values():
            for part in parts_of(criterion):
                found = _problems_of(part, file)
                problems += [problem for problem in found if str(problem) not in seen]
                seen |= {str(problem) for problem in found}
    return problems


def _problems_of(part: Part, file: DefinitionFile) -> list[Problem]:
    place = file.place_of(part)
    if isinstance(part, Weights):
        problems = _value_set_problems(file, (*place, "family"), part.family, is_family=True)
        return problems or _weighting_problems(file, place, part)
    if not isinstance(part, Events):
        return []
    problems = [
        problem
        for key, names in (("in", part.sets), ("text", part.text), ("text_not", part.text_not))
        for name in names
        for problem in _value_set_problems(file, (*place, key), name)
        or _kind_problems(file, (*place, key), name, is_text=key != "in")
    ]
    return problems + _unit_problems(part, file, (*place, "value", "unit"))


def _value_set_problems(
    file: DefinitionFile, place: Place, name: str, *, is_family: bool = False
) -> list[Problem]:
    try:
        if is_family:
            load_family(name)
        else:
            load_valueset(name)
    except PestaError as error:
        first = error.problems[0]
        return [
            Problem(
                f"no value set of this name, or faults in it: {first.what}",
                file.where(place),
                name,
                _near(name),
                f"mend the name, or the value set ({first.where})" if first.where else "mend the name",
            )
        ]
    return []


def _kind_problems(file: DefinitionFile, place: Place, name: str, *, is_text: bool) -> list[Problem]:
    """A set of texts where codes are asked for finds nothing, and the other way round."""
    if _says(load_valueset(name), is_text=is_text):
        return []
    wanted, given = ("texts", "codes") if is_text else ("codes", "texts")
    return [
        Problem(
            f"a value set of {given} where {wanted} are asked for",
            file.where(place),
            name,
            f"a value set that has rules on {wanted}",
            "name another, or use `text` for texts and `in` for codes",
        )
    ]


def _says(valueset: ValueSet, *, is_text: bool) -> bool:
    """Whether any rule of a set, or of one that it names, is on texts (or on codes)."""
    return any(
        any(_says(valueset.references[name], is_text=is_text) for name in rule.value_set)
        if rule.value_set
        else bool(rule.text) == is_text
        for rule in valueset.rules.include
    )


def _weighting_problems(file: DefinitionFile, place: Place, part: Weights) -> list[Problem]:
    family = load_family(part.family)
    scored = [group for group in family.groups.values() if not group.is_auxiliary]
    there = sorted(scored[0].weights)
    wanted = part.weighting or family.weighting
    if wanted in there:
        return []
    return [
        Problem(
            "no such weights",
            file.where((*place, "weighting" if part.weighting else "family")),
            str(wanted),
            ", ".join(there) or "a family that is scored",
            "name one of the family's weightings",
        )
    ]


def _near(name: str) -> str:
    from ontology.valuesets.sets import valueset_names

    close = get_close_matches(name, valueset_names(), n=5, cutoff=0.5)
    return ", ".join(close) or "the name of a file in configs/valuesets, or family/group"


def _unit_problems(part: Events, file: DefinitionFile, place: Place) -> list[Problem]:
    wanted = part.value.unit if part.value is not None else None
    if wanted is None:
        return []
    if not is_unit(wanted):
        return [
            Problem("a unit that is not known", file.where(place), wanted, "a UCUM unit", "mend the unit")
        ]
    for name in part.sets:
        try:
            declared = load_valueset(name)
        except PestaError:
            continue
        faults = unit_faults(declared.unit, wanted, declared.analyte) if declared.unit else ()
        if faults:
            what = f"a unit that cannot be converted: {faults[0].what}"
            allowed = f"a unit that {declared.unit} can be converted to, for {name} is measured in it"
            return [Problem(what, file.where(place), wanted, allowed, "mend the unit")]
    return []


def _missing_phenotypes(
    own: dict[str, tuple[DefinitionFile, Definition, Place]], others: set[str]
) -> list[Problem]:
    problems = []
    names = own.keys() | others
    for file, part in _phenotype_parts(own):
        if part.name not in names and part.name != "?":
            close = get_close_matches(part.name, sorted(names), n=5, cutoff=0.5)
            problems.append(
                Problem(
                    "no definition of this name",
                    file.where(file.place_of(part)),
                    part.name,
                    ", ".join(close) or "the name of a definition",
                    "mend the name",
                )
            )
    return problems


def _phenotype_parts(
    own: dict[str, tuple[DefinitionFile, Definition, Place]],
) -> list[tuple[DefinitionFile, Phenotype]]:
    return [(file, part) for file, definition, _ in own.values() for part in _phenotypes_in(definition)]


def _phenotypes_in(definition: Definition) -> list[Phenotype]:
    from phenotype.definitions.text import parts_of

    return [
        part
        for criterion in definition.criteria.values()
        for part in parts_of(criterion)
        if isinstance(part, Phenotype)
    ]


def _circles(own: dict[str, tuple[DefinitionFile, Definition, Place]]) -> list[Problem]:
    """One problem for each circle of definitions, told at its first definition."""
    needs = {name: {p.name for p in _phenotypes_in(d)} & own.keys() for name, (_, d, _) in own.items()}
    problems: list[Problem] = []
    told: set[str] = set()
    for name, (file, definition, _) in own.items():
        way = _way_back(name, needs)
        if way and not told & set(way):
            told |= set(way)
            first = next(part for part in _phenotypes_in(definition) if part.name == way[1])
            problems.append(
                Problem(
                    "definitions that need each other in a circle",
                    file.where(file.place_of(first)),
                    " -> ".join(way),
                    "definitions that can be computed one after another",
                    "cut the circle",
                )
            )
    return problems


def _way_back(name: str, needs: dict[str, set[str]]) -> list[str]:
    """The shortest way from a definition back to itself, empty where there is none."""
    ways, seen = [[name]], set()
    while ways:
        way = ways.pop(0)
        for following in sorted(needs[way[-1]]):
            if following == name:
                return [*way, name]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []
