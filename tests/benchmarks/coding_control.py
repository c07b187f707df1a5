"""Coding control on the simulated hospital: planted errors among three times as many innocent look-alikes.

Run: python tests/benchmarks/coding_control.py --out FOLDER [--small] [--patients 17500]

Scenarios coding-errors-1 and coding-errors-5 (twelve families at 1 and at 5 per cent of stays; about 50,000
inpatient stays each, those of added care included) are simulated, ingested and audited as a user would.
Settings were chosen on scenario coding-errors-tuning, which has five of the families at other rates, in other
hospitals, from another seed.

Errors and look-alikes of a family stand in one list, by the probability of the findings about them; what has
no finding comes last, in the order of chance. Bars, for each scenario:

- among the first 200 of a family, or as many as it has errors where they are fewer, precision is at least 0.8
  for families that break rules and 0.5 for dropped and added conditions;
- average precision of each family is at least twice that of unit rates and of argmax disagreement, and, for
  dropped and added conditions, of rules alone (a family that breaks a rule is found by rules: there they are
  no baseline but the method); where a baseline has more than 0.5, 1 is asked for;
- the probability of findings, as they come, is within 0.05 of the share that is right (mean over tenths of
  the probability, weighted by findings); how near they are after reviewers have answered for 40 findings of
  each rule and kind, which are then left out, is told beside it. A true condition that nobody coded,
  honestly, counts as a coding that was wrong; how it is where it counts as right is told too.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from code_lists import build, code_lists
from coding_control_baselines import (
    Rates,
    argmax_disagreement,
    argmax_of_stays,
    rate_ranking,
    rates_of,
    rules_only,
)
from coding_control_calibration import Calibration, after_review, calibration, told_right
from coding_control_judging import (
    EXPECTATION_FAMILIES,
    FAMILIES,
    FamilyFigures,
    Judged,
    average_precision,
    family_figures,
    read_judged,
)
from harness import finish, pesta

from phenotype.contacts import stays
from phenotype.trajectory import open_dataset

SCENARIOS = {"coding-errors-5": 7205, "coding-errors-1": 7201}
"""Scenario -> its seed, which nothing else uses. Seeds 7005, 7001 and 7105 were scored before: by the first
two the false share of coding was read off wards that never code a group, and no added condition was found
at 5 per cent; by the third findings before review were less sure than they were right."""
N_PATIENTS, N_SMALL = 17_500, 1_500
RULE_BAR, EXPECTATION_BAR, TIMES_BAR, CALIBRATION_BAR = 0.8, 0.5, 2.0, 0.05
PARTS = [
    word
    for key in ("money.grouper=toy", "rates=null", "drift=null", "agreement=null")
    for word in ("--set", key)
]
"""Rates, drift and agreement are about units: their findings have no probability and are not judged here."""
EXPECTED_TABLE = "expected-*.parquet"
BARRED = "before review"


@dataclass(frozen=True)
class Result:
    """What one scenario showed.

    Attributes:
        families: family -> figures.
        baselines: family -> baseline -> average precision.
        argmax_of_stays: family of conditions -> average precision of argmax disagreement about any condition.
        calibrations: name -> how findings are calibrated.
        n_stays: inpatient stays.
    """

    families: dict[str, FamilyFigures]
    baselines: dict[str, dict[str, float]]
    argmax_of_stays: dict[str, float]
    calibrations: dict[str, Calibration]
    n_stays: int


def main() -> None:
    given = _arguments()
    n_patients = N_SMALL if given.small else given.patients
    _use_norwegian_lists(given.out)
    results = {}
    for scenario, seed in SCENARIOS.items():
        folder = given.out / f"{scenario}-{n_patients}"
        audited(folder, scenario, n_patients, seed)
        results[scenario] = _result(folder)
        write_table(results[scenario], folder)
    misses = [f"{name}: {miss}" for name, result in results.items() for miss in _misses(result)]
    finish(
        is_shown=not misses,
        figures="; ".join(f"{name} {_told(result)}" for name, result in results.items())
        + (f"; NOT REACHED: {', '.join(misses)}" if misses else "")
        + (" (small: figures are not those of the bars)" if given.small else ""),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and audits; kept")
    parser.add_argument("--patients", type=int, default=N_PATIENTS, help="17,500 have about 50,000 stays")
    parser.add_argument("--small", action="store_true", help=f"{N_SMALL} patients: a trial, minutes")
    return parser.parse_args()


def _use_norwegian_lists(out: Path) -> None:
    """Build the ontology of the national lists, by which codes are told to be out of their year."""
    built = out / "ontology"
    if not (built / "manifest.json").exists():
        build(code_lists("navikt-diagnosekoder"), built)
    os.environ["PESTA_ONTOLOGY"] = str(built.resolve())


def audited(folder: Path, scenario: str, n_patients: int, seed: int) -> None:
    """Simulate, ingest and audit a scenario, each where it is not done yet."""
    hospital, dataset = folder / "hospital", folder / "dataset"
    if not (hospital / "truth" / "coding_errors.parquet").exists():
        size = ("--patients", str(n_patients), "--seed", str(seed))
        pesta("simulate", *size, "--scenario", scenario, "--out", hospital, "--quiet")
    if not (dataset / "ingest.json").exists():
        pesta("ingest", "simulated-hospital", hospital / "extract", "--out", dataset, "--keep-ids", "--quiet")
    if not (folder / "audit" / "index.html").exists():
        pesta("audit", "--data", dataset, "--out", folder / "audit", *PARTS, "--quiet")


def _result(folder: Path) -> Result:
    dataset, audit = folder / "dataset", folder / "audit"
    judged = read_judged(dataset, folder / "hospital" / "truth" / "coding_errors.parquet", audit)
    expected, rates = _expected(audit), rates_of(dataset)
    families = [family for family in FAMILIES if judged.of_family(family)["is_error"].any()]
    return Result(
        {family: family_figures(judged, family) for family in families},
        {family: _baselines(judged, rates, expected, family) for family in families},
        _argmax_of_stays(judged, expected),
        _calibrations(judged),
        _n_inpatient(folder),
    )


def _calibrations(judged: Judged) -> dict[str, Calibration]:
    """How findings are calibrated: as they come, by kind, and after a round of review."""
    told = told_right(judged, honest_is_wrong=True)
    told_strictly = told_right(judged, honest_is_wrong=False)
    reviewed = after_review(told, judged.folder)
    found = {
        BARRED: calibration(told),
        "after review": calibration(reviewed),
        "before review, honest omissions right": calibration(told_strictly),
        "after review, honest omissions right": calibration(after_review(told_strictly, judged.folder)),
    }
    for kind in ("rule", *EXPECTATION_FAMILIES.values()):
        found[f"{kind} before review"] = calibration(told.filter(kind=kind))
        found[f"{kind} after review"] = calibration(reviewed.filter(kind=kind))
    return found


def _expected(audit: Path) -> pl.DataFrame | None:
    """The expectations that the audit keeps; None where it has none."""
    tables = sorted(audit.rglob(EXPECTED_TABLE))
    return pl.read_parquet(tables[0]) if tables else None


def _baselines(judged: Judged, rates: Rates, expected: pl.DataFrame | None, family: str) -> dict[str, float]:
    """Average precision of each baseline on a family's cases."""
    is_error = judged.of_family(family)["is_error"].to_numpy()
    scored = {
        "rules only": rules_only(judged, family),
        "rate ranking": rate_ranking(judged, rates, family),
    }
    if expected is not None:
        scored["argmax disagreement"] = argmax_disagreement(judged, expected, family)
    return {name: average_precision(is_error, score) for name, score in scored.items()}


