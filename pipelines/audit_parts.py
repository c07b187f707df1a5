"""The makers of an audit's parts: rules, rates, drift, expectations, and what findings are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

import polars as pl

from ontology.configuration import find_config
from ontology.errors import InputError, Problem
from ontology.release import Ontology
from phenotype.coding.audit_folder import AuditFolder
from phenotype.coding.cases.reviews import read_reviews
from phenotype.coding.coded_record import CodedRecord, ContactFacts, read_coded_record, unread_codes
from phenotype.coding.drift.findings import drift_findings
from phenotype.coding.drift.known_changes import KnownChanges
from phenotype.coding.drift.measures import follow
from phenotype.coding.drift.series import DriftSettings
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.expected import expected_findings
from phenotype.coding.expected.groups import not_judged
from phenotype.coding.findings import Found
from phenotype.coding.money.grouper import Grouper, GrouperOutput
from phenotype.coding.money.pricing import price_findings
from phenotype.coding.money.settlement import Prices
from phenotype.coding.money.toy_grouper import ToyGrouper
from phenotype.coding.money.weights import FAULTS, WEIGHTS, Weights
from phenotype.coding.rates.agreement import agreement, load_pairs
from phenotype.coding.rates.measures import Measure
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.unit_findings import rate_findings
from phenotype.coding.rates.units import judge_rates
from phenotype.coding.rules.judging import judge_rules
from phenotype.coding.rules.rules import Rule
from phenotype.definitions.text import load_definitions
from phenotype.phenotypes import definitions_of, write_phenotypes
from phenotype.trajectory import Dataset
from pipelines.audit_config import AuditConfig, MoneyConfig
from pipelines.audit_steps import Part
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
        """The dataset's coded record, read when a part first needs it.

        Raises:
            InputError: it holds no contacts, or none of them is coded.
        """
        facts = self.config.facts or shipped("contact_facts")
        with self.progress.step("contacts and codes"):
            record = read_coded_record(self.dataset, self.ontology, ContactFacts.load(facts))
        if not record.contacts.height:
            raise _nothing_to_audit(self.dataset, "contacts")
        if not record.codes.height:
            raise _nothing_to_audit(self.dataset, "codings")
        return record


def shipped(name: str) -> Path:
    """A file of configs/coding."""
    return Path(str(resources.files("configs"))) / "coding" / f"{name}.yaml"


def asked_parts(config: AuditConfig) -> Mapping[str, Callable[[Audit], Part]]:
    """The makers of the parts that a configuration asks for, by name."""
    makers = {
        "rules": rules_part,
        "rates": rates_part,
        "drift": drift_part,
        "expected": expected_part,
        "agreement": agreement_part,
    }
    return {
        name: make for name, make in makers.items() if name == "rules" or getattr(config, name) is not None
    }


def check_settings(config: AuditConfig) -> None:
    """Read every file that parts will ask for, so that a fault is told before hours of work.

    Raises:
        ConfigurationError, InputError: faults of a file, or a file that is not there.
    """
    ContactFacts.load(config.facts or shipped("contact_facts"))
    if config.rates is not None:
        UnitSettings.load(config.rates.settings)
    if config.drift is not None and config.drift.settings:
        DriftSettings.load(config.drift.settings)
    if config.expected is not None:
        ExpectedConfig.load(find_config("coding", config.expected))
    if config.agreement is not None:
        load_pairs(find_config("coding", config.agreement))
    for sheet in config.reviews:
        read_reviews(sheet)
    if config.money is not None:
        Prices.load(*config.money.prices)
        if config.money.weights:
            Weights.load(config.money.weights)
        if isinstance(config.money.grouper, Path):
            GrouperOutput.load(config.money.grouper)


def rules_part(audit: Audit) -> Part:
    """Rules, what they judged and which explanations they looked at."""
    judged = judge_rules(audit.rules, audit.dataset, audit.record, audit.ontology)
    unread = unread_codes(audit.record)
    return Part(judged.found, {"coverage": judged.coverage, "looked_at": judged.looked_at, "unread": unread})


def rates_part(audit: Audit) -> Part:
    """Rates of units, hospitals or regions, and the flagged ones as findings."""
    asked = audit.config.rates
    if asked is None:
        return Part()
    settings = UnitSettings.load(asked.settings)
    found, tables = [], {}
    for by in asked.by:
        judged = judge_rates(audit.record, audit.measures, ontology=audit.ontology, by=by, settings=settings)
        found.append(
            rate_findings(
                judged, audit.record, audit.measures, ontology=audit.ontology, by=by, settings=settings
            )
        )
        tables[rates_table(by)] = judged.units
        tables[rates_coverage(by)] = judged.coverage
    return Part(Found.together(found), tables)


def rates_table(by: str) -> str:
    """The name of the table that keeps the rates of units, hospitals or regions."""
    return f"units_{by}"


def rates_coverage(by: str) -> str:
    """The name of the table that keeps what measures judged of units, hospitals or regions."""
    return f"coverage_{by}"


def drift_part(audit: Audit) -> Part:
    """Practice over time."""
    asked = audit.config.drift
    if asked is None:
        return Part()
    followed = follow(audit.record, audit.measures, audit.ontology, by=asked.by)
    settings = DriftSettings.load(asked.settings) if asked.settings else DriftSettings.load()
    known = KnownChanges.load().with_rules(audit.rules).with_lists(audit.ontology)
    drift = drift_findings(followed.series, known, settings)
    return Part(
        drift.found,
        {"unjudged": drift.unjudged},
        {
            "lines": [line.model_dump(mode="json") for line in drift.lines if line.signals],
            "left_out": dict(followed.left_out),
        },
    )


def expected_part(audit: Audit) -> Part:
    """Codes against what the rest of each record lets one expect."""
    from experiments.coding_models import train_expected
    from experiments.coding_reasons import explain_findings

    if audit.config.expected is None:
        return Part()
    config = ExpectedConfig.load(find_config("coding", audit.config.expected))
    place = audit.folder.work("expected_models")
    expected = train_expected(audit.dataset, audit.record, config, place, audit.ontology)
    found = expected_findings(audit.record, expected, config, audit.ontology)
    told = explain_findings(found, audit.dataset, audit.record, expected, config, place, audit.ontology)
    return Part(told, {"coverage": not_judged(audit.record, config)})


def agreement_part(audit: Audit) -> Part:
    """Codes beside phenotypes that data show."""
    if audit.config.agreement is None:
        return Part()
    pairs = load_pairs(find_config("coding", audit.config.agreement))
    wanted = {name for pair in pairs for name in pair.phenotypes}
    definitions = [definition for definition in load_definitions() if definition.name in wanted]
    file = audit.folder.work("agreement", "phenotypes.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    phenotypes = write_phenotypes(file, audit.dataset, definitions, audit.ontology)
    silent = [name for name, told in definitions_of(file).items() if told["not_judged"]]
    table = agreement(
        audit.record, phenotypes, pairs, not_judged=silent, ontology=audit.ontology, by="hospital"
    )
    return Part(tables={"agreement": table})


def priced_part(audit: Audit, found: Found, units: pl.DataFrame) -> Part:
    """The findings with amounts; columns of UNITS tell by how much a flagged rate is cut."""
    money = audit.config.money
    if money is None:
        return Part(found)
    grouper, weights = _grouper(money, audit.record)
    priced = price_findings(found, audit.record, grouper, weights, Prices.load(*money.prices), units=units)
    tables = {"unpriced": priced.unpriced, "weight_faults": weights.faults}
    if isinstance(grouper, GrouperOutput):
        tables["grouper_faults"] = grouper.faults
    return Part(priced.found, tables)


def _grouper(money: MoneyConfig, record: CodedRecord) -> tuple[Grouper, Weights]:
    """Who groups, and the weights of its groups."""
    if money.grouper == "toy":
        toy = ToyGrouper.load()
        return toy, toy.weights(record.contacts["year"].drop_nulls().unique().to_list())
    told = money.grouper == "record"
    grouper = GrouperOutput.of_record(record) if told else GrouperOutput.load(Path(money.grouper))
    return grouper, Weights.load(money.weights) if money.weights else NO_WEIGHTS


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
