"""The tables of an audit: findings, what they are about, why, rates of units, and what rules could judge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

KINDS = ("rule", "missing", "unsupported", "main_condition", "unspecific", "unit_rate", "drift")
"""rule: a coding rule is broken; missing: probable and not coded; unsupported: coded and improbable;
main_condition: another condition explains the care better; unspecific: a more specific code is probable;
unit_rate: a unit differs from what is expected of it; drift: a unit's practice has changed."""
SEVERITIES = ("error", "review", "information")
"""error: the rule is cited and breaks without judgement; review: somebody must look; information: neither,
such as what the grouper caused."""

FINDINGS = pl.Schema(
    {
        "finding_id": pl.String(),
        "rule_id": pl.String(),
        "rule_version": pl.String(),
        "kind": pl.String(),
        "severity": pl.String(),
        "title": pl.String(),
        "unit_id": pl.String(),
        "period": pl.String(),
        "probability": pl.Float64(),
        "amount_low_nok": pl.Float64(),
        "amount_high_nok": pl.Float64(),
        "innocent_explanations": pl.List(pl.String()),
        "evidence": pl.List(pl.Int64()),
        "source": pl.String(),
    }
)
"""One doubt. finding_id: see `with_finding_ids`; rule_id: the rule, or `expected/CONCEPT`, or the measure;
unit_id: `hospital_id/unit_id` of the (first) contact, or the unit whose rate or practice it is; period: the
year of the (first) contact's end, or the span, as text; probability: that the coding is wrong, calibrated,
null where nobody can tell; amounts: what the payer would get back (negative: would owe), null where not
priced; innocent_explanations: names of those that were looked at and hold here; evidence: lineage_ids."""

FINDING_ITEMS = pl.Schema(
    {
        "finding_id": pl.String(),
        "contact_id": pl.Int64(),
        "group_no": pl.Int32(),
        "code_no": pl.Int32(),
        "code": pl.String(),
        "suggested_code": pl.String(),
    }
)
"""What a finding is about: each contact and, where it is about one, each code (`SYSTEM//code`); group_no and
code_no are null where the code is not coded (a missing one) or the whole contact is meant. suggested_code:
what should stand there; null where it should go or nobody can tell."""

FINDING_REASONS = pl.Schema(
    {
        "finding_id": pl.String(),
        "rank": pl.Int32(),
        "concept": pl.String(),
        "contribution": pl.Float64(),
        "text": pl.String(),
        "evidence": pl.List(pl.Int64()),
    }
)
"""Why a model expects otherwise: log-odds that each concept of the ontology adds, the largest first; text
says it in words without names or identifiers."""

UNITS = pl.Schema(
    {
        "unit_id": pl.String(),
        "measure": pl.String(),
        "period": pl.String(),
        "n": pl.Int64(),
        "observed": pl.Float64(),
        "expected": pl.Float64(),
        "ratio": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "z": pl.Float64(),
        "tau2": pl.Float64(),
        "q_value": pl.Float64(),
        "is_flagged": pl.Boolean(),
    }
)

RULE_COVERAGE = pl.Schema(
    {
        "rule_id": pl.String(),
        "unit_id": pl.String(),
        "period": pl.String(),
        "judged": pl.Int64(),
        "broken": pl.Int64(),
        "not_judgeable": pl.Int64(),
        "reason": pl.String(),
    }
)
"""How many contacts a rule was asked about, by unit and year. Rows with a reason hold those of not_judgeable
that could not be judged for it (data needed that are not there); those without, the rest."""


@dataclass(frozen=True)
class Found:
    """Findings with what they are about and why.

    Attributes:
        findings: columns of FINDINGS, one row a finding, sorted by finding_id.
        items: columns of FINDING_ITEMS, at least one row a finding that is about contacts.
        reasons: columns of FINDING_REASONS.
    """

    findings: pl.DataFrame
    items: pl.DataFrame
    reasons: pl.DataFrame

    @classmethod
    def nothing(cls) -> Found:
        """No findings."""
        return cls(*(pl.DataFrame(schema=schema) for schema in (FINDINGS, FINDING_ITEMS, FINDING_REASONS)))

    @classmethod
    def together(cls, parts: Iterable[Found]) -> Found:
        """All findings of several makers; one that two of them have is taken from the first."""
        every = [cls.nothing(), *parts]
        return cls(
            pl.concat([part.findings for part in every])
            .unique("finding_id", keep="first", maintain_order=True)
            .sort("finding_id"),
            pl.concat([part.items for part in every])
            .unique(maintain_order=True)
            .sort("finding_id", "contact_id", "group_no", "code_no", "code", nulls_last=True),
            pl.concat([part.reasons for part in every])
            .unique(["finding_id", "rank"], keep="first", maintain_order=True)
            .sort("finding_id", "rank"),
        )


_IDENTITY = ("rule_id", "kind", "contact_id", "group_no", "code_no", "code")


def with_finding_ids(items: pl.DataFrame, finding: str) -> pl.DataFrame:
    """The items with a finding_id that depends on what the finding says, not on order or other findings.

    Args:
        items: rule_id, kind, contact_id, group_no, code_no, code and the column `finding`; any order.
        finding: a column that is equal for the items of one finding.

    Returns:
        The same rows with finding_id: 16 hexadecimal digits.
    """
    identity = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("-") for name in _IDENTITY], separator="|"
    )
    joined = (
        items.with_columns(_identity=identity)
        .group_by(finding)
        .agg(pl.col("_identity").unique().sort().str.join("\n"))
    )
    digests = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in joined["_identity"]]
    ids = joined.select(finding, finding_id=pl.Series(digests, dtype=pl.String))
    return items.join(ids, on=finding, how="left", maintain_order="left")
