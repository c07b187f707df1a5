"""Funnels against other computations: scipy's distributions, plain loops over the eICU demo's raw tables."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats as scipy_stats

from phenotype.coding.rates.false_discovery import q_values
from phenotype.coding.rates.funnels import (
    exact_limits,
    lower_tail,
    over_dispersion,
    poisson_binomial_tails,
    ratio_interval,
    standardised,
    upper_tail,
    winsorised,
)
from phenotype.coding.rates.given_rates import judge_given
from phenotype.contacts import stays
from phenotype.trajectory import open_dataset

FOLDER = Path(
    os.environ.get("PESTA_OPEN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
) / "eicu-demo"  # fmt: skip
NEEDED = ("patient.parquet", "hospital.parquet", "apachepatientresult.parquet")


@pytest.mark.parametrize("mean", [0.003, 0.4, 1.0, 7.3, 55.0])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 11, 60])
def test_tails_are_those_of_the_poisson_the_binomial_and_the_negative_binomial(
    mean: float, count: int
) -> None:
    at, means = np.array([float(count)]), np.array([mean])
    poisson = scipy_stats.poisson(mean)
    assert upper_tail(at, means, means)[0] == pytest.approx(poisson.sf(count - 1), rel=1e-9, abs=1e-300)
    assert lower_tail(at, means, means)[0] == pytest.approx(poisson.cdf(count), rel=1e-9)
    shape = 3.7
    wide = scipy_stats.nbinom(shape, shape / (shape + mean))
    variance = np.array([mean + mean**2 / shape])
    assert upper_tail(at, means, variance)[0] == pytest.approx(wide.sf(count - 1), rel=1e-7, abs=1e-300)
    n = 80
    narrow = scipy_stats.binom(n, mean / n)
    variance = np.array([mean * (1 - mean / n)])
    assert upper_tail(at, means, variance)[0] == pytest.approx(narrow.sf(count - 1), rel=1e-4, abs=1e-12)


def test_the_poisson_binomial_is_the_sum_over_every_way_in_which_it_can_come_about() -> None:
    chances = [0.1, 0.35, 0.02, 0.8, 0.5, 0.5, 0.07]
    ways = [0.0] * (len(chances) + 1)
    for outcome in range(2 ** len(chances)):
        happened = [(outcome >> place) & 1 for place in range(len(chances))]
        ways[sum(happened)] += math.prod(
            p if hit else 1 - p for p, hit in zip(chances, happened, strict=True)
        )
    for count in range(len(chances) + 1):
        lower, upper = poisson_binomial_tails(np.array(chances), count)
        assert lower == pytest.approx(sum(ways[: count + 1]), rel=1e-12)
        assert upper == pytest.approx(sum(ways[count:]), rel=1e-12)


def test_exact_limits_hold_every_count_that_chance_allows_and_no_other() -> None:
    expected = np.array([0.02, 0.9, 4.0, 30.0])
    low, high = exact_limits(expected, 0.025)
    for mean, lowest, highest in zip(expected.tolist(), low.tolist(), high.tolist(), strict=True):
        allowed = [
            k
            for k in range(200)
            if scipy_stats.poisson.cdf(k, mean) >= 0.025 and scipy_stats.poisson.sf(k - 1, mean) >= 0.025
        ]
        assert lowest == pytest.approx(allowed[0] / mean)
        assert highest == pytest.approx(allowed[-1] / mean)


def test_byars_interval_is_within_a_hundredth_of_the_exact_one_from_five_events_on() -> None:
    for count in (5, 9, 20, 100):
        low, high = ratio_interval(np.array([float(count)]), np.array([10.0]), np.array([10.0]))
        assert low[0] == pytest.approx(scipy_stats.chi2.ppf(0.025, 2 * count) / 20, rel=0.012)
        assert high[0] == pytest.approx(scipy_stats.chi2.ppf(0.975, 2 * count + 2) / 20, rel=0.012)


def quantile(values: list[float], share: float) -> float:
    """By the straight line between neighbours, written out."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def slow_tau2(z: list[float], s: list[float], share: float) -> float:
    """DerSimonian and Laird's moments on winsorised z, as the paper has them, unit by unit."""
    low, high = quantile(z, share), quantile(z, 1 - share)
    phi = sum(min(max(value, low), high) ** 2 for value in z) / len(z)
    weights = [1 / one**2 for one in s]
    below = sum(weights) - sum(w**2 for w in weights) / sum(weights)
    return max(0.0, (len(z) * phi - (len(z) - 1)) / below)


def test_over_dispersion_is_that_of_plain_loops_with_units_missing() -> None:
    random = np.random.default_rng(5)
    expected = random.uniform(5, 400, 40)
    observed = random.poisson(expected * random.gamma(8, 1 / 8, 40)).astype(float)
    deviation, spread = standardised(observed, expected, expected)
    deviation[[3, 17]] = np.nan
    kept = [index for index in range(40) if index not in {3, 17}]
    z = [(math.sqrt(observed[i] / expected[i]) - 1) * 2 * math.sqrt(expected[i]) for i in kept]
    slow = slow_tau2(z, [1 / (2 * math.sqrt(expected[i])) for i in kept], 0.1)
    assert slow > 0.01
    assert over_dispersion(deviation[None, :], spread[None, :])[0] == pytest.approx(slow, rel=1e-12)
    low, high = quantile(z, 0.1), quantile(z, 0.9)
    moved = winsorised((deviation / spread)[None, :])[0]
    assert [moved[i] for i in kept] == pytest.approx([min(max(value, low), high) for value in z], rel=1e-12)


