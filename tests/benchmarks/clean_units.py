"""Clean hospitals with real differences in case mix: no more flags than the nominal rate; then power.

Sixty units of six specialties in ten hospitals over two years. Patients differ by unit in age, sex, urgency,
sickness and transfer; sickness comes again in a patient's stays; 40 codes follow age (no bands), sickness,
sex, urgency and the main condition, and no unit codes otherwise: over-dispersion is 0. Flagged in any of the
seeds is a false flag. Then one unit in ten adds a code to stays that have none, at several rates.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from harness import finish, open_key, pesta

from ontology.release import active_ontology
from phenotype.coding.coded_record import (
    CODED_CONTACTS,
    CODES,
    FACTS,
    CodedRecord,
    ContactFacts,
    read_coded_record,
)
from phenotype.coding.rates.measures import Condition, Each, Measure, load_measures
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.units import By, Rates, judge_rates
from phenotype.contacts import STAYS
from phenotype.trajectory import open_dataset

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
N_STAYS, N_UNITS, N_CODES = 40_000, 60, 40
LEVEL = 0.05
PLANTED = (1.3, 1.6, 2.0)
SIMULATED_SEED = 7_010
"""Never looked at while the settings were chosen."""
CLEAN_MEASURES = ("any_code", "rules_as_rates")
BYS: tuple[By, ...] = ("unit", "hospital")

MEASURE = Measure(
    id="coded_other",
    title="Share of stays with the code",
    sources=("made for this benchmark",),
    of=Condition(care_levels=("inpatient",)),
    each=Each(of="code", roles=("other",), smallest=20, most=N_CODES),
    direction="both",
)


@dataclass(frozen=True)
class Flags:
    """What came out of one record."""

    n_judged: int
    n_flagged: int
    n_beyond: int
    n_large: int
    n_large_beyond: int


def clean_record(seed: int) -> CodedRecord:
    """A record in which units differ by their patients alone."""
    random = np.random.default_rng(seed)
    n_patients = N_STAYS // 3
    patient = np.sort(random.integers(0, n_patients, N_STAYS))
    size = random.dirichlet(np.full(N_UNITS, 1.2))
    home = random.choice(N_UNITS, n_patients, p=size)
    unit = np.where(random.random(N_STAYS) < 0.7, home[patient], random.choice(N_UNITS, N_STAYS, p=size))
    lean = random.normal(0, 1, (N_UNITS, 4))
    sick = random.normal(0, 1, n_patients)
    age0 = np.clip(random.normal(58 + 8 * lean[home, 0], 17, n_patients), 1, 98)
    is_female = random.random(n_patients) < 0.5
    start = np.datetime64("2023-01-01T00:00", "us") + random.integers(0, 729 * 1440, N_STAYS).astype(
        "timedelta64[m]"
    )
    start = _ordered(patient, start)
    end = start + np.maximum(random.exponential(4, N_STAYS) * 1440, 120).astype("timedelta64[m]")
    age = age0[patient] + (start - np.datetime64("2023-01-01", "us")) / np.timedelta64(365, "D")
    acute = random.random(N_STAYS) < 1 / (1 + np.exp(-(0.4 + lean[unit, 1] + 0.3 * sick[patient])))
    transfer = random.random(N_STAYS) < 1 / (1 + np.exp(-(-2.5 + lean[unit, 2])))
    specialty = unit % 6
    main = (specialty * 4 + random.integers(0, 8, N_STAYS)) % 24
    ids = np.arange(N_STAYS, dtype=np.int64)
    contacts = pl.DataFrame(
        {
            "contact_id": ids,
            "subject_id": patient,
            "stay_id": ids,
            "start_time": start,
            "end_time": end,
            "care_level": ["inpatient"] * N_STAYS,
            "urgency": np.where(acute, "acute", "planned"),
            "unit_id": np.array([f"specialty {no}" for no in range(6)])[specialty],
            "hospital_id": np.array([f"hospital {no:02d}" for no in range(10)])[unit // 6],
            "admitted_from": np.where(transfer, "other hospital", "home"),
            "judged_time": end,
            "age_years": age,
            "sex": np.where(is_female[patient], "female", "male"),
        }
    ).with_columns(
        year=pl.col("judged_time").dt.year(), unit=pl.concat_str("hospital_id", "unit_id", separator="/")
    )
    empty = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in CODED_CONTACTS.items()
        if name not in contacts.columns
    ]
    known = contacts.with_columns(empty).select(
        pl.col(name).cast(dtype) for name, dtype in CODED_CONTACTS.items()
    )
    patients = (age, sick[patient], acute, transfer, is_female[patient])
    odds = _log_odds(random, tuple(np.asarray(part, dtype=np.float64) for part in patients), main)
    held = random.random((N_STAYS, N_CODES)) < 1 / (1 + np.exp(-odds))
    return CodedRecord(
        known, pl.DataFrame(schema=STAYS), _codes(main, held), pl.DataFrame(schema=FACTS), frozenset()
    )


def _ordered(patient: Ints, start: Times) -> Times:
    """Each patient's stays in time order."""
    return np.asarray(start[np.lexsort((start, patient))])


