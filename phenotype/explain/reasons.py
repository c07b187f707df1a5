"""One prediction's explanation as reasons for and against, with sums by domain and what is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import polars as pl

from ontology.labels import domain_of, is_care, label_of
from phenotype.explain.record import AGE_CODE, Evidence, Record, evidence_of
from phenotype.explain.sentences import SEX, describe
from phenotype.task_parts import Frozen
from phenotype.trajectory import BIRTH_CODE

COMPLETENESS = 1e-3
"""Largest part of a prediction, in log odds, that may stay unexplained without the page saying so."""

AGGREGATION_WORDS: Mapping[str, str] = {
    "count": "how often",
    "sum": "sum",
    "mean": "mean",
    "min": "lowest",
    "max": "highest",
    "first": "first value",
    "last": "last value",
    "sd": "spread",
    "slope": "slope",
    "change": "change",
    "time_since": "time since the last one",
    "full": "whole history",
}
"""What the parts of a feature's name (code · aggregation · window, `phenotype.features`) read as."""


class Part(Frozen):
    """What one feature of a code contributed, in log odds."""

    name: str
    phi: float


class Reason(Frozen):
    """What one code contributed to one prediction, in a sentence, with the events behind it.

    Attributes:
        code: the code.
        label: its plain name.
        domain: its domain.
        phi: contribution in log odds; positive speaks for the outcome.
        low: lower end of phi's interval where it was estimated, else phi.
        high: upper end.
        is_exact: whether phi was computed exactly.
        is_care: whether this is something the hospital did.
        is_known: whether any event of the code was known at the prediction.
        text: what the record shows, without the verdict.
        evidence: the latest events first, at most MAX_EVIDENCE.
        n_evidence: how many events of the code were known.
        parts: contributions of the code's features, largest first.
    """

    code: str
    label: str
    domain: str
    phi: float
    low: float
    high: float
    is_exact: bool
    is_care: bool
    is_known: bool
    text: str
    evidence: tuple[Evidence, ...]
    n_evidence: int
    parts: tuple[Part, ...]

    @property
    def direction(self) -> Literal["for", "against"]:
        """Which way the reason pulls."""
        return "for" if self.phi > 0 else "against"

    @property
    def sentence(self) -> str:
        """The whole sentence with its verdict."""
        return f"{self.text}: {'speaks' if self.is_sure else 'may speak'} {self.direction}."

    @property
    def is_sure(self) -> bool:
        """Whether the direction is known: an estimate's interval leaves zero out."""
        return self.is_exact or self.low > 0 or self.high < 0


class DomainSum(Frozen):
    """What all codes of a domain contributed together, in log odds."""

    domain: str
    phi: float


class Reasons(Frozen):
    """One prediction explained.

    Attributes:
        base: log odds that the model starts from.
        total: log odds that it ends at, before calibration.
        unexplained: total minus base minus all contributions.
        is_exact: whether every contribution is exact.
        domains: sums by domain, largest first.
        codes: one reason a code, largest first.
    """

    base: float
    total: float
    unexplained: float
    is_exact: bool
    domains: tuple[DomainSum, ...]
    codes: tuple[Reason, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the contributions add up to the prediction within COMPLETENESS."""
        return abs(self.unexplained) <= COMPLETENESS


def reasons_of(explanation: pl.DataFrame, record: Record) -> Reasons:
    """One prediction's explanation in sentences.

    Args:
        explanation: rows of one subject, prediction time, model and tree, with node, parent, phi, low, high
            and is_exact; "" is the root, "base" the expected value, below the root stand domains, then codes,
            then features.
        record: what was known of the patient.
    """
    rows = explanation.sort("node").to_dicts()
    root = next((row["phi"] for row in rows if row["node"] == ""), None)
    base = next((row["phi"] for row in rows if row["node"] == "base"), 0.0)
    children: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        if row["node"] not in {"", "base"}:
            children.setdefault(str(row["parent"] or ""), []).append(row)
    domains = children.get("", [])
    contributed = sum(_float(row["phi"]) for row in domains)
    total = base + contributed if root is None else _total(root, base, contributed)
    told = [
        _reason(row, children.get(str(row["node"]), []), record)
        for domain in domains
        for row in children.get(str(domain["node"]), [])
    ]
    sums = [DomainSum(domain=str(row["node"]), phi=_float(row["phi"])) for row in domains]
    return Reasons(
        base=base,
        total=total,
        unexplained=total - base - contributed,
        is_exact=all(row["is_exact"] for row in rows),
        domains=tuple(sorted(sums, key=lambda part: (-abs(part.phi), part.domain))),
        codes=tuple(sorted(_one_sex(told), key=lambda reason: (-abs(reason.phi), reason.code))),
    )


def _total(root: float, base: float, contributed: float) -> float:
    """The model's log odds, whether the root holds the contributions alone or the base as well."""
    without_base = abs(root - contributed) <= abs(root - base - contributed)
    return base + root if without_base else root


def _reason(row: dict[str, object], features: Sequence[dict[str, object]], record: Record) -> Reason:
    code = _own_name(row)
    events = record.of_code(code)
    phi = _float(row["phi"])
    parts = [Part(name=_feature_words(feature), phi=_float(feature["phi"])) for feature in features]
    return Reason(
        code=code,
        label=label_of(code),
        domain=domain_of(code),
        phi=phi,
        low=phi if row["low"] is None else _float(row["low"]),
        high=phi if row["high"] is None else _float(row["high"]),
        is_exact=bool(row["is_exact"]),
        is_care=is_care(code),
        is_known=bool(events.height) or code in {AGE_CODE, BIRTH_CODE},
        text=describe(code, record),
        evidence=evidence_of(events),
        n_evidence=events.height,
        parts=tuple(sorted(parts, key=lambda part: (-abs(part.phi), part.name))),
    )


def _one_sex(reasons: Sequence[Reason]) -> list[Reason]:
    """The reasons, with what each sex's code contributed told as one: that of the sex on record."""
    sexes = [reason for reason in reasons if reason.code.startswith(SEX)]
    if len(sexes) < 2:
        return list(reasons)
    told = next((reason for reason in sexes if reason.is_known), sexes[0])
    together = {
        "phi": sum(reason.phi for reason in sexes),
        "low": sum(reason.low for reason in sexes),
        "high": sum(reason.high for reason in sexes),
        "is_exact": all(reason.is_exact for reason in sexes),
        "parts": tuple(part for reason in sexes for part in reason.parts),
    }
    return [*(reason for reason in reasons if reason not in sexes), told.model_copy(update=together)]


def _own_name(row: dict[str, object]) -> str:
    """A node's name without the name of the node above it."""
    node, parent = str(row["node"]), str(row["parent"] or "")
    own = node.removeprefix(parent).strip("/ ") if parent else node
    return own.replace("//", ", ") if own and own != node else node


def _feature_words(row: dict[str, object]) -> str:
    """A feature's name in words, without its code: last value, last 24 hours."""
    own = str(row["node"]).removeprefix(str(row["parent"] or ""))
    words = [part.strip("/ ") for part in own.split("·")]
    return ", ".join(AGGREGATION_WORDS.get(word) or _window_words(word) for word in words if word) or own


def _window_words(window: str) -> str:
    number, unit = window[:-1], {"h": "hours", "d": "days"}.get(window[-1:])
    return f"last {number} {unit}" if unit and number.isdigit() else window


def _float(value: object) -> float:
    return float(value)  # type: ignore[arg-type]
