"""Predicted against coded on open data: discrimination by group, and the strongest findings in words.

Run: python tests/benchmarks/coding_models.py --out FOLDER [--data mimic-iii|diabetes-130]

The MIMIC-III demo (129 admissions; trees, a network and both) and 101,766 stays of people with diabetes
(trees) are ingested, and every group of codes is expected out of fold by patient from all but the stay's
own codes. Written to FOLDER/DATA: auroc.csv (AUROC by group and model, within folds, beside what shuffled
answers give) and findings.md (the ten strongest findings, then those of each kind, with their reasons).

Bars: the tables are made; the median AUROC over groups is above the median of what shuffled answers give
at most (95th percentile); there are ten findings that events of the record carry, none of which is told with
what may not explain a coding (configs/coding/circumstances.yaml); the ten are about five groups or more.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from harness import finish, open_data, open_key, pesta

from experiments.coding_models import train_expected
from experiments.coding_reasons import explain_findings
from experiments.coding_scores import auroc_by_group
from ontology.configuration import find_config
from ontology.release import active_ontology
from phenotype.coding.coded_record import CodedRecord, ContactFacts, read_coded_record
from phenotype.coding.expected.circumstances import Circumstances
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.expected import doubts_of, expected_findings
from phenotype.coding.expected.naming import name_of_group
from phenotype.coding.expected.strongest import strongest
from phenotype.coding.findings import Found
from phenotype.trajectory import Dataset, open_dataset

N_TOLD, N_GROUPS = 10, 5


@dataclass(frozen=True)
class Source:
    """Where open data stand, and how they are read.

    Attributes:
        folder: beside other open data.
        mapping: the source's.
        config: expectations' settings in configs/coding.
    """

    folder: str
    mapping: str
    config: str


SOURCES = {
    "mimic-iii": Source("mimic-iii-demo", "mimic-iii", "expected_mimic-iii-demo"),
    "diabetes-130": Source("diabetes130", "diabetes-130", "expected_diabetes-130"),
}


@dataclass(frozen=True)
class Shown:
    """What one source showed.

    Attributes:
        scores: columns of `coding_scores.SCORES`.
        found: all findings, the most probable ones with reasons.
        doubts: finding_id, expected and unit_ratio of each.
        circumstances: what may not explain a coding.
    """

    scores: pl.DataFrame
    found: Found
    doubts: pl.DataFrame
    circumstances: Circumstances

    @property
    def is_better_than_chance(self) -> bool:
        """Whether the median over groups is above that of shuffled answers."""
        return self.median("both") > self.median("by_chance")

    def median(self, column: str) -> float:
        """The median of a column of the scores over groups."""
        return float(np.median(self.scores[column].to_numpy()))

    def strongest(self, kind: str | None = None) -> pl.DataFrame:
        """The ten findings to show first, of all kinds or of one."""
        found = self.found
        if kind is not None:
            found = Found(found.findings.filter(kind=kind), found.items, found.reasons)
        return strongest(found, N_TOLD)

    @property
    def is_readable(self) -> bool:
        """Whether ten findings of several groups are carried by events, and told with what may be told."""
        first = self.strongest()
        told = self.found.reasons.join(first.select("finding_id"), on="finding_id", how="semi")
        unread = self.circumstances.unread(told["concept"].unique(), {}, ("ICD",))
        return first.height == N_TOLD and first["rule_id"].n_unique() >= N_GROUPS and not unread


def show(name: str, out: Path) -> Shown:
    """Ingest, train and tell of one source; what is there is taken up."""
    source = SOURCES[name]
    dataset = out / "dataset"
    if not (dataset / "ingest.json").exists():
        key = open_key(dataset)
        pesta("ingest", source.mapping, open_data(source.folder), "--out", dataset, "--key", key, "--quiet")
    opened, ontology = open_dataset(dataset), active_ontology()
    config = ExpectedConfig.load(find_config("coding", source.config))
    record = read_coded_record(opened, ontology, ContactFacts(facts={}))
    expected = train_expected(opened, record, config, out / "work", ontology)
    found = expected_findings(record, expected, config, ontology)
    told = explain_findings(found, opened, record, expected, config, out / "work", ontology)
    doubts = _doubts(told, record, expected, config)
    shown = Shown(auroc_by_group(expected), told, doubts, Circumstances.load(config.circumstances))
    shown.scores.write_csv(out / "auroc.csv", float_precision=3)
    (out / "findings.md").write_text(_in_words(shown, opened), "utf-8")
    return shown


def _doubts(
    found: Found, record: CodedRecord, expected: pl.DataFrame, config: ExpectedConfig
) -> pl.DataFrame:
    """finding_id, expected and unit_ratio of the findings."""
    stays = found.items.join(record.contacts.select("contact_id", "stay_id"), on="contact_id", how="left")
    return (
        stays.select("finding_id", "stay_id")
        .unique()
        .join(found.findings.select("finding_id", "kind", "rule_id"), on="finding_id", how="inner")
        .with_columns(concept=pl.col("rule_id").str.strip_prefix("expected/"))
        .join(doubts_of(expected, config), on=["kind", "stay_id", "concept"], how="inner")
        .select("finding_id", "expected", "unit_ratio")
    )


def _in_words(shown: Shown, dataset: Dataset) -> str:
    """The strongest findings with their reasons as Markdown: the ten of all kinds, then of each kind."""
    file = dataset.path / "metadata" / "codes.parquet"
    names = dict(pl.read_parquet(file, columns=["code", "description"]).drop_nulls().iter_rows())
    kinds = sorted(shown.found.findings["kind"].unique())
    parts = [("The strongest", shown.strongest()), *((kind, shown.strongest(kind)) for kind in kinds)]
    lines = []
    for title, findings in parts:
        lines.append(f"## {title}\n")
        for number, finding in enumerate(findings.iter_rows(named=True), start=1):
            lines += [f"{number}. **{finding['title']}**", *_told(shown, finding["finding_id"], names)]
        lines.append("")
    return "\n".join(lines)


def _told(shown: Shown, finding_id: str, names: dict[str, str]) -> list[str]:
    """What is told of one finding, a line each."""
    finding = shown.found.findings.row(by_predicate=pl.col("finding_id") == finding_id, named=True)
    doubt = shown.doubts.row(by_predicate=pl.col("finding_id") == finding_id, named=True)
    told = f"   - probability that the coding is wrong {finding['probability']:.2f}"
    lines = [f"{told}; expected {doubt['expected']:.3f}; unit ratio {doubt['unit_ratio']:.1f}"]
    for item in shown.found.items.filter(finding_id=finding_id).iter_rows(named=True):
        codes = [("coded", item["code"]), ("suggested", item["suggested_code"])]
        lines.append("   - " + "; ".join(f"{what} {_called(code, names)}" for what, code in codes if code))
    reasons = shown.found.reasons.filter(finding_id=finding_id).sort("rank")
    return lines + [f"   - {row['contribution']:+.2f} {row['text']}" for row in reasons.iter_rows(named=True)]


def _called(code: str, names: dict[str, str]) -> str:
    """A code with its name, or the name of its category."""
    bare = code.rpartition("//")[2]
    return f"{bare} {names[code]}" if code in names else f"{bare}: {name_of_group(code.partition('.')[0])}"


def main() -> None:
    """Show the asked-for sources and end by the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and models; kept")
    parser.add_argument("--data", choices=sorted(SOURCES), help="one source only")
    asked = parser.parse_args()
    names = [asked.data] if asked.data else sorted(SOURCES)
    shown = {}
    for name in names:
        (asked.out / name).mkdir(parents=True, exist_ok=True)
        shown[name] = show(name, asked.out / name)
        print(f"{name}\n{shown[name].scores.write_csv(float_precision=3)}")
    figures = "; ".join(
        f"{name}: {one.scores.height} groups, median AUROC {one.median('both'):.3f}"
        f" (shuffled at most {one.median('by_chance'):.3f}), {one.found.findings.height} findings"
        for name, one in shown.items()
    )
    finish(
        is_shown=all(one.is_better_than_chance and one.is_readable for one in shown.values()), figures=figures
    )


if __name__ == "__main__":
    main()
