"""Sepsis coded with known and unknown focus in the published shares: planted, and recovered from the record.

Run: python tests/benchmarks/sepsis_practice.py --out FOLDER [--patients 12000]

Published (Tidsskr Nor Legeforen 2024, doi 10.4045/tidsskr.23.0271): known focus 47.5 per cent in 2008 to
82.3 in 2021, unknown 37.8 to 13.0; West 72.1, Central Norway 59.2. Scenario coding-sepsis-practice plants
them: the simulated years 2016-2025 stand for 2008-2021, the first and the last exactly, those between by a
straight line; two regions drift so, the West and Central Norway hold their pooled share. The hospital is
ingested; the shares are those of the phenotypes sepsis_focus_known, _unknown and _both among the stays that
have any of them.

Bar: every planted share (known, unknown and both, of ten years in the two regions that drift and of the two
others) lies in the interval of the share that is recovered (Wilson). The intervals hold together with 99 per
cent: each is at 1 - 0.01 / 36. How many lie in intervals of 99 per cent each is told beside it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import polars as pl
from harness import finish, pesta
from sepsis3 import wilson

from phenotype.definitions.text import definition_files, read_definitions
from phenotype.phenotypes import derive_phenotypes
from phenotype.trajectory import Dataset

SCENARIO, SEED = "coding-sepsis-practice", 7020
FOCI = ("known", "unknown", "both")
FIRST, LAST = (47.5, 37.8), (82.3, 13.0)
"""Known and unknown focus in per cent, 2008 and 2021."""
POOLED = (24.4, 9.3)
"""Unknown focus and both in per cent, in all years and regions."""
HELD = {"Helse Vest": 72.1, "Helse Midt-Norge": 59.2}
YEARS = range(2016, 2026)
FAMILY_ERROR = 0.01


@dataclass(frozen=True)
class Share:
    """A planted share and how it was recovered."""

    group: str
    focus: str
    planted: float
    hits: int
    n: int

    def holds(self, error: float) -> bool:
        """Whether the planted share lies in the interval of the recovered one at this error."""
        low, high = wilson(self.hits, self.n, NormalDist().inv_cdf(1 - error / 2))
        return low <= self.planted <= high


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder for the dataset; kept")
    parser.add_argument("--patients", type=int, default=12_000)
    given = parser.parse_args()
    recovered = shares(foci(dataset(given.out / f"practice-{given.patients}", given.patients)))
    alone = sum(share.holds(FAMILY_ERROR) for share in recovered)
    together = [share for share in recovered if not share.holds(FAMILY_ERROR / len(recovered))]
    known = {share.group: share for share in recovered if share.focus == "known"}
    told = ", ".join(
        f"{group} planted {100 * share.planted:.1f} recovered {100 * share.hits / share.n:.1f} per cent "
        f"(n {share.n})"
        for group, share in known.items()
    )
    finish(
        is_shown=not together,
        figures=f"known focus: {told}; {len(recovered) - len(together)} of {len(recovered)} shares in "
        f"intervals that hold together with 99 per cent, {alone} in intervals of 99 per cent each",
    )


def dataset(folder: Path, n_patients: int) -> Path:
    """The dataset of the scenario, made where it is not there yet."""
    hospital, made = folder / "hospital", folder / "dataset"
    if not (made / "ingest.json").exists():
        size = ("--patients", str(n_patients), "--seed", str(SEED))
        pesta("simulate", *size, "--scenario", SCENARIO, "--out", hospital, "--quiet")
        pesta("ingest", "simulated-hospital", hospital / "extract", "--out", made, "--keep-ids", "--quiet")
    return made


def foci(path: Path) -> pl.DataFrame:
    """stay_id, focus, hospital_id and year of the end of every stay that is coded as sepsis."""
    wanted = [f"sepsis_focus_{focus}" for focus in FOCI]
    files = [file for file in definition_files() if file.stem == "sepsis_coding_focus"]
    definitions = [found for found in read_definitions(files) if found.name in wanted]
    found = derive_phenotypes(Dataset(path), definitions).filter(state="confirmed")
    stays = (
        Dataset(path)
        .contacts()
        .group_by("stay_id")
        .agg(pl.col("hospital_id").first(), pl.col("end_time").max().dt.year().alias("year"))
    )
    focus = pl.col("phenotype").str.strip_prefix("sepsis_focus_").alias("focus")
    return found.select("stay_id", focus).unique().join(stays, on="stay_id")


def planted(year: int) -> tuple[float, float, float]:
    """Known, unknown and both, as shares, in a simulated year where practice drifts."""
    along = (year - YEARS[0]) / (YEARS[-1] - YEARS[0])
    known, unknown = (first + along * (last - first) for first, last in zip(FIRST, LAST, strict=True))
    return known / 100, unknown / 100, 1 - (known + unknown) / 100


def held(known: float) -> tuple[float, float, float]:
    """Known, unknown and both, as shares, where the pooled share of known focus holds in all years."""
    unknown = (100 - known) * POOLED[0] / sum(POOLED)
    return known / 100, unknown / 100, 1 - (known + unknown) / 100


def shares(found: pl.DataFrame) -> list[Share]:
    """Every planted share beside what was recovered."""
    drifting = found.filter(~pl.col("hospital_id").is_in(list(HELD)))
    groups = [(str(year), drifting.filter(year=year), planted(year)) for year in YEARS]
    groups += [(name, found.filter(hospital_id=name), held(known)) for name, known in HELD.items()]
    return [
        Share(name, focus, share, rows.filter(focus=focus).height, rows.height)
        for name, rows, all_shares in groups
        for focus, share in zip(FOCI, all_shares, strict=True)
    ]


if __name__ == "__main__":
    main()
