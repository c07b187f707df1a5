"""An audit of a dataset's coding, step by step: parts, prices, reviews, cases, tables, pages."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from experiments.manifest import code_digest
from experiments.run_folder import RunFolder, read_json, write_frame, write_json, write_text
from ontology.errors import ConfigurationError, Problem
from ontology.in_use import ontology_in_use
from phenotype.coding.audit_folder import AuditFolder, write_found
from phenotype.coding.cases.cases import cases_table, make_cases
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import Effort
from phenotype.coding.cases.review_correction import correct_probabilities
from phenotype.coding.cases.review_store import keep_reviews, load_reviews
from phenotype.coding.cases.reviews import read_reviews
from phenotype.coding.findings import RULE_COVERAGE, UNITS, Found
from phenotype.coding.rates.agreement import AGREEMENT
from phenotype.coding.rates.measures import load_measures
from phenotype.coding.rules.rules import load_rules
from phenotype.threads import one_algebra_thread
from phenotype.trajectory import open_dataset
from pipelines.audit_config import AuditConfig
from pipelines.audit_pages import not_judged, page_content, together
from pipelines.audit_parts import Audit, asked_parts, check_settings, priced_part, shipped
from pipelines.audit_steps import Part, kept
from pipelines.places import check_folder
from pipelines.progress import Progress
from pipelines.render.audit import write_audit

NOT_PART_OF_IT = {"reviews", "capacity"}
"""What may differ when an audit is gone on with: answers come back later, and capacity is for the pages."""


def audit_dataset(config: AuditConfig, data: Path, out: Path, progress: Progress) -> Path:
    """Audit a dataset's coding.

    Args:
        config: what is asked.
        data: the dataset's folder.
        out: the audit's folder; one that the same audit has begun is gone on with, so that reviews can come
            later.
        progress: where steps are told.

    Returns:
        The index.html.

    Raises:
        InputError: no dataset there, or none with contacts and codes; faults of review sheets.
        ConfigurationError: faults of rules, measures or settings, all of a file at once; or the folder holds
            another audit, or something else.
    """
    dataset = open_dataset(data)
    check_folder(out, marker=AuditFolder(out).config.name, what="an audit")
    check_settings(config)
    with one_algebra_thread(), ontology_in_use(config.ontology) as ontology:
        rules, measures = load_rules(config.rules), load_measures(config.measures)
        out.mkdir(parents=True, exist_ok=True)
        run_folder = RunFolder(out)
        with run_folder.held():
            run_folder.sweep()
            audit = Audit(config, dataset, ontology, rules, measures, AuditFolder(out), progress)
            _open_folder(audit)
            parts = {
                name: kept(audit.folder, name, progress, partial(make, audit))
                for name, make in asked_parts(config).items()
            }
            found = Found.together(part.found for part in parts.values())
            units = together(parts, "units_", UNITS)
            priced = kept(audit.folder, "prices", progress, lambda: priced_part(audit, found, units))
            return _close(audit, parts, priced, units)


def _close(audit: Audit, parts: Mapping[str, Part], priced: Part, units: pl.DataFrame) -> Path:
    """Answers, cases, tables and pages."""
    folder = audit.folder
    reviews = _reviews(audit, priced.found)
    findings = correct_probabilities(priced.found.findings, reviews, audit.rules)
    found = Found(findings, priced.found.items, priced.found.reasons)
    names = CaseNames.of(audit.rules, audit.measures, audit.ontology)
    effort = Effort.load(shipped("review_effort"))
    with audit.progress.step("cases"):
        judged = parts["rules"].tables["coverage"]
        cases = make_cases(found, units, audit.record, coverage=judged, names=names, effort=effort)
    counted = not_judged(parts, priced)
    write_frame(units, folder.table("units"))
    write_frame(together(parts, "coverage", RULE_COVERAGE), folder.table("rule_coverage"))
    write_frame(together(parts, "agreement", AGREEMENT), folder.table("agreement"))
    write_frame(cases_table(cases), folder.table("cases"))
    write_found(found, folder.path, write_frame)
    write_json(dict(counted), folder.account)
    with audit.progress.step("pages"):
        content = page_content(
            audit,
            parts,
            found=found,
            cases=cases,
            names=names,
            effort=effort,
            reviews=reviews,
            stated=priced.found.findings,
            counted=counted,
        )
        return write_audit(folder.path, content)


def _reviews(audit: Audit, found: Found) -> pl.DataFrame:
    """All answers that were ever given to this audit, those that come now among them."""
    if audit.config.reviews:
        stays = audit.record.contacts.select("contact_id", "stay_id")
        asked = found.items.join(stays, on="contact_id")
        for sheet in audit.config.reviews:
            keep_reviews(audit.folder.reviews, read_reviews(sheet, asked))
    return load_reviews(audit.folder.reviews)


def _open_folder(audit: Audit) -> None:
    """Write audit.yaml and the manifest, or see that those that stand are of this very audit."""
    resolved, manifest = _resolved(audit.config), _manifest(audit)
    folder = audit.folder
    if not folder.manifest.exists():
        write_text(resolved, folder.config)
        write_json(manifest, folder.manifest)
        return
    standing = read_json(folder.manifest)
    differing = [name for name in manifest if name != "versions" and standing.get(name) != manifest[name]]
    if folder.config.read_text("utf-8") != resolved:
        differing.append("configuration")
    if differing == ["code_digest"] and audit.config.reviews and folder.table("findings").exists():
        audit.progress.say("this Pesta is another than the one that audited; what it found stays as it is")
        return
    if differing:
        raise ConfigurationError(
            Problem(
                "the folder holds another audit",
                where=str(folder.path),
                found=f"another {', '.join(name.replace('_', ' ') for name in sorted(differing))}",
                allowed="an empty folder, or one that the same audit of the same dataset has begun",
                next_step="give another --out, or remove the folder",
            )
        )


def _resolved(config: AuditConfig) -> str:
    """The configuration with every default written out, as YAML."""
    content = config.model_dump(mode="json", exclude=NOT_PART_OF_IT)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _manifest(audit: Audit) -> dict[str, Any]:
    """What an audit was made of."""
    return {
        "format": 1,
        "dataset_digest": audit.dataset.digest,
        "ontology_digest": audit.ontology.digest,
        "code_digest": code_digest(),
        "versions": {"python": platform.python_version(), "pesta": version("pesta")},
    }
