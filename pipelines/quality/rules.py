"""What a check may count: one typed model a kind of rule."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.quality.conditions import TableName

Grouping = Literal["system", "code", "unit_id", "hospital_id", "care_level", "month", "year"]
"""What rows may be counted by; each group is judged on its own."""


class RuleSettings(BaseModel):
    """The base of all rules: frozen, and unknown keys are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(RuleSettings):
    """Rows of a table for which a condition holds: wrong rows among those that are asked.

    Attributes:
        table: the table; its columns are in `conditions.COLUMNS`.
        among: an SQL condition that says which rows are asked; empty = all.
        wrong: an SQL condition that says which of them are wrong; null counts as not wrong.
        by: what the rows are counted by.
    """

    type: Literal["condition"]
    table: TableName
    among: str = ""
    wrong: str
    by: tuple[Grouping, ...] = ()


class Columns(RuleSettings):
    """Tables have the format's columns, of the right type; a missing table is passed over."""

    type: Literal["columns"]


class Unique(RuleSettings):
    """No two rows of a table agree in these columns."""

    type: Literal["unique"]
    table: Literal["contacts", "codings", "observation", "codes"]
    columns: tuple[str, ...] = Field(min_length=1)


class Reference(RuleSettings):
    """What a column names is there in another table; nulls name nothing."""

    type: Literal["reference"]
    table: Literal["contacts", "codings"]
    column: str
    target: Literal["contacts"]
    target_column: str


class Sorted(RuleSettings):
    """Events of a file stand by subject and time, facts without time first; wrong is a row out of place."""

    type: Literal["sorted"]


class OneShard(RuleSettings):
    """All events of a subject stand in one file."""

    type: Literal["one_shard"]


class LineageComplete(RuleSettings):
    """Each lineage_id of an event is a row of lineage.parquet."""

    type: Literal["lineage_complete"]


class Duplicates(RuleSettings):
    """Events that equal an earlier one in subject, time, code, value, text and unit; all but one are wrong.

    Attributes:
        systems: only codes of these systems; empty = all.
        by: system, or nothing.
    """

    type: Literal["duplicates"]
    systems: tuple[str, ...] = ()
    by: tuple[Literal["system"], ...] = ()


class Contradictions(RuleSettings):
    """Instants at which one code of one subject has several values; systems as in Duplicates."""

    type: Literal["contradictions"]
    systems: tuple[str, ...] = ()


class PairOrder(RuleSettings):
    """Of two measurements of a subject at one instant the one is not above the other.

    Attributes:
        lower, higher: codes; a row where the lower is at or above the higher is wrong.
    """

    type: Literal["pair_order"]
    lower: str
    higher: str


class Overlap(RuleSettings):
    """Contacts of these care levels that begin while another of the same subject goes on.

    Attributes:
        care_levels: care levels of both contacts.
        hours: by how many hours they must overlap at least.
        elsewhere: only contacts at different hospitals.
    """

    type: Literal["overlap"]
    care_levels: tuple[str, ...]
    hours: float = Field(default=0.0, ge=0)
    elsewhere: bool = False


class Balance(RuleSettings):
    """Two kinds of contacts that belong together are as many in each year; the difference is wrong.

    Attributes:
        left, right: regular expressions of codes without dots; a contact counts once.
        system: the code system.
    """

    type: Literal["balance"]
    system: str
    left: str
    right: str


class Partner(RuleSettings):
    """A code that may not stand alone has another one in its condition group.

    Attributes:
        system: the code system.
        pattern: a regular expression of the codes that need a partner, without dots.
    """

    type: Literal["partner"]
    system: str
    pattern: str


class Analyte(RuleSettings):
    """What is measured by some codes: its unit and the values that can be.

    Attributes:
        name: what it is, as configs/units/analytes.yaml names it where conversions need more than units.
        codes: `SYSTEM//code`.
        unit: the unit of low and high, in UCUM.
        low, high: the smallest and the largest value that can be.
    """

    name: str
    codes: tuple[str, ...] = Field(min_length=1)
    unit: str
    low: float
    high: float


class ValueRange(RuleSettings):
    """Values outside what can be; other units are converted, those that cannot be are not judged."""

    type: Literal["value_range"]
    analytes: tuple[Analyte, ...] = Field(min_length=1)


class DeclaredUnit(RuleSettings):
    """Values of a code in a unit other than the code's own; spellings of one unit count as one."""

    type: Literal["declared_unit"]
    analytes: tuple[Analyte, ...] = Field(min_length=1)


class UsualUnit(RuleSettings):
    """Values of a code in another unit than most of its values have."""

    type: Literal["usual_unit"]
    systems: tuple[str, ...]


class UnitChange(RuleSettings):
    """Months in which two thirds of a code's values have another unit than in the month before."""

    type: Literal["unit_change"]
    systems: tuple[str, ...]
    n_in_month: int = Field(default=10, ge=1)


