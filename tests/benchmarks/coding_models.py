"""Predicted against coded on open data: discrimination by group, and the strongest findings in words.

Run: python tests/benchmarks/coding_models.py --out FOLDER [--data mimic-iii|diabetes-130]

The MIMIC-III demo (129 admissions; trees, a network and both) and 101,766 stays of people with diabetes
(trees) are ingested, and every group of codes is expected out of fold by patient from all but the stay's
own codes. Written to FOLDER/DATA: auroc.csv (AUROC by group and model, within folds, beside what shuffled
answers give) and findings.md (the ten most probable findings of each kind, with their reasons).

Bars: the tables are made; the median AUROC over groups is above the median of what shuffled answers give
at most (95th percentile); each of the ten findings has reasons that name events.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from harness import finish, open_data, open_key, pesta

from experiments.coding_models import train_expected
from experiments.coding_reasons import explain_findings
from experiments.coding_scores import auroc_by_group
from ontology.configuration import find_config
from ontology.release import active_ontology
from phenotype.coding.coded_record import ContactFacts, read_coded_record
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.expected import expected_findings
from phenotype.coding.findings import Found
from phenotype.trajectory import Dataset, open_dataset

N_TOLD = 10


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
    """

    scores: pl.DataFrame
    found: Found

    @property
    def is_better_than_chance(self) -> bool:
        """Whether the median over groups is above that of shuffled answers."""
        return bool((self.scores["both"].median() or 0.0) > (self.scores["by_chance"].median() or 1.0))  # type: ignore[operator]

    def strongest(self) -> pl.DataFrame:
        """The ten most probable findings that have reasons."""
        told = self.found.findings.join(self.found.reasons.select("finding_id").unique(), on="finding_id")
        return told.sort("probability", "finding_id", descending=[True, False]).head(N_TOLD)

    @property
    def is_readable(self) -> bool:
        """Whether ten findings have reasons, and events behind them."""
        return self.strongest().height == N_TOLD and bool((self.strongest()["evidence"].list.len() > 0).all())


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
    shown = Shown(auroc_by_group(expected), told)
    shown.scores.write_csv(out / "auroc.csv", float_precision=3)
    (out / "findings.md").write_text(_in_words(shown, opened), "utf-8")
    return shown


def _in_words(shown: Shown, dataset: Dataset) -> str:
    """The strongest findings with their reasons as Markdown: the ten of all kinds, then of each kind."""
    names = dict(
        pl.read_parquet(dataset.path / "metadata" / "codes.parquet", columns=["code", "description"])
        .drop_nulls()
        .iter_rows()
    )
    parts = [("The strongest", shown.strongest())]
    told = shown.found.findings.join(shown.found.reasons.select("finding_id").unique(), on="finding_id")
    for (kind,), some in sorted(told.partition_by("kind", as_dict=True).items()):
        parts.append(
            (str(kind), some.sort("probability", "finding_id", descending=[True, False]).head(N_TOLD))
        )
    lines = []
    for title, findings in parts:
        lines.append(f"## {title}\n")
        for finding in findings.iter_rows(named=True):
            lines.append(f"- **{finding['title']}** (probability {finding['probability']:.2f})")
            for item in shown.found.items.filter(finding_id=finding["finding_id"]).iter_rows(named=True):
                codes = [("coded", item["code"]), ("suggested", item["suggested_code"])]
                words = [f"{what} {code} {names.get(code, '')}".strip() for what, code in codes if code]
                lines.append(f"    - {', '.join(words)}")
            reasons = shown.found.reasons.filter(finding_id=finding["finding_id"]).sort("rank")
            lines += [
                f"    - {row['contribution']:+.2f} {row['text']}" for row in reasons.iter_rows(named=True)
            ]
        lines.append("")
    return "\n".join(lines)


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
        f"{name}: {one.scores.height} groups, median AUROC {one.scores['both'].median():.3f}"
        f" (shuffled at most {one.scores['by_chance'].median():.3f}), {one.found.findings.height} findings"
        for name, one in shown.items()
    )
    finish(
        is_shown=all(one.is_better_than_chance and one.is_readable for one in shown.values()), figures=figures
    )


if __name__ == "__main__":
    main()