def test_q_values_are_those_of_the_step_up_procedure_written_out() -> None:
    p = np.array([0.01, 0.02, np.nan, 0.03, 0.5, 0.9, 0.02])
    known = sorted((value, index) for index, value in enumerate(p.tolist()) if not math.isnan(value))
    for level in (0.03, 0.05, 0.0601, 0.6, 0.95):
        rank = max((k for k, (value, _) in enumerate(known, 1) if value <= level * k / len(known)), default=0)
        flagged = {index for _, index in known[:rank]}
        assert {i for i, q in enumerate(q_values(p).tolist()) if q <= level} == flagged


@pytest.fixture(scope="module")
def eicu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's patients and predictions as a dataset."""
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is absent (set PESTA_OPEN_DATA)")
    source, out = tmp_path_factory.mktemp("eicu"), tmp_path_factory.mktemp("dataset") / "d"
    for name in NEEDED:
        (source / name).symlink_to(FOLDER / name)
    key = out.with_name("d.key")
    key.write_text("ab" * 32 + "\n", "ascii")
    key.chmod(0o600)
    program = Path(sys.executable).with_name("pesta")
    done = subprocess.run(
        [str(program), "ingest", "eicu", str(source), "--out", str(out), "--key", str(key), "--quiet"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def raw_hospitals() -> tuple[dict[str, list[tuple[int, float]]], dict[str, int]]:
    """Deaths with chances of each hospital's judged stays, and how many stays it has, row by row."""
    chance: dict[int, float] = {}
    for row in pl.read_parquet(FOLDER / "apachepatientresult.parquet").iter_rows(named=True):
        value = (
            float(row["predictedhospitalmortality"])
            if row["predictedhospitalmortality"] not in {None, ""}
            else -1.0
        )
        if row["apacheversion"] == "IVa" and value >= 0:
            chance[row["patientunitstayid"]] = value
    units = defaultdict(list)
    for row in pl.read_parquet(FOLDER / "patient.parquet").iter_rows(named=True):
        units[row["patienthealthsystemstayid"]].append(row)
    judged: dict[str, list[tuple[int, float]]] = defaultdict(list)
    size: dict[str, int] = defaultdict(int)
    for rows in units.values():
        hospital = str(rows[0]["hospitalid"])
        size[hospital] += 1
        with_chance = [row for row in rows if row["patientunitstayid"] in chance]
        first = min(with_chance, key=lambda row: -row["hospitaladmitoffset"], default=None)
        dead = any("Expired" in {row["hospitaldischargestatus"], row["unitdischargestatus"]} for row in rows)
        if first is not None:
            judged[hospital].append((int(dead), chance[first["patientunitstayid"]]))
    return judged, size


def test_the_demos_hospitals_are_those_of_plain_loops_over_its_tables(eicu: Path) -> None:
    dataset = open_dataset(eicu)
    predicted = (
        dataset.events()
        .filter(
            (pl.col("code") == "SCORE//APACHE-IVa//predicted_hospital_mortality")
            & pl.col("numeric_value").is_not_null()
        )
        .sort("subject_id", "time", "contact_id")
        .group_by("subject_id", maintain_order=True)
        .agg(pl.col("numeric_value").first().cast(pl.Float64).alias("expected"))
        .collect()
    )
    rows = stays(dataset.contacts()).join(predicted, on="subject_id", how="left")
    cases = rows.select(
        unit_id="hospital_id",
        period=pl.lit("all"),
        observed=pl.col("is_dead").cast(pl.Int64),
        expected="expected",
    )
    found = {row["unit_id"]: row for row in judge_given(cases, measure="death").iter_rows(named=True)}
    judged, size = raw_hospitals()
    assert len(found) == len(size) == 186
    z, s, large = {}, {}, []
    for hospital in size:
        row, own = found[hospital], judged.get(hospital, [])
        deaths, expected = sum(dead for dead, _ in own), sum(p for _, p in own)
        assert (row["n"], row["observed"]) == (len(own), deaths)
        assert row["expected"] == pytest.approx(expected, rel=1e-6)
        if not own:
            assert row["reason"] is not None
            continue
        variance = sum(p * (1 - p) for _, p in own)
        s[hospital] = math.sqrt(variance) / (2 * expected)
        z[hospital] = (math.sqrt(deaths / expected) - 1) / s[hospital]
        large += [hospital] if expected >= 5 else []
        assert row["p"] == pytest.approx(slow_p([p for _, p in own], deaths), rel=1e-5)
    tau2 = slow_tau2([z[h] for h in large], [s[h] for h in large], 0.1) if len(large) >= 8 else 0.0
    for hospital, own in judged.items():
        row = found[hospital]
        wide = z[hospital] * s[hospital] / math.sqrt(s[hospital] ** 2 + tau2)
        assert row["tau2"] == pytest.approx(tau2, abs=1e-12)
        assert row["z"] == pytest.approx(wide, rel=1e-5)
        assert not (row["is_flagged"] and len(own) <= 12), "flagged for being small"


def slow_p(chances: list[float], deaths: int) -> float:
    """Twice the smaller tail, from a table of the chance of each number of deaths, filled in case by case."""
    table = {0: 1.0}
    for chance in chances:
        grown: dict[int, float] = defaultdict(float)
        for number, weight in table.items():
            grown[number] += weight * (1 - chance)
            grown[number + 1] += weight * chance
        table = grown
    lower = sum(weight for number, weight in table.items() if number <= deaths)
    upper = sum(weight for number, weight in table.items() if number >= deaths)
    return min(1.0, 2 * min(lower, upper))
