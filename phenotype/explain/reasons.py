"""One prediction's explanation as reasons for and against, with sums by domain and what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from ontology.labels import domain_of, is_care, label_of
from phenotype.explain.record import AGE_CODE, Evidence, Record, evidence_of
from phenotype.explain.sentences import describe
from phenotype.task_parts import Frozen
from phenotype.trajectory import BIRTH_CODE

COMPLETENESS = 1e-3
"""Largest part of a prediction, in log odds, that may stay unexplained without the page saying so."""


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
        return f"{self.text}: speaks {self.direction}."


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
    codes = [
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
        codes=tuple(sorted(codes, key=lambda reason: (-abs(reason.phi), reason.code))),
    )


def _total(root: float, base: float, contributed: float) -> float:
    """The model's log odds, whether the root holds the contributions alone or the base as well."""
    without_base = abs(root - contributed) <= abs(root - base - contributed)
    return base + root if without_base else root


def _reason(row: dict[str, object], features: Sequence[dict[str, object]], record: Record) -> Reason:
    code = _own_name(row)
    events = record.of_code(code)
    phi = _float(row["phi"])
    parts = [Part(name=_own_name(feature), phi=_float(feature["phi"])) for feature in features]
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


def _own_name(row: dict[str, object]) -> str:
    """A node's name without the name of the node above it."""
    node, parent = str(row["node"]), str(row["parent"] or "")
    own = node.removeprefix(parent).strip("/ ") if parent else node
    return own.replace("//", ", ") if own and own != node else node


def _float(value: object) -> float:
    return float(value)  # type: ignore[arg-type]
