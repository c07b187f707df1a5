"""A unit that starts over-coding in a known month is found: delay in stays at a stated false-alarm rate.

Run: python tests/benchmarks/drift_delay.py --out FOLDER [--skip-hospital] [--patients 8000]

Part one, series made here: six units of 100 to 300 stays a month for five years; from month 36 one of them
codes at odds 1.5, 2 or 3 times those before. Delay: its stays from that month to the signal. False alarms:
signals of the other units, and of all units where nothing was planted, and signals of the planted unit before
its month.

Part two, the simulated hospital's scenario `coding-drift` through `pesta simulate` and `pesta ingest`: all
hospitals code sepsis a little more from 2022, Orkla much more from 2023, Namdal less from 2019.

Seeds of the series (7xxx) are none of those that choose limits (configs/coding/drift.yaml).
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import dataclass, field
from math import isinf
from pathlib import Path

import numpy as np
import polars as pl
from harness import finish, open_key, pesta
from scipy.stats import binom

from phenotype.coding.drift.findings import Drift, drift_findings
from phenotype.coding.drift.known_changes import KnownChanges
from phenotype.coding.drift.lines import DriftLine
from phenotype.coding.drift.series import DriftSettings, MeasureSeries

START, MONTH, N_MONTHS, PLANTED = dt.datetime(2018, 1, 1), 30.4375, 60, 36
SIZES = (100, 150, 200, 200, 250, 300)
AT = 2
RISKS, RATIOS, N_SERIES = (0.03, 0.10, 0.25), (1.5, 2.0, 3.0), 20
SEPSIS = "sepsis_explicit_rate"
FOUND_BAR = 0.9
"""Of units that code at odds 2 or more, at risks of 0.10 and 0.25: the share to be found in two years."""


@dataclass
class Tally:
    """What came of many series of one kind.

    Attributes:
        delays: stays from the planted month to the signal; infinite where there was none.
        months: the same in months.
        n_clean: lines without a change that were watched.
        n_false: of them, those that signalled.
        n_early: planted lines that signalled before their month.
        n_wrong_way: planted lines that signalled that they code less.
    """

    delays: list[float] = field(default_factory=list)
    months: list[float] = field(default_factory=list)
    n_clean: int = 0
    n_false: int = 0
    n_early: int = 0
    n_wrong_way: int = 0


def series_of(seed: int, risk: float, ratio: float) -> MeasureSeries:
    """Six units with patients and habits of their own, one of which changes."""
    random, parts = np.random.default_rng(seed), []
    for number, size in enumerate(SIZES):
        n = size * N_MONTHS
        days = np.sort(random.uniform(0.0, N_MONTHS * MONTH, n))
        expected = np.log(risk / (1.0 - risk)) + random.normal(0.0, 0.7, n)
        logit = expected + random.normal(0.0, 0.3)
        if number == AT:
            logit = logit + np.log(ratio) * (days >= PLANTED * MONTH)
        parts.append(
            pl.DataFrame(
                {
                    "unit": f"hospital {number}/MED",
                    "time": np.datetime64(START, "us") + (days * 86_400e6).astype("timedelta64[us]"),
                    "observed": (random.random(n) < 1.0 / (1.0 + np.exp(-logit))).astype(float),
                    "expected": 1.0 / (1.0 + np.exp(-expected)),
                }
            )
        )
    return MeasureSeries("made", "made", pl.concat(parts))


def count(tally: Tally, line: DriftLine, rows: pl.DataFrame, *, is_planted: bool) -> None:
    if not is_planted:
        tally.n_clean += 1
        tally.n_false += bool(line.signals)
        return
    planted = START + dt.timedelta(days=PLANTED * MONTH)
    up = next((one for one in line.signals if one.direction == "up"), None)
    tally.n_wrong_way += any(one.direction == "down" for one in line.signals)
    if up is not None and up.time < planted:
        tally.n_early += 1
        return
    if up is None:
        tally.delays.append(np.inf)
        tally.months.append(np.inf)
        return
    since = rows.filter((pl.col("unit") == line.unit) & pl.col("time").is_between(planted, up.time))
    tally.delays.append(since.height)
    tally.months.append((up.time - planted).days / MONTH)


def run_of(risk: float, ratio: float, seed: int, settings: DriftSettings) -> Tally:
    tally = Tally()
    for number in range(N_SERIES):
        series = series_of(seed + number, risk, ratio)
        drift = drift_findings([series], KnownChanges(changes=()), settings)
        for line in drift.lines:
            if line.limit is not None:
                is_planted = ratio > 1.0 and line.unit == f"hospital {AT}/MED"
                count(tally, line, series.rows, is_planted=is_planted)
    return tally


def within(tally: Tally, months: float) -> float:
    return float(np.mean([one <= months for one in tally.months])) if tally.months else 0.0


def told(number: float) -> str:
    return "not found" if isinf(number) else f"{number:.0f}"


def made_series(settings: DriftSettings) -> tuple[bool, str]:
    """Delays by risk and odds ratio; false alarms over all lines without a change."""
    n_clean = n_false = n_early = n_planted = 0
    is_found, texts = True, []
    print("risk  odds ratio  found in 24 months  median delay (stays, months)  false alarms")
    for row, risk in enumerate(RISKS):
        for column, ratio in enumerate((1.0, *RATIOS)):
            tally = run_of(risk, ratio, 7000 + 1000 * row + 100 * column, settings)
            n_clean, n_false = n_clean + tally.n_clean, n_false + tally.n_false
            n_early, n_planted = n_early + tally.n_early, n_planted + len(tally.months) + tally.n_early
            stays, months = (float(np.median(v)) if v else np.inf for v in (tally.delays, tally.months))
            share = within(tally, 24.0)
            print(
                f"{risk:.2f}  {ratio:10.1f}  {share:18.2f}  {told(stays):>12}, {told(months):>10}"
                f"  {tally.n_false} of {tally.n_clean}, early {tally.n_early}"
            )
            if ratio >= 2.0:
                texts.append(f"risk {risk} odds x{ratio:g}: {told(stays)} stays ({share:.0%} in 24 months)")
                is_found = is_found and (share >= FOUND_BAR or risk < 0.1)
    most = int(binom.ppf(0.975, n_clean, settings.false_alarm_rate))
    figures = (
        f"false alarms {n_false} of {n_clean} lines without a change (stated {settings.false_alarm_rate:.0%}"
        f" a line over its whole length, at most {most} by chance), {n_early} of {n_planted} planted lines"
        " before their month; median delay " + "; ".join(texts)
    )
    return is_found and n_false <= most, figures


def hospital(out: Path, n_patients: int, seed: int) -> tuple[bool, str]:
    """The hospitals of scenario coding-drift that drift alone, found."""
    from ontology.release import load_ontology
    from phenotype.coding.coded_record import ContactFacts, read_coded_record
    from phenotype.coding.drift.measures import follow
    from phenotype.coding.rates.measures import load_measures
    from phenotype.trajectory import open_dataset

    folder, dataset = out / "hospital", out / "dataset"
    if not (dataset / "ingest.json").exists():
        pesta(
            "simulate", "--patients", str(n_patients), "--seed", str(seed), "--scenario", "coding-drift",
            "--out", folder, "--quiet",
        )  # fmt: skip
        pesta(
            "ingest", "simulated-hospital", folder / "extract", "--out", dataset, "--key",
            open_key(dataset), "--quiet",
        )  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    facts = ContactFacts.load(root / "configs" / "coding" / "contact_facts.yaml")
    ontology = load_ontology()
    record = read_coded_record(open_dataset(dataset), ontology, facts)
    measures = load_measures([SEPSIS, "sepsis_known_focus"])
    followed = follow(record, measures, ontology, by="hospital")
    drift = drift_findings(followed.series, KnownChanges.load().with_lists(ontology))
    print(drift.found.findings.select("unit_id", "title", "severity", "period"))
    return judged(drift)


def judged(drift: Drift) -> tuple[bool, str]:
    """Whether Orkla's rise and Namdal's fall are found, nobody else's sepsis coding is; delays in stays."""
    truth = {
        ("Orkla sykehus", "up"): dt.datetime(2023, 1, 1),
        ("Namdal sykehus", "down"): dt.datetime(2019, 1, 1),
    }
    lines = [line for line in drift.lines if line.measure == SEPSIS and line.limit is not None]
    found, others, texts = set(), [], []
    for line in lines:
        for signal in line.signals:
            key = (line.unit, signal.direction)
            planted = truth.get(key)
            if planted is None or signal.time < planted:
                others.append(f"{line.unit} {signal.direction} {signal.time:%Y-%m}")
                continue
            found.add(key)
            since = [point for point in line.points if planted.date() <= point.month <= signal.time.date()]
            texts.append(
                f"{line.unit} {signal.direction}: dated {signal.change_time:%Y-%m} (true {planted:%Y-%m}),"
                f" signal after about {sum(point.n for point in since)} stays,"
                f" odds ratio {signal.odds_ratio:.2f}"
            )
    texts += [f"not found: {unit} {way}" for unit, way in truth.keys() - found]
    texts.append(f"other signals of sepsis coded: {', '.join(others) or 'none'}")
    return set(truth) == found and not others, "; ".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and runs; kept")
    parser.add_argument("--patients", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=7301)
    parser.add_argument("--skip-series", action="store_true")
    parser.add_argument("--skip-hospital", action="store_true")
    chosen = parser.parse_args()
    results = []
    if not chosen.skip_series:
        results.append(made_series(DriftSettings.load()))
    if not chosen.skip_hospital:
        results.append(hospital(chosen.out, chosen.patients, chosen.seed))
    finish(is_shown=all(one for one, _ in results), figures=" | ".join(text for _, text in results))


if __name__ == "__main__":
    main()
