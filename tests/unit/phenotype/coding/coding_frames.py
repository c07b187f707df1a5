"""Small hand-made findings, contacts and coverage for tests of cases, reviews and pages."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import polars as pl

from phenotype.coding.coded_record import CODED_CONTACTS, CODES, FACTS, CodedRecord
from phenotype.coding.findings import (
    FINDING_ITEMS,
    FINDING_REASONS,
    FINDINGS,
    RULE_COVERAGE,
    UNITS,
    Found,
)
from phenotype.contacts import STAYS


def finding(finding_id: str, rule_id: str = "r", **more: Any) -> dict[str, Any]:
    """A row of FINDINGS, a rule's in unit H1/A of 2024 unless told otherwise."""
    usual = {
        "finding_id": finding_id,
        "rule_id": rule_id,
        "rule_version": "1",
        "kind": "rule",
        "severity": "error",
        "title": f"Title of {rule_id}",
        "unit_id": "H1/A",
        "period": "2024",
        "probability": 0.9,
        "innocent_explanations": [],
        "evidence": [],
        "source": "made by hand",
    }
    return usual | more


def item(
    finding_id: str, contact_id: int, code: str | None = "ICD10-NO//M54.16", **more: Any
) -> dict[str, Any]:
    """A row of FINDING_ITEMS about the first code of the main condition."""
    return {
        "finding_id": finding_id,
        "contact_id": contact_id,
        "group_no": 1,
        "code_no": 1,
        "code": code,
        "suggested_code": "ICD10-NO//M48.06",
    } | more


def found_of(
    findings: list[dict[str, Any]], items: list[dict[str, Any]], reasons: list[dict[str, Any]] | None = None
) -> Found:
    """Findings of rows."""
    return Found(
        _frame(findings, FINDINGS).sort("finding_id"),
        _frame(items, FINDING_ITEMS),
        _frame(reasons or [], FINDING_REASONS),
    )


def coverage_of(rows: list[tuple[str, str, str, int, int]]) -> pl.DataFrame:
    """RULE_COVERAGE of rule, unit, period, judged, broken."""
    columns = ("rule_id", "unit_id", "period", "judged", "broken")
    return _frame(
        [dict(zip(columns, row, strict=True)) | {"not_judgeable": 0, "reason": None} for row in rows],
        RULE_COVERAGE,
    )


def units_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """UNITS of rows."""
    return _frame(rows, UNITS)


def record_of(contacts: list[tuple[int, int, int]], unit: str = "H1/A") -> CodedRecord:
    """A coded record of (contact, stay, subject), all in one unit, each a night long."""
    hospital, _, name = unit.partition("/")
    day = dt.datetime(2024, 3, 1, 8)
    rows = [
        {
            "contact_id": contact,
            "stay_id": stay,
            "subject_id": subject,
            "start_time": day,
            "end_time": day + dt.timedelta(days=1),
            "unit_id": name,
            "hospital_id": hospital,
            "unit": unit,
            "judged_time": day,
            "year": 2024,
        }
        for contact, stay, subject in contacts
    ]
    empty = [pl.DataFrame(schema=schema) for schema in (STAYS, CODES, FACTS)]
    return CodedRecord(_frame(rows, CODED_CONTACTS), *empty, frozenset())


def rule_of(rule_id: str, **more: Any) -> Any:
    """What is read of a rule."""
    usual = {
        "id": rule_id,
        "title": f"Title of {rule_id}",
        "title_nb": f"Tittel på {rule_id}",
        "says": f"What {rule_id} says.",
        "says_nb": f"Det {rule_id} sier.",
        "reference": (),
        "sources": ("made by hand",),
        "explanations": (),
        "prior": SimpleNamespace(right=9.0, wrong=1.0),
    }
    return SimpleNamespace(**(usual | more))


def explanation_of(name: str) -> Any:
    """What is read of an innocent explanation of a rule."""
    return SimpleNamespace(name=name, title=f"Title of {name}")


def measure_of(measure_id: str, case: str = "", innocent: tuple[str, ...] = ()) -> Any:
    """What is read of a measure."""
    title, title_nb = f"Title of {measure_id}", f"Tittel på {measure_id}"
    return SimpleNamespace(id=measure_id, title=title, title_nb=title_nb, case=case, innocent=innocent)


def _frame(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