def _log_odds(random: np.random.Generator, patients: tuple[Floats, ...], main: Ints) -> Floats:
    """(stays, codes): smooth in age and sickness, steps for the rest, own values by main condition."""
    age, sick, acute, transfer, female = patients
    base = random.uniform(-6, -1.5, N_CODES)
    weight = random.normal(0, 0.5, (5, N_CODES))
    by_main = random.normal(0, 0.5, (24, N_CODES))
    years = (age - 60) / 20
    parts = np.stack([years, 0.5 * years**2, acute, transfer, female]).astype(float)
    return np.asarray(base + parts.T @ weight + np.outer(sick, 0.4 * random.random(N_CODES)) + by_main[main])


def _codes(main: Ints, held: npt.NDArray[np.bool_]) -> pl.DataFrame:
    stay, code = np.nonzero(held)
    others = pl.DataFrame({"contact_id": stay, "role": ["other"] * len(stay), "code": OTHERS[code]})
    mains = pl.DataFrame(
        {"contact_id": np.arange(len(main)), "role": ["main"] * len(main), "code": MAINS[main]}
    )
    return _as_codes(pl.concat([mains, others]))


def _as_codes(rows: pl.DataFrame) -> pl.DataFrame:
    known = rows.with_columns(
        stay_id=pl.col("contact_id"),
        sent="code",
        is_own_code=pl.lit(value=True),
        code_no=pl.lit(1),
        group_no=pl.lit(1),
    )
    empty = [pl.lit(None, dtype).alias(name) for name, dtype in CODES.items() if name not in known.columns]
    return known.with_columns(empty).select(pl.col(name).cast(dtype) for name, dtype in CODES.items())


OTHERS = np.array([f"ICD10-NO//{'EIJN'[no % 4]}{10 + no}.9" for no in range(N_CODES)])
MAINS = np.array([f"ICD10-NO//{'ACGKMS'[no // 4]}{no}0.0" for no in range(24)])


