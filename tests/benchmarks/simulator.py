"""Measures the simulated hospital: speed, published rates, exactness of its risks, difficulty of its tasks.

Run: python tests/benchmarks/simulator.py --out FOLDER [--patients 3000] [--seed 1] [--skip-models]

Bars: 3,000 patients in under 30 s and the same bytes twice; logistic regression on counts stays 0.05 AUROC
below the Bayes optimum on each task.

Model features are made here, by other code than the project's, from what was known before the prediction
time: counts of every code for the logistic regression; values, trends and counts for LightGBM. Folds are by
patient.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
from harness import finish, pesta

TASKS = ("stay_sepsis_admission", "stay_sepsis_24h", "stay_death_30d_admission", "stay_death_30d_24h")
WALL_BAR, GAP_BAR = 30.0, 0.05
EXPLICIT = r"^(A021|A207|A227|A267|A327|A40|A41|A427|B377|R572|R651)"


def read(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(folder / "extract" / f"{name}.csv", try_parse_dates=True, infer_schema_length=20000)


def events_of(folder: Path) -> pl.DataFrame:
    """patient_id, known, code, value of everything in the extract, diagnoses known at discharge."""
    vitals = read(folder, "vital_signs").unpivot(
        index=["patient_id", "measured_time"], on=pl.selectors.numeric() - pl.selectors.matches("_id$")
    )
    contacts = read(folder, "contacts")
    cultures = read(folder, "blood_cultures")
    parts = [
        vitals.drop_nulls("value").select(
            "patient_id", known="measured_time", code="variable", value="value"
        ),
        read(folder, "laboratory").select("patient_id", known="answered_time", code="nlk", value="value"),
        read(folder, "drugs").select("patient_id", known="given_time", code="atc", value=None),
        read(folder, "procedures").select("patient_id", known="startDatoTid", code="kodeVerdi", value=None),
        read(folder, "conditions").select("patient_id", known="kodet_tid", code="kodeVerdi", value=None),
        contacts.select("patient_id", known="innDatoTid", code=pl.format("in {}", "omsorgsniva"), value=None),
        contacts.filter(pl.col("innmateHast") < 4).select(
            "patient_id", known="innDatoTid", code=pl.lit("acute"), value=None
        ),
        cultures.select("patient_id", known="collected_time", code=pl.lit("culture"), value=None),
        cultures.drop_nulls("result").select(
            "patient_id", known="answered_time", code=pl.format("culture {}", "result"), value=None
        ),
    ]
    return pl.concat(
        [
            part.with_columns(pl.col("value").cast(pl.Float64), pl.col("code").cast(pl.String))
            for part in parts
        ]
    )


def rows_of(folder: Path, task: str) -> pl.DataFrame:
    """The truth's rows of a task with age and sex, numbered."""
    people = read(folder, "patients").select("patient_id", "birth_date", "kjonn")
    risks = pl.read_parquet(folder / "truth" / "risks.parquet").filter(task=task)
    return (
        risks.sort("patient_id", "prediction_time")
        .join(people, on="patient_id", how="left", maintain_order="left")
        .with_columns(
            age=(pl.col("prediction_time").dt.date() - pl.col("birth_date")).dt.total_days() / 365.25
        )
        .with_row_index("row")
    )