class MedianShift(RuleSettings):
    """Months in which the median of a code and unit is many times that of the month before, or a part of it.

    Attributes:
        systems: of these systems.
        factor: how many times.
        n_in_month: months with fewer values are passed over.
    """

    type: Literal["median_shift"]
    systems: tuple[str, ...]
    factor: float = Field(default=10.0, gt=1)
    n_in_month: int = Field(default=20, ge=1)


class DigitPreference(RuleSettings):
    """Values that end in the code's most frequent last digit, at the code's own number of decimals."""

    type: Literal["digit_preference"]
    systems: tuple[str, ...]


class OneValue(RuleSettings):
    """All values of a code and unit are one value: all of them are wrong, or none."""

    type: Literal["one_value"]
    systems: tuple[str, ...]


class Silence(RuleSettings):
    """Months from a group's first on with far fewer patients or contacts than the months before.

    Attributes:
        by: what sends events: code systems (patients with an event are counted), hospitals or units (contacts
            that began are counted).
        share: a month with fewer than this share of the median of the months before is silent.
        n_months: of how many months before (after, where fewer than three stand before).
        n_expected: groups and times with a smaller median are not judged.
    """

    type: Literal["silence"]
    by: Literal["system", "hospital_id", "unit_id"]
    share: float = Field(default=0.2, gt=0, lt=1)
    n_months: int = Field(default=6, ge=1)
    n_expected: int = Field(default=20, ge=1)


class MonthlyRate(RuleSettings):
    """Months in which a rate in a group lies far from its median over all months.

    Attributes:
        rate: what is divided: diagnoses per overnight stay, or results per overnight stay.
        by: the groups.
        factor: more than this many times the median, or less than that part of it, is wrong.
        n_in_month: months with fewer stays are passed over.
    """

    type: Literal["monthly_rate"]
    rate: Literal["diagnoses_per_contact", "events_per_contact"]
    by: Literal["unit_id", "hospital_id"] = "unit_id"
    care_levels: tuple[str, ...] = ("inpatient", "icu")
    factor: float = Field(default=2.0, gt=1)
    n_in_month: int = Field(default=10, ge=1)


class LateArrival(RuleSettings):
    """Facts that became known more than some hours after they happened, by code system."""

    type: Literal["late_arrival"]
    hours: float = Field(gt=0)


class CodeForm(RuleSettings):
    """Codes that do not look like codes of their system."""

    type: Literal["code_form"]


class UnknownCode(RuleSettings):
    """Codes that the ontology's lists do not hold.

    Attributes:
        how: not_found (nor anything above them) or nearest_parent (only something above them).
    """

    type: Literal["unknown_code"]
    how: Literal["not_found", "nearest_parent"] = "not_found"


class OutsideValidity(RuleSettings):
    """Codes used on a day that the list of that day does not hold; days without a list are not judged."""

    type: Literal["outside_validity"]


class Group(RuleSettings):
    """Codes that only some patients can have.

    Attributes:
        title: what they are.
        system: the code system.
        pattern: a regular expression of the codes, without dots.
        sex: the sex that can have them; None = either.
        youngest, oldest: ages in years that can have them.
    """

    title: str
    system: str
    pattern: str
    sex: Literal["male", "female"] | None = None
    youngest: float | None = None
    oldest: float | None = None


class SpecificCode(RuleSettings):
    """Codes in patients of a sex or an age that cannot have them; unknown sex and age are passed over."""

    type: Literal["specific_code"]
    groups: tuple[Group, ...] = Field(min_length=1)


class Rejects(RuleSettings):
    """Rows of the source that became nothing, by file and reason, as ingest.json tells.

    Attributes:
        what: rejected rows, rejected fields, rows ignored by a rule, or rows whose fate is not told.
    """

    type: Literal["rejects"]
    what: Literal["rows_rejected", "fields_rejected", "rows_ignored", "rows_unaccounted"]


class FilesNotRead(RuleSettings):
    """Files of the source that no table reads."""

    type: Literal["files_not_read"]


class LostLinks(RuleSettings):
    """Events that named a contact which the source does not have, as ingest.json tells."""

    type: Literal["lost_links"]


class IdentityNumbers(RuleSettings):
    """Texts that hold a valid national identity number; synthetic numbers count.

    Attributes:
        places: `table.column`; distinct texts are asked, those without eleven digits count as one.
    """

    type: Literal["identity_numbers"]
    places: tuple[str, ...]


Rule = (
    Condition
    | Columns
    | Unique
    | Reference
    | Sorted
    | OneShard
    | LineageComplete
    | Duplicates
    | Contradictions
    | PairOrder
    | Overlap
    | Balance
    | Partner
    | ValueRange
    | DeclaredUnit
    | UsualUnit
    | UnitChange
    | MedianShift
    | DigitPreference
    | OneValue
    | Silence
    | MonthlyRate
    | LateArrival
    | CodeForm
    | UnknownCode
    | OutsideValidity
    | SpecificCode
    | Rejects
    | FilesNotRead
    | LostLinks
    | IdentityNumbers
)
