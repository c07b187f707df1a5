"""From signs to what they indicate, as data: infusion phlebitis by two signs of four, catheters.

A note seldom says "infusion phlebitis" or "catheter"; it says that an insertion site is red and warm, or that
a drug ran intravenously. Each Indication is one rule of Yan et al. from findings to what they indicate. The
rules are read twice: over notes that are annotated with the ontology CIIO (notes.py), and over dated events,
where criteria.py writes a rule in the phenotype language.

**Source:** Yan, Gustad, Høvik, Nytrø: Terminology and ontology development for semantic annotation. Semantic
Web 2023, doi 10.3233/SW-223226, and the page "Clinical Knowledge" of the ontology's wiki. Names are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

from ontology.errors import ConfigurationError, Problem

SOURCE = "Yan et al., Semantic Web 2023, doi 10.3233/SW-223226"


@dataclass(frozen=True)
class Finding:
    """Something that is written of a patient.

    Attributes:
        name: letters and _; the group of the value set family infusion_phlebitis as well.
        english: its name in English.
        norwegian: its name in Norwegian (Bokmål).
        classes: classes of CIIO; those below them count too.
        values: one of these must be said of it, whole or as the beginning of a word; none needed where empty.
    """

    name: str
    english: str
    norwegian: str
    classes: tuple[str, ...]
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signs:
    """Enough of some findings, at a place or with a procedure where that is asked.

    Attributes:
        of: the findings.
        at_least: how many different ones are needed.
        at: places at which they must be, all at places of one of these kinds; empty: anywhere.
        observed_with: procedures that they must be written together with (same sentence); a rule that has
            both `at` and `observed_with` holds by either.
        is_related: whether the note must say that a sign belongs to the procedure, and is at the place too.
    """

    of: tuple[Finding, ...]
    at_least: int = 1
    at: tuple[Finding, ...] = ()
    observed_with: tuple[Finding, ...] = ()
    is_related: bool = False


@dataclass(frozen=True)
class Indication:
    """One rule.

    Attributes:
        name: letters and _.
        english: what is indicated, in English.
        norwegian: what is indicated, in Norwegian (Bokmål).
        needs: all of these must be there.
        implied_by: names of indications, each of which is enough.
        and_also: names of indications that must hold as well.
        note: what a reader should know of the rule.
    """

    name: str
    english: str
    norwegian: str
    needs: tuple[Signs, ...] = ()
    implied_by: tuple[str, ...] = ()
    and_also: tuple[str, ...] = ()
    note: str = ""


PAIN_OR_TENDERNESS = Finding(
    "pain_or_tenderness", "pain or tenderness", "smerte eller ømhet", ("pain", "tenderness")
)
RED = Finding("red", "red", "rød", ("red",))
SWOLLEN = Finding("swollen", "swollen", "hoven", ("swollen", "edema"))
WARM = Finding("warm", "warm", "varm", ("warm",))
HARDNESS = Finding("hardness", "hardness", "hardhet", ("hardness",))
PUS = Finding("pus", "pus", "puss", ("pus",))
LEAKAGE = Finding("leakage", "leakage", "lekkasje", ("leakage",))
MOBILITY = Finding(
    "mobility_impairment", "impaired mobility", "nedsatt bevegelighet", ("mobility_impairment",)
)
FROSTBITE = Finding("frostbite", "frostbite", "frostskade", ("frostbite",))
HYPERTHERMIA = Finding("hyperthermia", "high temperature", "feber", ("body_temperature",), ("Hyperthermia",))
ANY_TEMPERATURE = Finding(
    "temperature_off",
    "low or high temperature",
    "lav eller høy temperatur",
    ("body_temperature",),
    ("Hypothermia", "Hyperthermia"),
)
FAST_BREATHING = Finding(
    "fast_breathing", "high respiratory rate", "rask pust", ("respiratory_rate",), ("High",)
)
LOW_PRESSURE = Finding("low_pressure", "low blood pressure", "lavt blodtrykk", ("blood_pressure",), ("Low",))
FAST_PULSE = Finding("fast_pulse", "high pulse", "rask puls", ("pulse",), ("High",))
NOT_ALERT = Finding(
    "not_alert",
    "not alert",
    "ikke våken",
    ("consciousness_level",),
    ("Confusion", "Verbally responsive", "Painfully responsive", "Unresponsive"),
)
POSITIVE_BLOOD_TEST = Finding(
    "positive_blood_test",
    "blood test positive or with a named bacterium",
    "blodprøve positiv eller med navngitt bakterie",
    ("blood_test",),
    ("Positive", "Strep", "Staph"),
)
INSERTION_SITE = Finding("insertion_site", "insertion site", "innstikksted", ("insertion_site",))
VEIN = Finding("vein", "vein", "vene", ("vein",))
ARM = Finding("arm", "arm, elbow or hand", "arm, albue eller hånd", ("arm",))
INTRAVENOUS = Finding("intravenous", "intravenous use", "intravenøs bruk", ("general_iv",))
INFUSION = Finding("infusion", "infusion", "infusjon", ("infusion",))
CATHETER_PROCEDURE = Finding(
    "catheter_procedure", "catheter procedure", "kateterprosedyre", ("catheter_procedure",)
)
DEVICE = Finding("device", "catheter or part of one", "kateter eller del av kateter", ("medical_device",))
PERIPHERAL = Finding(
    "peripheral_catheter",
    "peripheral venous catheter",
    "perifert venekateter",
    ("peripheral_intravenous_catheter",),
)
EPIDURAL = Finding("epidural", "epidural catheter", "epiduralkateter", ("epidural",))

RUNNING_IN = (INTRAVENOUS, INFUSION, CATHETER_PROCEDURE)
"""What tells that something runs, or ran, into the patient through a catheter."""

_SITE_SIGNS = (PAIN_OR_TENDERNESS, RED, SWOLLEN, WARM)
_LATER_SIGNS = (RED, SWOLLEN, WARM)

INDICATIONS: tuple[Indication, ...] = (
    Indication(
        "phlebitis_early",
        "infusion phlebitis, early stage",
        "infusjonsflebitt, tidlig stadium",
        needs=(Signs(_SITE_SIGNS, 2, at=(INSERTION_SITE,), observed_with=RUNNING_IN),),
        note="Two of four signs at an insertion site or with an infusion; whether the cause is germs, the "
        "drug or the catheter is not told.",
    ),
    Indication(
        "phlebitis_medium",
        "infusion phlebitis, medium stage",
        "infusjonsflebitt, midtre stadium",
        needs=(
            Signs((PAIN_OR_TENDERNESS,), at=(VEIN,)),
            Signs(_LATER_SIGNS, 2, at=(INSERTION_SITE,), observed_with=RUNNING_IN),
        ),
    ),
    Indication(
        "phlebitis_advanced",
        "infusion phlebitis, advanced stage",
        "infusjonsflebitt, langtkommet stadium",
        needs=(
            Signs((PAIN_OR_TENDERNESS,), at=(VEIN,)),
            Signs((HARDNESS,), at=(VEIN,)),
            Signs(_LATER_SIGNS, 2, at=(INSERTION_SITE,), observed_with=RUNNING_IN),
        ),
    ),
    Indication("catheter_named", "catheter, named", "kateter, nevnt", needs=(Signs((DEVICE,)),)),
    Indication(
        "catheter_used",
        "catheter, by what ran through it",
        "kateter, ut fra det som gikk inn",
        needs=(Signs(RUNNING_IN),),
        note="Any intravenous use or infusion, any catheter procedure; the kind is not told by it.",
    ),
    Indication(
        "catheter",
        "catheter",
        "kateter",
        implied_by=(
            "catheter_named",
            "catheter_used",
            "phlebitis_early",
            "phlebitis_medium",
            "phlebitis_advanced",
        ),
    ),
    Indication(
        "peripheral_catheter_named",
        "peripheral venous catheter, named",
        "perifert venekateter, nevnt",
        needs=(Signs((PERIPHERAL,)),),
    ),
    Indication(
        "peripheral_catheter_leaking",
        "peripheral venous catheter, by leakage",
        "perifert venekateter, ut fra lekkasje",
        needs=(Signs((LEAKAGE,), at=(ARM,), observed_with=(INTRAVENOUS, INFUSION), is_related=True),),
        note="Central catheters lie deep and do not leak on the skin.",
    ),
    Indication(
        "peripheral_catheter",
        "peripheral venous catheter",
        "perifert venekateter",
        implied_by=("peripheral_catheter_named", "peripheral_catheter_leaking"),
    ),
    Indication("epidural_catheter", "epidural catheter", "epiduralkateter", needs=(Signs((EPIDURAL,)),)),
    Indication("infection", "infection", "infeksjon", needs=(Signs((PUS,), at=(INSERTION_SITE,)),)),
    Indication(
        "bloodstream_infection",
        "bloodstream infection",
        "blodbaneinfeksjon",
        needs=(Signs((POSITIVE_BLOOD_TEST,)),),
        note="The bacteria are looked for by the beginnings Strep and Staph, as the publication does.",
    ),
    Indication(
        "sepsis_observed",
        "sepsis, by what one septic patient of the notes had",
        "sepsis, slik én septisk pasient i notatene hadde det",
        needs=(Signs((MOBILITY,)), Signs((HYPERTHERMIA,)), Signs((FROSTBITE,))),
        and_also=("infection",),
        note="The publication's own, from one example; no general criterion of sepsis.",
    ),
    Indication(
        "sepsis_qsofa",
        "sepsis, infection with qSOFA",
        "sepsis, infeksjon med qSOFA",
        needs=(Signs((FAST_BREATHING, LOW_PRESSURE, NOT_ALERT), 2),),
        and_also=("infection",),
    ),
    Indication(
        "sepsis_news2",
        "sepsis, infection with all five signs of NEWS2",
        "sepsis, infeksjon med alle fem tegn av NEWS2",
        needs=(
            Signs((FAST_BREATHING,)),
            Signs((LOW_PRESSURE,)),
            Signs((FAST_PULSE,)),
            Signs((ANY_TEMPERATURE,)),
            Signs((NOT_ALERT,)),
        ),
        and_also=("infection",),
    ),
)


def indication(name: str) -> Indication:
    """The rule of that name.

    Raises:
        ConfigurationError: there is none.
    """
    for rule in INDICATIONS:
        if rule.name == name:
            return rule
    told = ", ".join(rule.name for rule in INDICATIONS)
    raise ConfigurationError(Problem("no such indication", found=name, allowed=told))


def findings_of(rule: Indication) -> tuple[Finding, ...]:
    """Every finding that a rule names, in its order, each once."""
    named = (finding for signs in rule.needs for finding in (*signs.of, *signs.at, *signs.observed_with))
    return tuple(dict.fromkeys(named))
