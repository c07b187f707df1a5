"""Units of measure: what one unit is in another, by UCUM and by what is known of the analyte.

**Source:** UCUM 2.2, https://ucum.org/ucum, as ucumvert and pint read it; molar masses and valences from
configs/units/analytes.yaml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ontology.errors import ConfigurationError, PestaError, Problem
from ontology.units.analytes import Analyte, load_analytes
from ontology.units.spellings import to_ucum

_NO_UNIT = "1"
_ARBITRARY = re.compile(r"\[(?:[iI]U|HPF|LPF|pH|Ehrlich)\]")
"""Atoms that UCUM calls arbitrary: no other unit measures what they do."""
_INTERNATIONAL = re.compile(r"\[[iI]U\]")
_ENZYME_UNIT = re.compile(r"(?<![A-Za-z\[])[munpk]?U(?![A-Za-z\]])")
_EQUIVALENTS = re.compile(r"(?<![A-Za-z])[munpk]?eq(?![A-Za-z])")


class UnitError(ConfigurationError):
    """A unit that cannot be read, or that cannot be converted to another."""


@dataclass(frozen=True)
class Conversion:
    """wanted = sent * factor + offset.

    Attributes:
        factor: what one of the sent unit is in the wanted one.
        offset: what is added, in the wanted unit; 0 but for temperatures and the like.
    """

    factor: float
    offset: float = 0.0

    def __call__(self, value: float) -> float:
        """A value in the wanted unit."""
        return value * self.factor + self.offset


@lru_cache(maxsize=4096)
def conversion(sent: str, wanted: str, analyte: str | None = None) -> Conversion:
    """What turns values of one unit into values of another.

    Args:
        sent: a unit in UCUM or as hospitals write it.
        wanted: likewise.
        analyte: what was measured, as configs/units/analytes.yaml names it; one that is not listed there has
            only conversions that need nothing but the units.

    Returns:
        The conversion; two spellings of one unit need not be known to UCUM.

    Raises:
        UnitError: a unit that is not UCUM, or units that measure different things; all problems at once.
    """
    source, target = to_ucum(sent), to_ucum(wanted)
    if source == target:
        return Conversion(1.0)
    problems = [
        _unreadable(unit, given) for unit, given in ((source, sent), (target, wanted)) if not _is_ucum(unit)
    ]
    if problems:
        raise UnitError(problems)
    known = load_analytes().analytes.get(analyte or "", Analyte(title=analyte or ""))
    found = _line(source, target, known) or _converted(source, target, known)
    if found is None:
        raise UnitError(_impossible(sent, wanted, analyte, known))
    return found


def is_unit(spelling: str) -> bool:
    """Whether a spelling is a UCUM unit, or stands for one."""
    return _is_ucum(to_ucum(spelling))


def unit_faults(sent: str, wanted: str, analyte: str | None = None) -> tuple[Problem, ...]:
    """What keeps one unit from being converted to another, as problems; none where nothing does."""
    try:
        conversion(sent, wanted, analyte)
    except PestaError as error:
        return error.problems
    return ()


@lru_cache(maxsize=1)
def _registry() -> Any:
    from ucumvert import PintUcumRegistry  # type: ignore[import-untyped]

    return PintUcumRegistry()


@lru_cache(maxsize=4096)
def _is_ucum(unit: str) -> bool:
    return unit == _NO_UNIT or _quantity(unit, 1.0) is not None


def _quantity(unit: str, value: float) -> Any | None:
    """A pint quantity of a UCUM unit; None where it is no such unit, or one that pint does not know."""
    from lark.exceptions import LarkError
    from pint.errors import PintError

    try:
        parsed = _registry().from_ucum(unit)
        return _registry().Quantity(value * parsed.magnitude, parsed.units)
    except (LarkError, PintError, AttributeError, ValueError):
        return None


def _line(source: str, target: str, known: Analyte) -> Conversion | None:
    """The analyte's own conversion between the two units, in either direction."""
    for line in known.lines:
        if (source, target) == (to_ucum(line.sent), to_ucum(line.wanted)):
            return Conversion(line.factor, line.offset)
        if (target, source) == (to_ucum(line.sent), to_ucum(line.wanted)):
            return Conversion(1 / line.factor, -line.offset / line.factor)
    return None


def _converted(source: str, target: str, known: Analyte) -> Conversion | None:
    """By dimension, and where that is not enough by molar mass, valence and the unit of enzymes."""
    source, target = _one_international_unit(source, target, known)
    if sorted(_ARBITRARY.findall(source)) != sorted(_ARBITRARY.findall(target)):
        return None
    charges = 1.0
    if bool(_EQUIVALENTS.search(source)) != bool(_EQUIVALENTS.search(target)):
        if known.valence is None:
            return None
        charges = known.valence if _EQUIVALENTS.search(target) else 1 / known.valence
    for molar_power in (0, 1, -1) if known.molar_mass else (0,):
        found = _by_dimension(source, target, known, molar_power)
        if found is not None:
            return Conversion(_tidy(found.factor * charges), _tidy(found.offset))
    return None


def _one_international_unit(source: str, target: str, known: Analyte) -> tuple[str, str]:
    """[IU] as U where one is written for the other: between the two always, to mol or kat for enzymes."""
    has_unit = [_ENZYME_UNIT.search(unit) is not None for unit in (source, target)]
    if known.is_enzyme or any(has_unit):
        return _INTERNATIONAL.sub("U", source), _INTERNATIONAL.sub("U", target)
    return source, target


def _by_dimension(source: str, target: str, known: Analyte, molar_power: int) -> Conversion | None:
    """What pint says, with the molar mass to a power between; None where the dimensions differ."""
    from pint.errors import PintError

    molar_mass = _registry().Quantity(known.molar_mass or 1.0, "g/mol") ** molar_power if molar_power else 1
    wanted = _registry().from_ucum(target)
    at = []
    try:
        for value in (0.0, 1.0):
            quantity = _quantity(source, value)
            assert quantity is not None  # noqa: S101 - read before
            at.append(float((quantity * molar_mass if molar_power else quantity).to(wanted.units).magnitude))
    except PintError:
        return None
    offset, end = (value / float(wanted.magnitude) for value in at)
    return Conversion(end - offset, offset)


def _tidy(number: float) -> float:
    """Twelve significant digits: a thousand per microlitre is 1e9 per litre, not 999 999 999.9999999."""
    return float(f"{number:.12g}")


def _unreadable(unit: str, given: str) -> Problem:
    return Problem(
        "not a unit of measure",
        found=given if unit == given else f"{given} (read as {unit})",
        allowed="a UCUM unit, such as mmol/L, 10*9/L or Cel, or a listed spelling of one",
        next_step="write it in UCUM, or add the spelling to configs/units/spellings.yaml",
    )


def _impossible(sent: str, wanted: str, analyte: str | None, known: Analyte) -> Problem:
    facts = {
        "molar mass": known.molar_mass,
        "valence": known.valence,
        "unit of enzymes": known.is_enzyme or None,
    }
    held = ", ".join(name for name, fact in facts.items() if fact is not None) or "nothing beyond the units"
    return Problem(
        f"{sent} cannot be converted to {wanted} for {analyte or 'a value without analyte'}",
        found=f"known of it: {held}",
        allowed="units of one dimension, or an analyte whose molar mass, valence or unit bridges them",
        next_step="check the unit and the analyte, or add what is missing to configs/units/analytes.yaml",
    )
