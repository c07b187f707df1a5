"""What a mapping may choose about reading NPR-meldinger: units, patients, value sets, bounds."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.sources.fields import Scalar, Strict
from pipelines.sources.npr.valuesets import UNIT_TYPES, VALUE_SETS

UnitType = Literal["1", "2", "3", "4", "5", "6", "7", "8", "9"]


class NprOptions(Strict):
    """The `options` of a mapping with `reader: npr`.

    Attributes:
        unit_types: the types of unit (code list 8476) whose reference becomes `enhet`, best first.
        intensive_units: units that are intensive care, by enhetLokal, reshID or enhetID; episodes that refer
            to one of them have `intensiv` 1.
        patient: which number of a patient makes `pasient`: the institution's, or the GUID.
        more_values: by attribute, values beside those of the code lists that are known here.
        most_piece_bytes: a tag with its attributes that is larger is taken for damage; reading ends there.
        most_elements: a record (an episode with all that it holds) of more elements ends reading, too.
        part_elements: about how many elements are held at a time.
    """

    unit_types: tuple[UnitType, ...] = ("2", "7", "6", "5", "4", "3", "8", "9", "1")
    intensive_units: tuple[Scalar, ...] = ()
    patient: Literal["pasientNr", "pasientGUID"] = "pasientNr"
    more_values: dict[str, tuple[Scalar, ...]] = Field(default_factory=dict)
    most_piece_bytes: Annotated[int, Field(ge=1_000)] = 1_000_000
    most_elements: Annotated[int, Field(ge=1_000)] = 100_000
    part_elements: Annotated[int, Field(ge=1)] = 100_000

    @model_validator(mode="after")
    def _names_value_sets(self) -> Self:
        unknown = sorted(set(self.more_values) - set(VALUE_SETS))
        if unknown:
            message = f"more_values has no value set {', '.join(unknown)}; there are {', '.join(VALUE_SETS)}"
            raise ValueError(message)
        return self


__all__ = ["UNIT_TYPES", "NprOptions"]
