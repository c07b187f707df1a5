"""What pages of an audit call kinds of findings, comparisons, rates and probabilities, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phenotype.coding.cases.rates import CaseRate
from phenotype.explain.wording import count_words
from phenotype.report.money import Language, plain_number, share_words

KIND_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "rule": "coding rule",
        "missing": "probable, not coded",
        "unsupported": "coded, little support",
        "main_condition": "main condition",
        "unspecific": "unspecific code",
        "unit_rate": "rate",
        "drift": "change over time",
    },
    "nb": {
        "rule": "koderegel",
        "missing": "sannsynlig, ikke kodet",
        "unsupported": "kodet, lite støtte",
        "main_condition": "hovedtilstand",
        "unspecific": "uspesifikk kode",
        "unit_rate": "andel",
        "drift": "endring over tid",
    },
}
AGAINST_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "expected": "what is expected of its patients (adjusted for case mix)",
        "wards": "wards of the same name in the other hospitals",
        "peers": "all other units judged by the same rule",
        "model": "what the rest of each stay lets one expect",
    },
    "nb": {
        "expected": "forventet nivå justert for pasientsammensetning",
        "wards": "tilsvarende avdelinger ved de andre sykehusene",
        "peers": "alle øvrige enheter vurdert etter samme regel",
        "model": "det øvrige innholdet i hvert opphold",
    },
}
VERDICT_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {"holds": "holds", "holds_in_part": "holds for some", "does_not_hold": "does not hold"},
    "nb": {"holds": "gjelder", "holds_in_part": "gjelder for noen", "does_not_hold": "gjelder ikke"},
}


def lead_words(rate: CaseRate | None, language: Language) -> str:
    """What deviates and by how much, in a sentence; empty where no rate is held against anything."""
    if rate is None or rate.expected is None or rate.ratio is None:
        return ""
    n, observed = count_words(rate.n), figure_words(rate.observed, language)
    is_count = rate.n > 0 and rate.observed <= rate.n and rate.observed == round(rate.observed)
    share = f" ({share_words(rate.observed / rate.n, language)})" if is_count else ""
    expected, ratio = plain_number(rate.expected, language, 1), plain_number(rate.ratio, language, 1)
    limits = limits_words(rate, language)
    if language == "en":
        whose = "of its patients" if rate.against == "expected" else "at the others' rate"
        tail = f", 95% limits {limits}" if limits else ""
        return (
            f"{rate.period}: {observed} of {n}{share} where {expected} would be expected {whose}, "
            f"{ratio} times as many{tail}."
        )
    whose = "ut fra pasientsammensetningen" if rate.against == "expected" else "ut fra de andres andel"
    tail = f", 95 % grenser {limits}" if limits else ""
    return (
        f"{rate.period}: {observed} av {n}{share}, mot {expected} forventet {whose}; "
        f"forholdstall {ratio}{tail}."
    )


def limits_words(rate: CaseRate, language: Language) -> str:
    """The limits of a rate: 0.61 to 1.25; empty where there are none."""
    if rate.low is None or rate.high is None:
        return ""
    joint = " to " if language == "en" else " til "
    return f"{plain_number(rate.low, language, 2)}{joint}{plain_number(rate.high, language, 2)}"


def figure_words(value: float, language: Language) -> str:
    """A count, or a number with two decimals where it is none."""
    return count_words(round(value)) if value == round(value) else plain_number(value, language, 2)


def chance_words(probability: float | None, language: Language) -> str:
    """A probability in whole percent, a dash where nobody can tell."""
    if probability is None:
        return "–"
    figure = plain_number(100 * probability, language, 0)
    return f"{figure}%" if language == "en" else f"{figure} %"


def opening_words(row: Mapping[str, Any], language: Language) -> str:
    """Whether opening a stay pays off, of a row of OPENINGS with is_answered."""
    en = language == "en"
    if row["is_answered"]:
        return "answered" if en else "besvart"
    if row["probability"] is None:
        return "sample behind the rate" if en else "utvalg bak andelen"
    if row["pays"] is None:
        return "no price" if en else "uten beløp"
    if row["pays"]:
        return "pays off" if en else "lønner seg"
    return "costs more than it brings" if en else "koster mer enn det gir"
