"""The parts of a task: the rules of when to predict, the population, and the outcomes, as frozen models."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from phenotype.aces.text import AcesTask

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]
LONGEST_HOURS = 1_314_900.0
"""150 years: longer than a life, and less than instants can hold."""
Hours = Annotated[float, Field(gt=0, le=LONGEST_HOURS)]
Days = Annotated[float, Field(gt=0, le=LONGEST_HOURS / 24)]
Share = Annotated[float, Field(gt=0, lt=1)]
CareLevel = Literal["icu", "inpatient", "day", "emergency", "outpatient"]


class Frozen(BaseModel):
    """A model that never changes and knows no other fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Admission(Frozen):
    """One microsecond before a stay, from history only: nothing of the stay itself counts."""

    kind: Literal["admission"] = "admission"


class AfterStart(Frozen):
    """A number of hours after the beginning of a stay, or of the stay's first intensive care contact.

    Attributes:
        hours: how long after the beginning.
        of: whose beginning.
    """

    kind: Literal["after_start"] = "after_start"
    hours: Hours
    of: Literal["stay", "icu"] = "stay"


class Hourly(Frozen):
    """Each full hour of an intensive care contact, from its first recorded event to its end."""

    kind: Literal["hourly"] = "hourly"


class Discharge(Frozen):
    """The end of a stay that the patient left alive; what is known at that instant counts."""

    kind: Literal["discharge"] = "discharge"


class AfterDischarge(Frozen):
    """A number of days after the end of a stay that the patient left alive, if out of hospital then.

    Attributes:
        days: how long after the discharge.
    """

    kind: Literal["after_discharge"] = "after_discharge"
    days: Days


class NewYear(Frozen):
    """Each 1 January 00:00 within observation, if out of hospital then; needs true dates."""

    kind: Literal["new_year"] = "new_year"


class AcesTriggers(Frozen):
    """Each trigger of a task in ACES' language, at the time that one of its windows gives.

    Attributes:
        task: the whole task, whose windows also choose the rows and give the answer.
    """

    kind: Literal["aces"] = "aces"
    task: AcesTask


Index = Annotated[
    Admission | AfterStart | Hourly | Discharge | AfterDischarge | NewYear | AcesTriggers,
    Field(discriminator="kind"),
]


class Population(Frozen):
    """Who is asked about.

    Attributes:
        care_levels: the stay's most intensive level must be one of these.
        min_age_years: youngest age at the prediction; a patient of unknown age is left out.
        is_overnight: True keeps stays over at least one midnight only; it looks at the discharge, so it is
            for tasks that predict at or after it.
        ever_codes: beginnings of codes of which the patient must have at least one at any time, before or
            after the prediction: a selected cohort, which looks into the future by design.
    """

    care_levels: tuple[CareLevel, ...] = ("icu", "inpatient")
    min_age_years: Annotated[float, Field(ge=0)] = 0
    is_overnight: bool = False
    ever_codes: tuple[Text, ...] = ()


class DeathInStay(Frozen):
    """Death before the stay's end."""

    kind: Literal["death_in_stay"] = "death_in_stay"
    event: ClassVar[str] = "death"


class Death(Frozen):
    """Death from any cause within the horizon, in hospital or outside."""

    kind: Literal["death"] = "death"
    event: ClassVar[str] = "death"


class ProlongedStay(Frozen):
    """A stay longer than a threshold: a fixed number of days, or a percentile of the training rows' lengths.

    Attributes:
        percentile: share of training stays that are not longer than the threshold.
        days: the fixed threshold.
    """

    kind: Literal["prolonged_stay"] = "prolonged_stay"
    event: ClassVar[str] = "prolonged_stay"
    percentile: Share | None = None
    days: Days | None = None


class LabelledOnset(Frozen):
    """An onset that the source itself labels.

    Attributes:
        event: what the onset is called in outcomes.
        code: the label's code; rows whose value is 0 do not count.
        lead_hours: how long before the onset the source's first label lies.
    """

    kind: Literal["labelled_onset"] = "labelled_onset"
    event: Name
    code: Text
    lead_hours: Annotated[float, Field(ge=0, le=LONGEST_HOURS)] = 0


class _Infection(Frozen):
    """A sepsis or bloodstream infection by a named definition.

    Attributes:
        definition: value set of sepsis codes.
        commensals: value set of organisms that count only when they grow twice.
        lookback_hours: a culture collected this long before the stay belongs to it.
    """

    event: ClassVar[str] = "sepsis_or_bsi"
    definition: Name = "sepsis_explicit"
    commensals: Name = "blood_culture_commensals"
    lookback_hours: Annotated[float, Field(ge=0, le=LONGEST_HOURS)] = 24


class InfectionInStay(_Infection):
    """Sepsis or bloodstream infection during the stay.

    Attributes:
        present_on_admission_hours: an onset this soon after admission is reported apart as present then.
    """

    kind: Literal["infection_in_stay"] = "infection_in_stay"
    present_on_admission_hours: Hours = 48


class InfectionAdmission(_Infection):
    """A stay with sepsis or bloodstream infection that begins within the horizon."""

    kind: Literal["infection_admission"] = "infection_admission"


class Readmission(Frozen):
    """An acute overnight stay that begins within the horizon of the discharge."""

    kind: Literal["readmission"] = "readmission"
    event: ClassVar[str] = "readmission"


class AcesLabel(Frozen):
    """Whether the label of a task in ACES' language stands in its window.

    Attributes:
        event: the predicate that is the label.
    """

    kind: Literal["aces_label"] = "aces_label"
    event: Text


Outcome = Annotated[
    DeathInStay
    | Death
    | ProlongedStay
    | LabelledOnset
    | InfectionInStay
    | InfectionAdmission
    | Readmission
    | AcesLabel,
    Field(discriminator="kind"),
]
