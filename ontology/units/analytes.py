"""What is known of an analyte beyond its unit: molar mass, valence, conversions of its own."""

from __future__ import annotations

from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import find_config, read_yaml, validate


class Line(BaseModel):
    """A conversion that an analyte alone has, wanted = sent * factor + offset, used both ways."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sent: str
    wanted: str
    factor: float = Field(gt=0)
    offset: float = 0.0


class Analyte(BaseModel):
    """What must be known of an analyte to convert between units of different dimension.

    Attributes:
        title: what it is, and as what it is sent.
        formula: its chemical formula, where the molar mass follows from one.
        molar_mass: g/mol.
        valence: charges of one ion.
        is_enzyme: its international unit is 1 µmol/min.
        lines: conversions of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    formula: str | None = None
    molar_mass: float | None = Field(default=None, gt=0)
    valence: int | None = Field(default=None, gt=0)
    is_enzyme: bool = False
    lines: tuple[Line, ...] = ()


class Analytes(BaseModel):
    """All analytes of which something is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    version: str
    source: str
    analytes: dict[str, Analyte]


@lru_cache(maxsize=1)
def load_analytes() -> Analytes:
    """The shipped analytes.

    Raises:
        ConfigurationError: the file does not fit.
    """
    path = find_config("units", "analytes")
    return validate(Analytes, read_yaml(path), where=str(path))
