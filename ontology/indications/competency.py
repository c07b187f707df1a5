"""The questions that CIIO's publication asks of annotated notes, answered note by note.

One function for each query of the ontology's wiki that lists or counts something; `answers` runs them all. A
question that no note can answer (was the infection the catheter's?) has no function: the publication says so
too. Which query is which, and what the published example notes answer, is told in docs/indications.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from ontology.indications import rules
from ontology.indications.notes import Notes, documents_with
from ontology.indications.rules import Finding, indication

OBSERVATION = ("observation",)
PLACE = ("anatomical_location",)
PROCEDURE = ("procedure",)
DEVICE = ("medical_device",)
_RUNNING_IN = tuple(name for finding in rules.RUNNING_IN for name in finding.classes)
_KEYS = ["document", "sentence", "mention"]


def early_phlebitis(notes: Notes) -> pl.DataFrame:
    """Notes that indicate early infusion phlebitis.

    Returns:
        document; observations, locations, procedures: the classes of everything observed at an insertion
        site, or together with what runs in, as far as that way alone shows two of the four signs.
    """
    return _by_document(_shown_by_signs(notes))


def medium_phlebitis(notes: Notes) -> pl.DataFrame:
    """Notes with one part of medium infusion phlebitis: a painful vein, or two signs as in the early stage.

    The publication lists notes with either part; the rule needs both (indication `phlebitis_medium`).
    """
    vein = _observed_at(notes, ("vein",)).filter(
        pl.col("observation").is_in(notes.kinds(rules.PAIN_OR_TENDERNESS.classes))
    )
    return _by_document(pl.concat([vein, _shown_by_signs(notes)], how="diagonal"))


def advanced_phlebitis(notes: Notes) -> pl.DataFrame:
    """Notes with one part of advanced infusion phlebitis: a hard and painful vein, or two signs as early.

    The publication lists notes with either part; the rule needs both (indication `phlebitis_advanced`).
    """
    vein = _observed_at(notes, ("vein",))
    for finding in (rules.PAIN_OR_TENDERNESS, rules.HARDNESS):
        shown = vein.filter(pl.col("observation").is_in(notes.kinds(finding.classes)))
        vein = vein.filter(pl.col("place").is_in(shown["place"].implode()))
    return _by_document(pl.concat([vein, _shown_by_signs(notes)], how="diagonal"))


def infection(notes: Notes) -> pl.DataFrame:
    """Pus at an insertion site: document, sentence, pus, insertion_site (individuals)."""
    pus = notes.of(("pus",)).join(notes.located(("insertion_site",)), on=_KEYS)
    return pus.select("document", "sentence", pus="mention", insertion_site="place").sort(pl.all())


def bloodstream_infection(notes: Notes) -> pl.DataFrame:
    """Blood tests that are positive or name a bacterium: document, blood_test, values."""
    found = notes.found((rules.POSITIVE_BLOOD_TEST,))
    grouped = found.group_by("document", blood_test="mention").agg(values=pl.col("value").unique().sort())
    return grouped.sort("document", "blood_test")


def infection_count(notes: Notes) -> pl.DataFrame:
    """How many notes: infection (pus at an insertion site), infection_or_bloodstream_infection."""
    infected = documents_with(notes, indication("infection"))
    either = infected | documents_with(notes, indication("bloodstream_infection"))
    return pl.DataFrame({"infection": [len(infected)], "infection_or_bloodstream_infection": [len(either)]})


def sepsis_observed(notes: Notes) -> pl.DataFrame:
    """What speaks for sepsis as one patient of the notes had it: document, observation, value, location."""
    return _for_sepsis(notes, (rules.MOBILITY, rules.HYPERTHERMIA, rules.FROSTBITE))


def sepsis_qsofa(notes: Notes) -> pl.DataFrame:
    """What speaks for infection with qSOFA: document, observation, value, location."""
    return _for_sepsis(notes, (rules.FAST_BREATHING, rules.LOW_PRESSURE, rules.NOT_ALERT))


def sepsis_news2(notes: Notes) -> pl.DataFrame:
    """What speaks for infection with the five signs of NEWS2: document, observation, value, location."""
    signs = (
        rules.FAST_BREATHING,
        rules.LOW_PRESSURE,
        rules.FAST_PULSE,
        rules.ANY_TEMPERATURE,
        rules.NOT_ALERT,
    )
    return _for_sepsis(notes, signs)


def catheter(notes: Notes) -> pl.DataFrame:
    """Notes that tell of a catheter: document, devices, procedures (classes)."""
    both = pl.concat(
        [_listed(notes, DEVICE, "devices"), _listed(notes, _RUNNING_IN, "procedures")], how="diagonal"
    )
    return _sets(both, ["document"], {"devices": "devices", "procedures": "procedures"})


def peripheral_catheter(notes: Notes) -> pl.DataFrame:
    """Peripheral catheters that are named: document, sentence, catheter (individual)."""
    named = notes.of(rules.PERIPHERAL.classes)
    return named.select("document", "sentence", catheter="mention").unique().sort(pl.all())


def leaking_peripheral_catheter(notes: Notes) -> pl.DataFrame:
    """Leakage with an infusion at arm or hand: document, sentence, observations, procedure, location."""
    seen = (
        _observations(notes).join(notes.related(PROCEDURE), on=_KEYS).join(notes.located(("arm",)), on=_KEYS)
    )
    runs_in = notes.kinds((*rules.INTRAVENOUS.classes, *rules.INFUSION.classes))
    keys = ["document", "sentence", "procedure", "procedure_kind", "place_kind"]
    grouped = seen.group_by(keys).agg(observations=pl.col("observation").unique().sort())
    leaking = grouped.filter(
        pl.col("observations").list.contains("leakage"), pl.col("procedure_kind").is_in(runs_in)
    )
    told = leaking.select(
        "document", "sentence", "observations", procedure="procedure_kind", location="place_kind"
    )
    return told.unique().sort(pl.all())


def catheter_count(notes: Notes) -> pl.DataFrame:
    """What each note names: document, devices, n_devices, procedures, n_procedures."""
    both = pl.concat(
        [_listed(notes, DEVICE, "devices"), _listed(notes, _RUNNING_IN, "procedures")], how="diagonal"
    )
    counted = both.group_by("document").agg(
        pl.col("devices").drop_nulls().unique().sort(),
        n_devices=pl.col("mention").filter(pl.col("devices").is_not_null()).n_unique(),
        procedures=pl.col("procedures").drop_nulls().unique().sort(),
        n_procedures=pl.col("mention").filter(pl.col("procedures").is_not_null()).n_unique(),
    )
    return counted.sort("document")


def catheter_places(notes: Notes) -> pl.DataFrame:
    """Where devices are, and where procedures are written of.

    Returns:
        document, sentence, devices, procedures, locations (classes), location_values (left, right, front,
        back).
    """
    placed = notes.of(DEVICE).join(notes.located(PLACE), on=_KEYS)
    devices = placed.select("document", "sentence", "place", devices="kind", locations="place_kind")
    places = notes.of(PLACE).select("document", "sentence", place="mention", locations="kind")
    done = notes.of(PROCEDURE).select("document", "sentence", procedures="kind")
    together = done.join(places, on=["document", "sentence"])
    told = notes.said.filter(pl.col("property").is_in(notes.kinds(("anatomical_location_descriptor",))))
    both = pl.concat([devices, together], how="diagonal").join(
        told.select(place="mention", location_values="other"), on="place", how="left"
    )
    names = ("devices", "procedures", "locations", "location_values")
    return _sets(both, ["document", "sentence"], dict(zip(names, names, strict=True)))


def catheter_uses(notes: Notes) -> pl.DataFrame:
    """What the devices are used in: document, sentence, devices, procedures (individuals)."""
    uses = notes.said.filter(property="procedure_uses").select(procedures="mention", devices="other")
    devices = notes.of(DEVICE).select("document", "sentence", devices="mention")
    done = notes.of(PROCEDURE).select("document", "sentence", procedures="mention")
    pairs = done.join(uses, on="procedures").join(devices, on=["document", "sentence", "devices"])
    return _sets(pairs, ["document", "sentence"], {"devices": "devices", "procedures": "procedures"})


def catheters_and_procedures(notes: Notes) -> pl.DataFrame:
    """Devices and procedures of each sentence: document, sentence, devices, procedures (individuals)."""
    devices = notes.of(DEVICE).select("document", "sentence", devices="mention")
    done = notes.of(PROCEDURE).select("document", "sentence", procedures="mention")
    both = pl.concat([devices, done], how="diagonal")
    return _sets(both, ["document", "sentence"], {"devices": "devices", "procedures": "procedures"})


def infection_and_catheter(notes: Notes) -> pl.DataFrame:
    """Notes with all: document, observations, locations (of the infection), devices, procedures."""
    pus = _observed_at(notes, ("insertion_site",)).filter(observation="pus")
    parts = [pus, _listed(notes, DEVICE, "devices"), _listed(notes, _RUNNING_IN, "procedures")]
    names = {
        "observations": "observation",
        "locations": "location",
        "devices": "devices",
        "procedures": "procedures",
    }
    grouped = _sets(pl.concat(parts, how="diagonal"), ["document"], names)
    return grouped.filter(pl.col(name).list.len() > 0 for name in names)


ANSWERS: dict[str, Callable[[Notes], pl.DataFrame]] = {
    "1 early phlebitis": early_phlebitis,
    "1 medium phlebitis": medium_phlebitis,
    "1 advanced phlebitis": advanced_phlebitis,
    "2 infection": infection,
    "3 bloodstream infection": bloodstream_infection,
    "4 how many infections": infection_count,
    "5 sepsis as observed": sepsis_observed,
    "5 sepsis by qSOFA": sepsis_qsofa,
    "5 sepsis by NEWS2": sepsis_news2,
    "6 catheter": catheter,
    "7 peripheral catheter named": peripheral_catheter,
    "7 peripheral catheter leaking": leaking_peripheral_catheter,
    "8a how many catheters": catheter_count,
    "8b where": catheter_places,
    "8c used in": catheter_uses,
    "8c written with": catheters_and_procedures,
    "9a infection and catheter": infection_and_catheter,
}
"""Question (numbered as the ontology's queries are) -> what answers it."""


def answers(notes: Notes) -> dict[str, pl.DataFrame]:
    """Every question with its answer; lists within a cell are sorted, rows too."""
    return {question: answer(notes) for question, answer in ANSWERS.items()}


def _observations(notes: Notes) -> pl.DataFrame:
    return notes.of(OBSERVATION).select(*_KEYS, observation="kind")


def _observed_at(notes: Notes, places: Sequence[str]) -> pl.DataFrame:
    """Document, observation, location (classes), place (individual)."""
    seen = _observations(notes).join(notes.located(places), on=_KEYS)
    return seen.select("document", "observation", "place", location="place_kind")


def _shown_by_signs(notes: Notes) -> pl.DataFrame:
    """Document, observation, location, procedure: each way that shows two of the signs, with all it shows."""
    at_site = _observed_at(notes, rules.INSERTION_SITE.classes)
    running = _observations(notes).join(notes.together(_RUNNING_IN), on=_KEYS)
    with_procedure = running.select("document", "observation", procedure="procedure_kind")
    groups = indication("phlebitis_early").needs[0].of
    return pl.concat(
        [
            way.filter(pl.col("document").is_in(_with_two(notes, way, groups)))
            for way in (at_site, with_procedure)
        ],
        how="diagonal",
    )


def _with_two(notes: Notes, way: pl.DataFrame, groups: Sequence[Finding]) -> list[str]:
    sign = {kind: group.name for group in groups for kind in notes.kinds(group.classes)}
    named = way.with_columns(
        sign=pl.col("observation").replace_strict(sign, default=None, return_dtype=pl.String)
    )
    counted = named.drop_nulls("sign").group_by("document").agg(n=pl.col("sign").n_unique())
    return sorted(counted.filter(pl.col("n") >= 2)["document"])


def _for_sepsis(notes: Notes, findings: Sequence[Finding]) -> pl.DataFrame:
    pus = _observed_at(notes, ("insertion_site",)).filter(observation="pus")
    found = notes.found(findings).select("document", "value", observation="kind")
    columns = ["document", "observation", "value", "location"]
    return pl.concat([pus, found], how="diagonal").select(columns).unique().sort(pl.all())


def _listed(notes: Notes, kinds: Sequence[str], name: str) -> pl.DataFrame:
    return notes.of(kinds).select("document", "mention", pl.col("kind").alias(name))


def _by_document(rows: pl.DataFrame) -> pl.DataFrame:
    names = {"observations": "observation", "locations": "location", "procedures": "procedure"}
    return _sets(rows, ["document"], names)


def _sets(rows: pl.DataFrame, keys: list[str], names: dict[str, str]) -> pl.DataFrame:
    """For each key the sorted set of each column; empty where all are null."""
    sets = [pl.col(column).drop_nulls().unique().sort().alias(name) for name, column in names.items()]
    return rows.group_by(keys).agg(sets).sort(keys)
