"""What was known of one patient at one prediction: asked by code, with the events as evidence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from ontology.labels import entry_of
from phenotype.explain.wording import FIXED_SPACE
from phenotype.task_parts import Frozen
from phenotype.trajectory import BIRTH_CODE

AGE_CODE = "AGE"
MAX_EVIDENCE = 8
UNIT_WORDS: Mapping[str, str] = {
    "1": "",
    "1/min": "/min",
    "Cel": "°C",
    "mm[Hg]": "mmHg",
    "10*9/L": "10⁹/L",
    "10E9/L": "10⁹/L",
    "x 10E9/L": "10⁹/L",
    "10*12/L": "10¹²/L",
    "10E12/L": "10¹²/L",
    "x 10E12/L": "10¹²/L",
    "umol/L": "µmol/L",
    "ug": "µg",
    "ug/L": "µg/L",
    "ug/kg/min": "µg/kg/min",
}
"""How units that are written for machines read. **Source:** UCUM 2.2; the Norwegian laboratory code list."""


class Evidence(Frozen):
    """One event behind a reason, as it stands in the dataset.

    Attributes:
        time: when it was true; null for static facts.
        known_time: when it could be known.
        value: the number, if any.
        unit: of the number.
        text: the words, if any.
    """

    time: dt.datetime | None
    known_time: dt.datetime | None
    value: float | None
    unit: str
    text: str


@dataclass(frozen=True)
class Record:
    """What was known of one patient at one prediction, ready to be asked by code.

    Attributes:
        events: columns of EVENTS, one subject, known at the prediction time.
        prediction_time: the instant that everything was known at.
        anchor: the nominal start where times are only relative.
    """

    events: pl.DataFrame
    prediction_time: dt.datetime
    anchor: dt.datetime | None = None
    _by_code: dict[str, pl.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    def of_code(self, code: str) -> pl.DataFrame:
        """The known events of a code, oldest first."""
        if not self._by_code:
            ordered = self.events.sort("time", "known_time", "numeric_value", "text_value", nulls_last=False)
            self._by_code.update(
                {str(key[0]): rows for key, rows in ordered.partition_by("code", as_dict=True).items()}
            )
        return self._by_code.get(code, self.events.clear())

    @property
    def age_years(self) -> int | None:
        """Whole years lived at the prediction, from the birth or from a stated age."""
        birth = self.of_code(BIRTH_CODE)["time"].drop_nulls()
        if len(birth):
            born, now = birth[0], self.prediction_time
            return int(now.year - born.year - ((now.month, now.day) < (born.month, born.day)))
        stated = self.of_code(AGE_CODE)["numeric_value"].drop_nulls()
        return int(stated[-1]) if len(stated) else None


def evidence_of(events: pl.DataFrame) -> tuple[Evidence, ...]:
    """The latest events of one code, newest first, at most MAX_EVIDENCE."""
    return tuple(
        Evidence(
            time=row["time"],
            known_time=row["known_time"] or row["time"],
            value=row["numeric_value"],
            unit=unit_of(row),
            text=row["text_value"] or "",
        )
        for row in events.reverse().head(MAX_EVIDENCE).to_dicts()
    )


def unit_of(row: dict[str, object]) -> str:
    """The unit that an event carries, else the one its label file gives."""
    entry = entry_of(str(row["code"]))
    unit = str(row["unit"] or (entry.unit if entry else "") or "")
    return UNIT_WORDS.get(unit, unit)


def unit_words(unit: str) -> str:
    """A unit as it follows a number: 96%, 18/min, 5.4 × 10⁹/L, 4.2 mmol/L."""
    if not unit or unit == "%" or unit.startswith("/"):
        return unit
    times = f"×{FIXED_SPACE}" if unit.startswith("10") else ""
    return f"{FIXED_SPACE}{times}{unit}"
