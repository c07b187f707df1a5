"""An audit of a dataset's coding: rules, rates, drift, expectations, money, reviews, cases, pages."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from experiments.manifest import code_digest
from experiments.run_folder import RunFolder, read_json, write_json, write_text
from ontology.errors import ConfigurationError, InputError, Problem
from ontology.in_use import ontology_in_use
from ontology.release import Ontology
from phenotype.coding.audit_folder import AuditFolder
from phenotype.coding.coded_record import CodedRecord, ContactFacts, read_coded_record
from phenotype.coding.findings import Found
from phenotype.coding.grouper import Grouper, GrouperOutput
from phenotype.coding.judging import judge_rules
from phenotype.coding.measures import Measure, load_measures
from phenotype.coding.pricing import price_findings
from phenotype.coding.rules import Rule, load_rules
from phenotype.coding.settlement import Prices
from phenotype.coding.toy_grouper import ToyGrouper
from phenotype.coding.unit_settings import UnitSettings
from phenotype.coding.units import judge_rates
from phenotype.coding.weights import FAULTS, WEIGHTS, Weights
from phenotype.trajectory import Dataset, open_dataset
from pipelines.audit_config import AuditConfig, MoneyConfig
from pipelines.audit_steps import Part, kept
from pipelines.progress import Progress

NO_WEIGHTS = Weights(pl.DataFrame(schema=WEIGHTS), pl.DataFrame(schema=FAULTS), "no weight table")


@dataclass(frozen=True)
class Audit:
    """What is asked, of whom, by what, and where it is written.

    Attributes:
        config: what is asked.
        dataset: whose coding.
        ontology: by which codes are judged.
        rules, measures: those that are asked for.
        folder: the audit's.
        progress: where steps are told.
    """

    config: AuditConfig
    dataset: Dataset
    ontology: Ontology
    rules: tuple[Rule, ...]
    measures: tuple[Measure, ...]
    folder: AuditFolder
    progress: Progress

    @cached_property
    def record(self) -> CodedRecord:
        """The dataset's coded record, read when a part first needs it."""
        facts = self.config.facts or Path(str(resources.files("configs"))) / "coding" / "contact_facts.yaml"
        with self.progress.step("contacts and codes"):
            record = read_coded_record(self.dataset, self.ontology, ContactFacts.load(facts))
        if not record.contacts.height:
            raise _nothing_to_audit(self.dataset, "contacts")
        if not record.codes.height:
            raise _nothing_to_audit(self.dataset, "codings")
        return record


def audit_dataset(config: AuditConfig, data: Path, out: Path, progress: Progress) -> Path:
    """Audit a dataset's coding.

    Args:
        config: what is asked.
        data: the dataset's folder.
        out: the audit's folder; one that a killed audit left is gone on with.
        progress: where steps are told.

    Returns:
        The index.html.

    Raises:
        InputError: no dataset there, or none with contacts and codes.
        ConfigurationError: faults of rules, measures or settings, all of a file at once; or the folder holds
            another audit.
    """
    dataset = open_dataset(data)
    with ontology_in_use(config.ontology) as ontology:
        rules, measures = load_rules(config.rules), load_measures(config.measures)
        folder = RunFolder(out)
        out.mkdir(parents=True, exist_ok=True)
        with folder.held():
            folder.sweep()
            audit = Audit(config, dataset, ontology, rules, measures, AuditFolder(out), progress)
            _open_folder(audit)
            return _write_pages(audit, _parts(audit))


def _parts(audit: Audit) -> Mapping[str, Part]:
    """Every part that is asked for, by name."""
    makers = {"rules": _judge_rules, "rates": _judge_rates}
    asked = {"rates": audit.config.rates is not None}
    return {
        name: kept(audit.folder, name, audit.progress, lambda make=make: make(audit))
        for name, make in makers.items()
        if asked.get(name, True)
    }


def _judge_rules(audit: Audit) -> Part:
    judged = judge_rules(audit.rules, audit.dataset, audit.record, audit.ontology)
    return Part(judged.found, {"coverage": judged.coverage, "looked_at": judged.looked_at})


def _judge_rates(audit: Audit) -> Part:
    asked = audit.config.rates
    if asked is None:
        return Part()
    settings = UnitSettings.load(asked.settings)
    judged = [
        judge_rates(audit.record, audit.measures, ontology=audit.ontology, by=by, settings=settings)
        for by in asked.by
    ]
    units = pl.concat([one.units for one in judged])
    return Part(tables={"units": units, "coverage": pl.concat([one.coverage for one in judged])})


def _priced(audit: Audit, found: Found) -> Part:
    """The findings with amounts."""
    money = audit.config.money
    if money is None:
        return Part(found)
    grouper, weights = _grouper(money, audit.record)
    priced = price_findings(found, audit.record, grouper, weights, Prices.load(*money.prices))
    return Part(priced.found, {"unpriced": priced.unpriced, "weight_faults": weights.faults})


def _grouper(money: MoneyConfig, record: CodedRecord) -> tuple[Grouper, Weights]:
    """Who groups, and the weights of its groups."""
    years = record.contacts["year"].drop_nulls().unique().to_list()
    if money.grouper == "toy":
        toy = ToyGrouper.load()
        return toy, toy.weights(years)
    grouper = (
        GrouperOutput.of_record(record)
        if money.grouper == "record"
        else GrouperOutput.load(Path(money.grouper))
    )
    return grouper, Weights.load(money.weights) if money.weights else NO_WEIGHTS


def _open_folder(audit: Audit) -> None:
    """Write audit.yaml and the manifest, or see that those that stand are of this very audit."""
    resolved, manifest = _resolved(audit.config), _manifest(audit)
    folder = audit.folder
    if folder.manifest.exists():
        standing = read_json(folder.manifest)
        differing = [name for name in manifest if name != "versions" and standing.get(name) != manifest[name]]
        if folder.config.read_text("utf-8") != resolved:
            differing.append("configuration")
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
        return
    write_text(resolved, folder.config)
    write_json(manifest, folder.manifest)


def _resolved(config: AuditConfig) -> str:
    """The whole configuration with every default written out, as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _manifest(audit: Audit) -> dict[str, Any]:
    """What an audit was made of."""
    return {
        "format": 1,
        "dataset_digest": audit.dataset.digest,
        "ontology_digest": audit.ontology.digest,
        "code_digest": code_digest(),
        "versions": {"python": platform.python_version(), "pesta": version("pesta")},
    }


def _nothing_to_audit(dataset: Dataset, what: str) -> InputError:
    return InputError(
        Problem(
            f"no {what} to audit",
            where=str(dataset.path / f"{what}.parquet"),
            found="no rows",
            allowed="a dataset whose source tells contacts and how they were coded",
            next_step="ingest a source with contacts and codings, such as NPR-melding or a hospital extract",
        )
    )
