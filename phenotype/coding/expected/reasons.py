"""Why a stay is expected to be coded otherwise: contributions by concept in words, with their events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.labels import domain_of, entry_of
from ontology.release import active_ontology
from phenotype.coding.expected.circumstances import Circumstances
from phenotype.coding.expected.naming import name_of_group
from phenotype.coding.findings import FINDING_REASONS, Found
from phenotype.explain.record import AGE_CODE, MAX_EVIDENCE, Record, unit_of
from phenotype.explain.sentences import SEX, value_words
from phenotype.explain.wording import number_words, span_words, times_words
from phenotype.trajectory import BIRTH_CODE

Floats = npt.NDArray[np.float64]
OTHER_STAYS, UNIT, BACKGROUND, CHANCE = "OTHER_STAYS", "UNIT", "BACKGROUND", "CHANCE"
"""In place of a concept: what the patient's other stays were coded with; how the unit codes; age, sex and how
the stay ran, together; what goes with the group no more than by chance, together."""
LEAST_RATIO = 1.2
"""A unit that errs less than so many times as often as all units is no reason."""
MAX_AGAINST, MAX_ABSENT, MAX_BACKGROUND = 2, 2, 3
"""So many concepts are told at most that speak against a doubt; that are not on record; of the background."""
AGAINST = "Against this doubt: "


@dataclass(frozen=True)
class Reason:
    """What one concept adds.

    Attributes:
        concept: `SYSTEM//code`, OTHER_STAYS or UNIT.
        contribution: log odds.
        text: in words.
        evidence: lineage_ids of the events behind it, the latest first.
    """

    concept: str
    contribution: float
    text: str
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True)
class Telling:
    """How the reasons of one doubt are told.

    Attributes:
        record: what was known.
        names: what the dataset calls codes of its own.
        circumstances: what may not explain a coding.
        direction: 1 where the doubt is that the group is there, -1 where it is that it is not.
        n_reasons: concepts that are told for it.
        min_contribution: log odds below which a concept is not told.
    """

    record: Record
    names: Mapping[str, str]
    circumstances: Circumstances
    direction: int
    n_reasons: int
    min_contribution: float

    def is_background(self, code: str) -> bool:
        """Whether a code is told with others alone."""
        return self.circumstances.is_background(code, self.names.get(code))

    def text(self, words: str, contribution: float) -> str:
        """A sentence with what it speaks for."""
        return words if contribution * self.direction >= 0 else f"{AGAINST}{words}"


def tree_reasons(contributions: Floats, codes: Sequence[str], telling: Telling) -> list[Reason]:
    """The codes that contribute most to one prediction, features of a code added up.

    Those that speak for the doubt stand before a few that speak against it; of what is not on record a few
    are told; the background is told together.

    Args:
        contributions: (C,) exact contributions of the features.
        codes: of the features; CHANCE in place of those that go with the group no more than by chance.
        telling: of what, and how.

    **Source:** Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9 (TreeSHAP); Shapley values of a group of
    features that are told together add up.
    """
    by_code: dict[str, float] = {}
    for code, phi in zip(codes, contributions.tolist(), strict=True):
        told = SEX if code.startswith(SEX) else code
        by_code[told] = by_code.get(told, 0.0) + phi
    chance = by_code.pop(CHANCE, 0.0)
    background = {code: phi for code, phi in by_code.items() if telling.is_background(code)}
    some = [
        Reason(code, phi, telling.text(sentence(code, telling), phi), evidence(code, telling.record))
        for code, phi in _largest(
            {code: by_code[code] for code in by_code.keys() - background.keys()}, telling
        )
    ]
    if chance and abs(chance) >= telling.min_contribution:
        words = "Signs that go with it no more than by chance, together"
        some.append(Reason(CHANCE, chance, telling.text(words, chance)))
    return [*some, *_background(background, telling)]


def _largest(by_code: Mapping[str, float], telling: Telling) -> list[tuple[str, float]]:
    """The codes that are told, the largest first: those for the doubt, and a few that speak against it."""
    ordered = sorted(by_code.items(), key=lambda one: (-abs(one[1]), one[0]))
    told, n_for, n_against, n_absent = [], 0, 0, 0
    for code, phi in ordered:
        if phi == 0 or abs(phi) < telling.min_contribution:
            break
        is_for, is_absent = phi * telling.direction > 0, not _of(code, telling.record).height
        is_room = n_for < telling.n_reasons if is_for else n_against < MAX_AGAINST
        if is_room and not (is_absent and n_absent >= MAX_ABSENT):
            told.append((code, phi))
            n_for, n_against, n_absent = n_for + is_for, n_against + (not is_for), n_absent + is_absent
    return told


def _background(by_code: Mapping[str, float], telling: Telling) -> list[Reason]:
    """Age, sex and how the stay ran as one reason without events; none where they add next to nothing."""
    total = sum(by_code.values())
    if total == 0 or abs(total) < telling.min_contribution:
        return []
    ordered = sorted(by_code, key=lambda code: (-abs(by_code[code]), code))
    on_record = [
        code for code in ordered if by_code[code] and (code == SEX or _of(code, telling.record).height)
    ]
    words = list(dict.fromkeys(sentence(code, telling) for code in on_record))[:MAX_BACKGROUND]
    told = "; ".join(words) if words else "age, sex and how the stay ran"
    return [Reason(BACKGROUND, total, telling.text(f"Background, no reason by itself: {told}", total))]


def name_of(code: str, names: Mapping[str, str]) -> str:
    """What a code is called: by the labels, else by the dataset, else by its own words."""
    is_listed = entry_of(code) is not None or code in active_ontology()
    return name_of_group(code) if is_listed or code not in names else names[code]


def network_reasons(left_out: Mapping[str, float], telling: Telling, n_reasons: int) -> list[Reason]:
    """The codes without whose events the network expects most differently.

    Args:
        left_out: code -> what its events add to the network's log odds.
        telling: of what, and how.
        n_reasons: how many are told.
    """
    largest = sorted(left_out, key=lambda code: (-abs(left_out[code]), code))[:n_reasons]
    return [
        Reason(
            code,
            left_out[code],
            telling.text(f"Network: {sentence(code, telling)}", left_out[code]),
            evidence(code, telling.record),
        )
        for code in largest
        if left_out[code] != 0
        and abs(left_out[code]) >= telling.min_contribution
        and not telling.is_background(code)
    ]


def sentence(code: str, telling: Telling) -> str:
    """What the record shows of a code, told from the end of the stay, without a date."""
    record, names = telling.record, telling.names
    if code in {AGE_CODE, BIRTH_CODE} and record.age_years is not None:
        return f"Age {record.age_years} years"
    events = _of(code, record)
    if code == SEX:
        return name_of(events["code"][0], names) if events.height else "Sex not told"
    if not events.height:
        return f"Not on record: {name_of(code, names)}"
    words = [name_of(code, names)]
    values = events.filter(pl.col("numeric_value").is_not_null())
    last = events.row(-1, named=True)
    if values.height and domain_of(code) not in {"Drugs", "Procedures"}:
        row = values.row(-1, named=True)
        words[0] += f" {value_words(code, row['numeric_value'], unit_of(row))}"
        if values.height > 1:
            spread = values["numeric_value"]
            low, high = (number_words(float(one)) for one in (spread.min() or 0.0, spread.max() or 0.0))  # type: ignore[arg-type]
            words.append(f"between {low} and {high} in {values.height} measurements")
    elif events.height > 1:
        words.append(times_words(events.height))
    if last["time"] is not None:
        words.append(_when(record.prediction_time - last["time"]))
    return ", ".join(words)


def _when(since: dt.timedelta) -> str:
    """When something was last told, from the end of the stay."""
    if since < dt.timedelta(minutes=1):
        return "at the end of the stay"
    return f"last {span_words(since)} before the end of the stay"


def evidence(code: str, record: Record) -> tuple[int, ...]:
    """lineage_ids of the latest events of a code, at most MAX_EVIDENCE."""
    ids = _of(code, record).reverse()["lineage_id"].drop_nulls().unique(maintain_order=True)
    return tuple(ids.head(MAX_EVIDENCE).to_list())


def hindsight_reason(
    concept: str, before: float, after: float, codings: pl.DataFrame, telling: Telling
) -> Reason:
    """What the other stays' codes add to the expectation.

    Args:
        concept: the group.
        before: log odds without the other stays.
        after: log odds with them.
        codings: time (of the stay that it belongs to) and lineage_id of the group's codes in other stays.
        telling: of what, and how.
    """
    earlier = codings.filter(pl.col("time") <= telling.record.prediction_time).height
    later = codings.height - earlier
    told = [f"{times_words(n)} {when}" for n, when in ((earlier, "earlier"), (later, "later")) if n]
    words = f"coded {' and '.join(told)}" if told else "never coded"
    ids = codings.sort("time", descending=True)["lineage_id"].drop_nulls().head(MAX_EVIDENCE).to_list()
    text = f"In the patient's other stays {name_of_group(concept)} is {words}"
    return Reason(OTHER_STAYS, after - before, telling.text(text, after - before), tuple(ids))


def unit_reason(kind: str, ratio: float) -> Reason | None:
    """How the unit errs; None where it errs about as others do."""
    if ratio < LEAST_RATIO:
        return None
    is_added = kind == "unsupported"
    does = "adds such codes without support" if is_added else "leaves such codes out"
    text = f"The unit {does} {number_words(round(ratio, 1))} times as often as all units"
    return Reason(UNIT, float(np.log(ratio)) * (-1 if is_added else 1), text)


def with_reasons(found: Found, reasons: dict[str, list[Reason]]) -> Found:
    """The findings with their reasons, the largest first, and the evidence of all.

    Args:
        found: findings without reasons.
        reasons: finding_id -> its reasons.
    """
    rows = [
        (finding_id, rank, reason.concept, reason.contribution, reason.text, list(reason.evidence))
        for finding_id, some in sorted(reasons.items())
        for rank, reason in enumerate(
            sorted(some, key=lambda one: (-abs(one.contribution), one.concept)), start=1
        )
    ]
    told = pl.DataFrame(rows, schema=FINDING_REASONS, orient="row").sort("finding_id", "rank")
    behind = (
        told.select("finding_id", pl.col("evidence").alias("_behind"))
        .explode("_behind")
        .drop_nulls()
        .group_by("finding_id")
        .agg(pl.col("_behind").unique().sort())
    )
    findings = (
        found.findings.join(behind, on="finding_id", how="left", maintain_order="left")
        .with_columns(evidence=pl.coalesce("_behind", "evidence"))
        .select(found.findings.columns)
    )
    return Found(findings, found.items, told)


def _of(code: str, record: Record) -> pl.DataFrame:
    if code == SEX:
        return record.events.filter(pl.col("code").str.starts_with(SEX))
    return record.of_code(BIRTH_CODE if code == AGE_CODE else code)