def planted(record: CodedRecord, factor: float, seed: int) -> tuple[CodedRecord, pl.DataFrame]:
    """The record with one code added in each of six units in 2024, to `factor` times as many; which."""
    random = np.random.default_rng(seed)
    units = random.choice(record.contacts["unit"].unique().sort().to_numpy(), N_UNITS // 10, replace=False)
    added, where = [], []
    for unit in units:
        code = random.choice(OTHERS)
        mine = record.contacts.filter((pl.col("unit") == unit) & (pl.col("year") == 2024))["contact_id"]
        has = record.codes.filter((pl.col("code") == code) & pl.col("contact_id").is_in(mine.implode()))[
            "contact_id"
        ]
        free = np.setdiff1d(mine.to_numpy(), has.to_numpy())
        n_more = min(round(len(has) * (factor - 1)), len(free))
        taken = random.choice(free, n_more, replace=False)
        added.append(
            pl.DataFrame({"contact_id": taken}).select(
                "contact_id", role=pl.lit("other"), code=pl.lit(str(code))
            )
        )
        where.append((unit, f"coded_other/{code}", "2024", len(has) + n_more))
    more = pl.concat([record.codes, _as_codes(pl.concat(added))])
    truth = pl.DataFrame(where, schema=["unit_id", "measure", "period", "n_coded"], orient="row")
    return replace(record, codes=more), truth


def flags_of(rates: Rates) -> Flags:
    units = rates.tests.drop_nulls("q_value")
    large = units.filter(pl.col("expected") >= 5)
    beyond = pl.col("p") <= LEVEL
    return Flags(
        units.height,
        int(units["is_flagged"].sum()),
        units.filter(beyond).height,
        large.height,
        large.filter(beyond).height,
    )


def interval(n_hits: int, n: int) -> tuple[float, float, float]:
    """A share with its 95 % interval, by Wilson."""
    z, share = 1.959963984540054, n_hits / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return share, max(middle - reach, 0.0), min(middle + reach, 1.0)


def in_memory(n_seeds: int, first: int, settings: UnitSettings) -> tuple[bool, list[str]]:
    """Clean records: how many have any flag, how many single tests are beyond their limits; then power."""
    clean = [
        flags_of(judge_rates(clean_record(seed), (MEASURE,), settings=settings))
        for seed in range(first, first + n_seeds)
    ]
    n_any = sum(flags.n_flagged > 0 for flags in clean)
    judged, flagged = sum(f.n_judged for f in clean), sum(f.n_flagged for f in clean)
    any_share, any_low, _ = interval(n_any, n_seeds)
    beyond, low, high = interval(sum(f.n_large_beyond for f in clean), sum(f.n_large for f in clean))
    words = [
        f"{n_seeds} clean records: {flagged} of {judged:,} rates flagged",
        f"{any_share:.0%} of records with any (lower end {any_low:.1%}; nominal {LEVEL:.0%})",
        f"single rates of 5 expected or more beyond exact 95 % limits {beyond:.1%} ({low:.1%}-{high:.1%})",
    ]
    for factor in PLANTED:
        found = total = 0
        for seed in range(first, first + max(n_seeds // 4, 2)):
            record, truth = planted(clean_record(seed), factor, seed)
            rates = judge_rates(record, (MEASURE,), settings=settings).units.join(
                truth, on=["unit_id", "measure", "period"]
            )
            enough = rates.filter(pl.col("expected") >= 10)
            found, total = found + int(enough["is_flagged"].sum()), total + enough.height
        words.append(f"power at {factor} times, 10 expected or more: {found} of {total}")
    return any_low <= LEVEL and low <= LEVEL, words


def simulated(out: Path, n_patients: int, settings: UnitSettings) -> tuple[bool, list[str]]:
    """The simulated hospital without planted errors: 24 hospitals of different patients."""
    hospital, dataset = out / "clean", out / "clean-dataset"
    if not (dataset / "ingest.json").exists():
        scenario = (
            "--scenario",
            "coding-clean",
            "--patients",
            str(n_patients),
            "--seed",
            str(SIMULATED_SEED),
        )
        pesta("simulate", *scenario, "--out", hospital, "--quiet")
        pesta(
            "ingest",
            "simulated-hospital",
            hospital / "extract",
            "--out",
            dataset,
            "--key",
            open_key(dataset),
            "--quiet",
        )
    ontology = active_ontology()
    facts = ContactFacts.load(
        Path(__file__).resolve().parents[2] / "configs" / "coding" / "contact_facts.yaml"
    )
    record = read_coded_record(open_dataset(dataset), ontology, facts)
    measures = load_measures(CLEAN_MEASURES)
    words, is_good = [f"simulated: {record.contacts.height:,} contacts"], True
    for by in BYS:
        rates = judge_rates(record, measures, ontology=ontology, by=by, settings=settings)
        flags = flags_of(rates)
        beyond, low, _ = interval(flags.n_large_beyond, max(flags.n_large, 1))
        is_good &= flags.n_flagged <= LEVEL * flags.n_judged and low <= LEVEL
        words.append(
            f"{rates.units['unit_id'].n_unique()} {by}s: {flags.n_flagged} of {flags.n_judged:,} flagged; "
            f"of 5 expected or more {beyond:.1%} beyond exact 95 % limits"
        )
    return is_good, words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for what is simulated; kept")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--first-seed", type=int, default=1_000)
    parser.add_argument(
        "--patients", type=int, default=12_000, help="of the simulated hospital; 0 leaves it out"
    )
    given = parser.parse_args()
    settings = UnitSettings.load()
    is_shown, words = in_memory(given.seeds, given.first_seed, settings)
    if given.patients:
        is_good, more = simulated(given.out, given.patients, settings)
        is_shown, words = is_shown and is_good, [*words, *more]
    finish(is_shown=is_shown, figures="; ".join(words))


if __name__ == "__main__":
    main()