def known_before(events: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return (
        events.join(rows.select("row", "patient_id", "prediction_time"), on="patient_id")
        .filter(pl.col("known") < pl.col("prediction_time"))
        .with_columns(hours=(pl.col("prediction_time") - pl.col("known")).dt.total_seconds() / 3600)
    )


def numbered(cells: pl.DataFrame) -> tuple[np.ndarray, int]:
    """The column number of each cell by its name, and how many columns there are."""
    names = cells["name"].unique().sort()
    numbers = pl.DataFrame({"name": names, "column": np.arange(len(names))})
    return cells.join(numbers, on="name", how="left", maintain_order="left")["column"].to_numpy(), len(names)


def matrix_of(cells: pl.DataFrame, n_rows: int) -> sp.csr_array:
    """Cells (row, name, value) as a sparse matrix."""
    column, n_columns = numbered(cells)
    place = (cells["row"].to_numpy(), column)
    return sp.csr_array((cells["value"].to_numpy(), place), shape=(n_rows, n_columns))


def counts_of(known: pl.DataFrame, rows: pl.DataFrame) -> sp.csr_array:
    cells = (
        known.group_by("row", "code")
        .len("value")
        .select("row", name="code", value=pl.col("value").cast(pl.Float64))
    )
    base = np.column_stack([rows["age"].to_numpy() / 10, (rows["kjonn"] == 2).to_numpy()])
    return sp.hstack([matrix_of(cells, rows.height), sp.csr_array(base)]).tocsr()


def values_of(known: pl.DataFrame, rows: pl.DataFrame) -> np.ndarray:
    """Last, mean, max, slope and hours since last of values, counts, in two windows; NaN = absent."""
    frames = []
    for hours in (26.0, 1e9):
        inside = known.filter(pl.col("hours") < hours).sort("row", "code", "hours", maintain_order=True)
        number = pl.col("value")
        table = inside.group_by("row", "code").agg(
            number.first().alias("last"),
            number.mean().alias("mean"),
            number.max().alias("max"),
            (pl.cov(number, -pl.col("hours")) / pl.col("hours").var()).alias("slope"),
            pl.col("hours").first().alias("since"),
            pl.len().cast(pl.Float64).alias("count"),
        )
        frames.append(
            table.unpivot(index=["row", "code"])
            .drop_nulls("value")
            .select("row", name=pl.format("{} {} {}", pl.lit(str(hours)), "code", "variable"), value="value")
        )
    cells = pl.concat(frames).filter(pl.col("value").is_finite())
    common = cells.group_by("name").len().filter(pl.col("len") >= 150).select("name")
    cells = cells.join(common, on="name", how="semi")
    column, n_columns = numbered(cells)
    dense = np.full((rows.height, n_columns + 2), np.nan, dtype=np.float32)
    dense[cells["row"].to_numpy(), column] = cells["value"].to_numpy()
    dense[:, -2], dense[:, -1] = rows["age"].to_numpy(), rows["kjonn"].to_numpy()
    return dense


def count_logistic(
    known: pl.DataFrame, rows: pl.DataFrame, folds: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The best of raw and log counts, each with two penalties, by its out-of-fold AUROC (so it flatters)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import MaxAbsScaler

    y, raw = rows["outcome"].to_numpy(), counts_of(known, rows)
    log = raw.copy()
    log.data = np.log1p(log.data)
    best, best_score = np.zeros(len(y)), -np.inf
    for x in (raw, log):
        scaled = MaxAbsScaler().fit_transform(x).toarray()
        for penalty in (0.1, 1.0):
            out = np.zeros(len(y))
            for train, test in folds:
                model = LogisticRegression(C=penalty, max_iter=1000).fit(scaled[train], y[train])
                out[test] = model.decision_function(scaled[test])
            score = roc_auc_score(y, out)
            if score > best_score:
                best, best_score = out, score
    return best


def trees(known: pl.DataFrame, rows: pl.DataFrame, folds: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    import lightgbm

    y, x = rows["outcome"].to_numpy().astype(int), values_of(known, rows)
    settings = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 30, "max_bin": 63,
        "feature_fraction": 0.2, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 10.0,
        "num_threads": 2, "seed": 1, "verbosity": -1,
    }  # fmt: skip
    out = np.zeros(len(y))
    for train, test in folds:
        model = lightgbm.train(settings, lightgbm.Dataset(x[train], y[train]), 150)
        out[test] = np.asarray(model.predict(x[test], raw_score=True))
    return out


def difficulty(folder: Path) -> dict[str, float]:
    """How far logistic regression on counts stays below the Bayes optimum, in AUROC, by task."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    events = events_of(folder)
    gaps = {}
    print(f"\n{'task':28s}   rows  positive  Bayes  counts  trees  Bayes - counts")
    for task in TASKS:
        rows = rows_of(folder, task)
        known = known_before(events, rows)
        y = rows["outcome"].to_numpy()
        splitter = GroupKFold(5, shuffle=True, random_state=0)
        folds = list(splitter.split(y, groups=rows["patient_id"].to_numpy()))
        bayes = roc_auc_score(y, rows["risk"])
        counted = roc_auc_score(y, count_logistic(known, rows, folds))
        boosted = roc_auc_score(y, trees(known, rows, folds))
        gaps[task] = float(bayes - counted)
        sizes = f"{task:28s} {rows.height:6d} {y.sum():9d}"
        print(
            f"{sizes}  {bayes:.3f}   {counted:.3f}  {boosted:.3f}           {bayes - counted:.3f}", flush=True
        )
    return gaps


def exactness(folder: Path) -> None:
    print(
        "\ntrue risks against outcomes: sum of risks, outcomes, z overall, largest |z| of ten groups by risk"
    )
    for task in TASKS:
        rows = pl.read_parquet(folder / "truth" / "risks.parquet").filter(task=task)
        risk, outcome = rows["risk"].to_numpy(), rows["outcome"].to_numpy()
        group = np.argsort(np.argsort(risk)) * 10 // len(risk)
        z = [_z(outcome[group == number], risk[group == number]) for number in range(10)]
        print(
            f"{task:28s} {risk.sum():9.1f} {outcome.sum():6d} {_z(outcome, risk):6.2f} {np.abs(z).max():6.2f}"
        )


def _z(outcome: np.ndarray, risk: np.ndarray) -> float:
    return float((outcome.sum() - risk.sum()) / np.sqrt((risk * (1 - risk)).sum()))


def rates(folder: Path) -> None:
    stays = pl.read_parquet(folder / "truth" / "stays.parquet")
    contacts = read(folder, "contacts").filter(pl.col("omsorgsniva") == 1)
    codes = read(folder, "conditions").filter(pl.col("kodeVerdi").str.contains(EXPLICIT))
    risks = pl.read_parquet(folder / "truth" / "risks.parquet").filter(task="stay_death_30d_admission")
    ends = contacts.sort("patient_id", "innDatoTid").select(
        "kontakt_id", "patient_id", "innDatoTid", "utTilstand"
    )
    ends = ends.join_asof(
        stays.sort("patient_id", "admitted_time").select("patient_id", "admitted_time", "contact_id"),
        left_on="innDatoTid", right_on="admitted_time", by="patient_id", check_sortedness=False,
    ).with_columns(is_coded=pl.col("kontakt_id").is_in(codes["kontakt_id"].implode()))  # fmt: skip
    per_stay = ends.group_by("contact_id").agg(
        pl.col("is_coded").any(), died=(pl.col("utTilstand") == 2).any()
    )
    cultures = read(folder, "blood_cultures").select("patient_id", "collected_time", "organism")
    grown = cultures.filter(pl.col("organism").is_not_null()).sort("collected_time").join_asof(
        stays.sort("admitted_time").select("patient_id", "admitted_time", "contact_id"),
        left_on="collected_time", right_on="admitted_time", by="patient_id", check_sortedness=False,
    )  # fmt: skip
    pathogen = grown.filter(~pl.col("organism").str.contains("epidermidis|hominis|Cutibacterium|Micrococcus"))
    stays = stays.join(per_stay, on="contact_id", how="left").join(
        risks.select("contact_id", dies="outcome"), on="contact_id"
    ).with_columns(
        days=(pl.col("ended_time") - pl.col("admitted_time")).dt.total_hours() / 24,
        is_septic=pl.col("onset_time").is_not_null(),
        is_grown=pl.col("contact_id").is_in(pathogen["contact_id"].implode()),
    )  # fmt: skip
    septic, coded = stays.filter("is_septic"), stays.filter("is_coded")
    ordered = stays.sort("patient_id", "admitted_time").with_columns(
        next_time=pl.col("admitted_time").shift(-1).over("patient_id"),
        next_reason=pl.col("reason").shift(-1).over("patient_id"),
    )
    planned = ["joint_replacement", "bowel_surgery", "heart_surgery", "planned_assessment"]
    alive = ordered.filter(~pl.col("died"))
    again = (pl.col("next_time") - pl.col("ended_time")).dt.total_days() < 30
    n_patients = read(folder, "patients").height
    age = rows_of(folder, "stay_death_30d_admission")["age"]
    labelled = pl.col("is_coded") | pl.col("is_grown")
    late = stays.filter(pl.col("sepsis") == "late")
    figures = {
        "stays a patient": stays.height / n_patients,
        "mean age at admission": age.mean(),
        "mean length of stay, days": stays["days"].mean(),
        "mean length of stay with coded sepsis, days": coded["days"].mean(),
        "sepsis, true, share of stays": septic.height / stays.height,
        "sepsis, true, starting after 24 h, share of stays": late.height / stays.height,
        "sepsis, coded explicitly, share of stays": coded.height / stays.height,
        "sensitivity of explicit codes": septic["is_coded"].mean(),
        "positive predictive value of explicit codes": coded["is_septic"].mean(),
        "coded sepsis, share of bed-days": coded["days"].sum() / stays["days"].sum(),
        "coded sepsis, share of hospital deaths": coded["died"].sum() / stays["died"].sum(),
        "hospital mortality, all stays": stays["died"].mean(),
        "hospital mortality, coded sepsis": coded["died"].mean(),
        "hospital mortality, true sepsis": septic["died"].mean(),
        "30-day mortality, all stays": stays["dies"].mean(),
        "30-day mortality, true sepsis": septic["dies"].mean(),
        "acute readmission within 30 days of discharge": alive.select(
            (again & ~pl.col("next_reason").is_in(planned)).fill_null(value=False).mean()
        ).item(),
        "true sepsis that codes or cultures show": septic.select(labelled.mean()).item(),
        "stays that codes or cultures call sepsis": stays.select(labelled.sum()).item(),
        "of these, late ones by the latent onset": late.select(labelled.sum()).item(),
    }  # fmt: skip
    print()
    for name, value in figures.items():
        print(f"{name:55s} {value:10.4f}")


def digest(folder: Path) -> str:
    """The sha256 of all bytes under a folder, files in name order."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            total.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--skip-models", action="store_true")
    given = parser.parse_args()
    settings = ["--patients", given.patients, "--seed", given.seed, "--scenario", given.scenario, "--quiet"]
    first, again = (given.out / name for name in ("hospital", "again"))
    walls = [pesta("simulate", *map(str, settings), "--out", out).wall_seconds for out in (first, again)]
    has_same_bytes = digest(first) == digest(again)
    wall = max(walls)
    rates(first)
    exactness(first)
    gaps = {} if given.skip_models else difficulty(first)
    finish(
        is_shown=has_same_bytes and wall < WALL_BAR and all(gap >= GAP_BAR for gap in gaps.values()),
        figures=f"{given.patients} patients in {wall:.1f} s, the slower of two whole processes; "
        + ("same bytes" if has_same_bytes else "OTHER BYTES")
        + "; Bayes minus counts: "
        + ", ".join(f"{task} {gap:.3f}" for task, gap in gaps.items()),
    )


if __name__ == "__main__":
    main()
