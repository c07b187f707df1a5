"""What the pages of an audit are made of: its parts, put together, the most telling pictures chosen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from experiments.run_folder import read_json
from ontology.configuration import find_config
from phenotype.coding.cases.cases import Case
from phenotype.coding.cases.explanations import InnocentExplanations
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import Effort
from phenotype.coding.drift.lines import DriftLine
from phenotype.coding.findings import RULE_COVERAGE, UNITS, Found
from phenotype.coding.rates.agreement import load_pairs
from phenotype.coding.rates.funnel_plots import funnel_plot
from phenotype.coding.rates.funnels import FunnelPlot
from phenotype.coding.rates.measure_rows import base_of
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.supplements import supplement
from phenotype.coding.rates.unit_findings import title_of
from phenotype.coding.rates.units import By, grounds
from phenotype.report.coding_agreement import AgreementTable, agreement_tables
from phenotype.report.coding_letter import LetterTexts
from pipelines.audit_config import BYS
from pipelines.audit_parts import Audit, rates_coverage, rates_table, shipped
from pipelines.audit_steps import Part
from pipelines.render.audit import AuditContent

MOST_FUNNELS = 24
MOST_SUPPLEMENTS = 40
"""The committee's tables are made for the largest deviations; others can be asked for."""


def together(parts: Mapping[str, Part], name: str, schema: pl.Schema) -> pl.DataFrame:
    """The tables of all parts whose name begins so, as one."""
    tables = [
        table.select(list(schema))
        for part in parts.values()
        for key, table in part.tables.items()
        if key.startswith(name)
    ]
    return pl.concat([pl.DataFrame(schema=schema), *tables])


def not_judged(parts: Mapping[str, Part], priced: Part) -> list[tuple[str, int]]:
    """What could not be priced or followed over time, counted; each line says of what it is."""
    told = [
        ("findings without an amount", priced.tables.get("unpriced")),
        ("rows of the weight table left out", priced.tables.get("weight_faults")),
        ("rows of the grouper's output left out", priced.tables.get("grouper_faults")),
        ("codes left out of rules", parts["rules"].tables.get("unread")),
        (
            "stays not followed over time, once for each measure",
            parts["drift"].tables.get("unjudged") if "drift" in parts else None,
        ),
    ]
    return [
        (f"{of}: {reason}", int(n))
        for of, table in told
        if table is not None
        for reason, n in table.iter_rows()
    ]


def page_content(
    audit: Audit,
    parts: Mapping[str, Part],
    *,
    found: Found,
    cases: tuple[Case, ...],
    names: CaseNames,
    effort: Effort,
    reviews: pl.DataFrame,
    stated: pl.DataFrame,
    counted: Sequence[tuple[str, int]],
) -> AuditContent:
    """All that the pages are made of.

    Args:
        audit: what was asked.
        parts: what it came to.
        found: all findings, probabilities as corrected.
        cases: the findings gathered.
        names: what rules and measures are called.
        effort: what opening a stay costs.
        reviews: all answers.
        stated: the findings before the answers.
        counted: what could not be judged.
    """
    manifest = read_json(audit.folder.manifest)
    lines = parts["drift"].told.get("lines", []) if "drift" in parts else []
    return AuditContent(
        title=str(audit.dataset.metadata.get("dataset_name") or audit.config.name),
        today=dt.datetime.now(dt.UTC).date(),
        found=found,
        record=audit.record,
        cases=cases,
        coverage=_coverage(audit, parts),
        names=names,
        explanations=InnocentExplanations.load(shipped("innocent_explanations")),
        letters=LetterTexts.load(shipped("letter")),
        effort=effort,
        capacity=audit.config.capacity,
        looked_at=parts["rules"].tables["looked_at"],
        funnels=_funnels(audit, parts),
        drift=[line for line in map(DriftLine.model_validate, lines) if line.signals],
        agreement=_agreement(audit, parts),
        supplements=_supplements(audit, parts),
        reviews=reviews,
        stated=stated,
        not_judged=counted,
        provenance=[
            (key.replace("_", " "), str(manifest[key])) for key in manifest if key.endswith("_digest")
        ],
    )


def _coverage(audit: Audit, parts: Mapping[str, Part]) -> pl.DataFrame:
    """What rules and measures judged, columns of RULE_COVERAGE; of measures by the first of what is compared.

    Wards and their hospitals have the same stays, which would be counted twice.
    """
    asked = audit.config.rates
    again = {rates_coverage(by) for by in asked.by[1:]} if asked else set()
    once = {
        name: replace(part, tables={key: table for key, table in part.tables.items() if key not in again})
        for name, part in parts.items()
    }
    return together(once, "coverage", RULE_COVERAGE)


def _flagged(parts: Mapping[str, Part], by: By) -> pl.DataFrame:
    """The flagged rates, columns of UNITS, the furthest from what is expected first."""
    table = parts["rates"].tables.get(rates_table(by)) if "rates" in parts else None
    rates = pl.DataFrame(schema=UNITS) if table is None else table
    return rates.filter("is_flagged").sort(
        pl.col("z").abs(), "measure", "unit_id", "period", descending=[True, False, False, False]
    )


def _funnels(audit: Audit, parts: Mapping[str, Part]) -> list[FunnelPlot]:
    """Funnels of the measures and years that flag most clearly, hospitals before their wards."""
    plots: list[FunnelPlot] = []
    for by in BYS:
        chosen = _flagged(parts, by).unique(["measure", "period"], keep="first", maintain_order=True)
        for measure, period in chosen.select("measure", "period").head(MOST_FUNNELS).iter_rows():
            level = {"unit": "wards", "hospital": "hospitals"}.get(by, f"{by}s")
            title = f"{title_of(measure, base_of(measure, audit.measures))} ({level})"
            plots.append(funnel_plot(parts["rates"].tables[rates_table(by)], measure, period, title))
    return plots[:MOST_FUNNELS]


def _agreement(audit: Audit, parts: Mapping[str, Part]) -> tuple[AgreementTable, ...]:
    if "agreement" not in parts or audit.config.agreement is None:
        return ()
    pairs = load_pairs(find_config("coding", audit.config.agreement))
    return agreement_tables(parts["agreement"].tables["agreement"], {pair.id: pair.title for pair in pairs})


def _supplements(audit: Audit, parts: Mapping[str, Part]) -> dict[tuple[str, str, str], pl.DataFrame]:
    """(unit, measure, period) -> the committee's table of the clearest flags."""
    tables: dict[tuple[str, str, str], pl.DataFrame] = {}
    settings = UnitSettings.load(audit.config.rates.settings if audit.config.rates else None)
    for by in BYS:
        rows = _flagged(parts, by).head(MOST_SUPPLEMENTS - len(tables))
        wanted = [
            (unit, measure, period, base_of(measure, audit.measures).per)
            for unit, measure, period in rows.select("unit_id", "measure", "period").iter_rows()
        ]
        made = grounds(
            audit.record,
            {per for *_, per in wanted},
            ontology=audit.ontology,
            by=by,
            settings=settings,
        )
        for unit, measure, period, per in wanted:
            tables[unit, measure, period] = supplement(
                audit.record,
                audit.measures,
                measure,
                unit,
                period,
                ontology=audit.ontology,
                by=by,
                settings=settings,
                ground=made[per],
            )
    return tables
