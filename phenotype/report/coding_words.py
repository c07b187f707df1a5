"""What pages of an audit call kinds of findings, comparisons, rates and probabilities, in both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phenotype.coding.cases.rates import HARDLY_ANY, CaseRate, direction
from phenotype.explain.wording import FIXED_SPACE, count_words
from phenotype.report.money import Language, plain_number, share_words
from phenotype.report.suppression import is_small

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


DIRECTION_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {"more": "more than expected", "fewer": "fewer than expected", "within": "no clear difference"},
    "nb": {"more": "flere enn forventet", "fewer": "færre enn forventet", "within": "ingen klar forskjell"},
}


def with_small_rest(rates: Sequence[CaseRate]) -> frozenset[str]:
    """The rules and measures of which in any year only 1 to 4 of those judged are left over.

    Beside what was counted, how many were judged would give those away; of other years too, by the sum.
    """
    return frozenset(rate.measure for rate in rates if is_small(round(rate.n - rate.observed)))


def lead_words(rate: CaseRate | None, language: Language, *, hides_judged: bool = False) -> str:
    """What deviates and by how much, in a sentence; empty where no rate is held against anything.

    Args:
        rate: the one that tells most.
        language: of the sentence.
        hides_judged: whether how many were judged would give a small rest away.
    """
    if rate is None or rate.expected is None:
        return ""
    en = language == "en"
    against = _EXPECTED_OF[language]["measure" if rate.against == "expected" else "rule"]
    seen = f"{rate.period}: {_counted(rate, language, hides_judged=hides_judged)}"
    where, none = ("where", "none would be") if en else ("mot", "ingen")
    if rate.expected < HARDLY_ANY or rate.ratio is None:
        return f"{seen}{'' if en else ','} {where} {none} {against}."
    expected = plain_number(rate.expected, language, 1)
    which = direction(rate)
    if not en:
        ratio = f"forholdstall {plain_number(rate.ratio, language, 1 if which == 'more' else 2)}"
        told = f"{seen}, mot {expected} {against}; {DIRECTION_WORDS['nb'][which]}, {ratio}"
    elif which == "more":
        times = plain_number(rate.ratio, language, 1)
        told = f"{seen} where {expected} would be {against}, {times} times as many"
    else:
        ratio = plain_number(rate.ratio, language, 2)
        told = f"{seen} where {expected} would be {against}; {DIRECTION_WORDS['en'][which]}, ratio {ratio}"
    limits = limits_words(rate, language)
    if not limits:
        return f"{told}."
    return f"{told} ({'95% limits' if en else '95 % grenser'} {limits})."


_EXPECTED_OF: Mapping[str, Mapping[str, str]] = {
    "en": {"measure": "expected of its patients", "rule": "expected at the others' rate"},
    "nb": {"measure": "forventet ut fra pasientsammensetningen", "rule": "forventet ut fra de andres andel"},
}


def _counted(rate: CaseRate, language: Language, *, hides_judged: bool) -> str:
    """How many of how many, with the share; how many alone where the rest is small."""
    observed = figure_words(rate.observed, language)
    if hides_judged or is_small(rate.n) or is_small(round(rate.n - rate.observed)):
        return observed
    is_part = rate.n > 0 and rate.observed <= rate.n and rate.observed == round(rate.observed)
    share = f" ({share_words(rate.observed / rate.n, language)})" if is_part else ""
    return f"{observed} {'of' if language == 'en' else 'av'} {count_words(rate.n)}{share}"


def limits_words(rate: CaseRate, language: Language) -> str:
    """The limits of a rate: 0.61 to 1.25; empty where there are none."""
    if rate.low is None or rate.high is None or (rate.expected or 0.0) < HARDLY_ANY:
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
    return f"{figure}%" if language == "en" else f"{figure}{FIXED_SPACE}%"


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
    if row["expected_nok"] < 0:
        return "in the hospital's favour" if en else "i sykehusets favør"
    return "costs more than it brings" if en else "koster mer enn det gir"