def _argmax_of_stays(judged: Judged, expected: pl.DataFrame | None) -> dict[str, float]:
    """Average precision of argmax disagreement where it is not told which condition is asked about."""
    if expected is None:
        return {}
    return {
        family: average_precision(
            judged.of_family(family)["is_error"].to_numpy(), argmax_of_stays(judged, expected, family)
        )
        for family in EXPECTATION_FAMILIES
        if judged.of_family(family)["is_error"].any()
    }


def _n_inpatient(folder: Path) -> int:
    """Overnight and other inpatient stays of the dataset."""
    contacts = stays(open_dataset(folder / "dataset").contacts())
    return contacts.filter(pl.col("care_level").is_in(["inpatient", "icu"])).height


def _misses(result: Result) -> list[str]:
    """The bars that are not reached, in words."""
    misses = []
    for family, found in result.families.items():
        of_rules = family not in EXPECTATION_FAMILIES
        bar = RULE_BAR if of_rules else EXPECTATION_BAR
        if found.precision < bar:
            misses.append(f"precision of {family} {found.precision:.2f} < {bar}")
        for name, baseline in result.baselines[family].items():
            asked = min(TIMES_BAR * baseline, 1.0)
            if not (of_rules and name == "rules only") and found.average_precision < asked - 1e-9:
                misses.append(
                    f"average precision of {family} {found.average_precision:.2f} < {asked:.2f} ({name})"
                )
    error = result.calibrations[BARRED].error
    if error > CALIBRATION_BAR:
        misses.append(f"calibration {error:.3f} > {CALIBRATION_BAR}")
    return misses


def _told(result: Result) -> str:
    """The figures of a scenario in one line."""
    families = ", ".join(
        f"{family} {found.precision:.2f} of {found.n_first} (recall {found.recall:.2f}, AP "
        f"{found.average_precision:.2f}, best baseline {max(result.baselines[family].values()):.2f})"
        for family, found in result.families.items()
    )
    calibrated = ", ".join(
        f"{name} {found.error:.3f} (n {found.n})" for name, found in result.calibrations.items()
    )
    of_stays = ", ".join(
        f"{family} {result.families[family].of_stays:.2f} against argmax {argmax:.2f}"
        for family, argmax in result.argmax_of_stays.items()
    )
    return (
        f"({result.n_stays:,} inpatient stays): {families}; as lists of stays, whatever the condition, AP "
        f"{of_stays}; calibration {calibrated}"
    )


def write_table(result: Result, folder: Path) -> None:
    """Write all figures as figures.json beside the audit."""
    content = {
        "n_stays": result.n_stays,
        "families": {
            family: asdict(found) | {"baselines": result.baselines[family]}
            for family, found in result.families.items()
        },
        "argmax_of_stays": result.argmax_of_stays,
        "calibration": {
            name: {
                "n": found.n,
                "n_unknown": found.n_unknown,
                "error": found.error,
                "bins": found.bins.to_dicts(),
            }
            for name, found in result.calibrations.items()
        },
    }
    (folder / "figures.json").write_text(json.dumps(content, indent=1), "utf-8")


if __name__ == "__main__":
    main()
