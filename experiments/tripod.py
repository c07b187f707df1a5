"""The TRIPOD+AI items as data, each with how a run record answers it, if it can.

**Source:** Collins et al. 2024, doi:10.1136/bmj-2023-078378: 27 items, some in parts; the wording here is
our own and short, the checklist itself is the reference.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TripodItem:
    """One item of the checklist.

    Attributes:
        number: "1" to "27", with a letter where an item has parts.
        section: title, abstract, introduction, methods, open science, public involvement, results or
            discussion.
        topic: what it is about.
        asks: what a report must say.
    """

    number: str
    section: str
    topic: str
    asks: str


def _items(section: str, *rows: tuple[str, str, str]) -> tuple[TripodItem, ...]:
    return tuple(TripodItem(number, section, topic, asks) for number, topic, asks in rows)


TRIPOD_AI: tuple[TripodItem, ...] = (
    *_items("title", ("1", "title", "development or evaluation, target population and outcome named")),
    *_items("abstract", ("2", "abstract", "as TRIPOD+AI for abstracts")),
    *_items(
        "introduction",
        ("3a", "background", "health care context, diagnostic or prognostic, why a model, existing models"),
        ("3b", "background", "target population, purpose, place in the care pathway and intended users"),
        ("3c", "background", "known health inequalities between groups"),
        ("4", "objectives", "what is developed, what is evaluated"),
    ),
    *_items(
        "methods",
        ("5a", "data", "sources of development and evaluation data, and why they represent the target"),
        ("5b", "data", "dates of accrual and end of follow-up"),
        ("6a", "participants", "setting, number and place of centres"),
        ("6b", "participants", "who was eligible"),
        ("6c", "participants", "treatments received and how they were handled"),
        ("7", "data preparation", "cleaning and quality checks, and whether alike across groups"),
        ("8a", "outcome", "the outcome, its horizon, how and when assessed, and why chosen"),
        ("8b", "outcome", "who judged it, if judgement was needed"),
        ("8c", "outcome", "blinding of its assessment"),
        ("9a", "predictors", "how the initial predictors were chosen"),
        ("9b", "predictors", "each predictor, how and when measured"),
        ("9c", "predictors", "who judged them, if judgement was needed"),
        ("10", "sample size", "how it was arrived at, and whether it is enough"),
        ("11", "missing data", "how missing data were handled"),
        ("12a", "analysis", "how data were used: partition for development and evaluation"),
        ("12b", "analysis", "how predictors were handled: form, scaling, transformation"),
        ("12c", "analysis", "type of model, all steps of building it, tuning, internal validation"),
        ("12d", "analysis", "heterogeneity between centres or countries"),
        ("12e", "analysis", "measures and plots of performance, and comparison of models"),
        ("12f", "analysis", "updating of the model, if any"),
        ("12g", "analysis", "for evaluation, how predictions were computed"),
        ("13", "class imbalance", "whether and how handled, and recalibration afterwards"),
        ("14", "fairness", "how fairness was approached, and why so"),
        ("15", "model output", "what the model gives, and how any classification was made"),
        ("16", "training and evaluation", "differences between development and evaluation data"),
        ("17", "ethics", "approval, and consent or its waiver"),
    ),
    *_items(
        "open science",
        ("18a", "funding", "source and role of funders"),
        ("18b", "conflicts of interest", "of all authors"),
        ("18c", "protocol", "where it is, or that there is none"),
        ("18d", "registration", "where registered, or that it is not"),
        ("18e", "data sharing", "whether data can be had"),
        ("18f", "code sharing", "whether code can be had"),
    ),
    *_items(
        "public involvement",
        ("19", "patients and public", "their part in the study, or that they had none"),
    ),
    *_items(
        "results",
        ("20a", "participants", "flow of participants, numbers with and without the outcome, follow-up"),
        ("20b", "participants", "characteristics, overall and by group, with missing data"),
        ("20c", "participants", "for evaluation, comparison with development data"),
        ("21", "model development", "participants and events in each analysis"),
        ("22", "model specification", "the full model, so that others can predict with it"),
        ("23a", "performance", "with intervals, also in key subgroups"),
        ("23b", "performance", "heterogeneity between centres, if examined"),
        ("24", "updating", "results of any updating"),
    ),
    *_items(
        "discussion",
        ("25", "interpretation", "overall, with fairness, in the light of objectives and earlier studies"),
        ("26", "limitations", "and their effect on bias, uncertainty and generalisability"),
        ("27a", "usability", "how poor or missing input is to be handled in use"),
        ("27b", "usability", "what users need to do and to know"),
        ("27c", "usability", "next steps for research"),
    ),
)
