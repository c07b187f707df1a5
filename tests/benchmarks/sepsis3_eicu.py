"""Our Sepsis-3 on the eICU demo against the onset labels of YAIB's sepsis cohort, made by the R package ricu.

The cohort's hourly tables hold neither coma scale nor mechanical support, vasopressors or suspicion of
infection. Support and vasopressors by body weight are taken from the demo's own tables (respiratory charting,
infusions), suspicion from its orders of systemic antibiotics alone, for no septic stay has a culture on
record; nurse charting, where the coma scale stands, is not in the open copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from ontology.valuesets.sets import load_valueset
from phenotype.scores.course import score_course
from phenotype.scores.rise import score_rise
from phenotype.trajectory import EVENTS

ADMISSION = datetime(2014, 1, 1)
INSTANT = pl.Datetime("us")
HOURLY = {
    "crea": "EICU//LAB//creatinine",
    "bili": "EICU//LAB//total bilirubin",
    "plt": "EICU//LAB//platelets x 1000",
    "po2": "EICU//LAB//paO2",
    "fio2": "EICU//LAB//FiO2",
    "map": "VITAL//mean_bp",
    "urine": "VITAL//urine",
}
"""Columns of the hourly table that SOFA reads, as the demo sends them (mg/dL, mmHg, per cent, mL)."""
PRESSORS = {"norepinephrine": "Norepinephrine", "dopamine": "Dopamine", "dobutamine": "Dobutamine"}
LABEL_HOURS = 6
"""YAIB's label is true from 6 hours before the onset to 6 hours after it, or the stay's end."""


def onsets(folder: Path) -> pl.DataFrame:
    """subject_id and onset (hours after admission; null = not septic)."""
    hour = pl.col("time").dt.total_hours()
    stays = (
        pl.read_parquet(folder / "yaib" / "sepsis" / "outc.parquet")
        .group_by(pl.col("stay_id").cast(pl.Int64).alias("subject_id"))
        .agg(
            hour.filter(pl.col("label")).min().alias("first"),
            hour.filter(pl.col("label")).max().alias("last"),
        )
        .sort("subject_id")
    )
    return stays.select(
        "subject_id",
        pl.when(pl.col("first") > 0)
        .then(pl.col("first") + LABEL_HOURS)
        .otherwise(pl.col("last") - LABEL_HOURS)
        .alias("onset"),
    )


def hourly_events(folder: Path) -> pl.DataFrame:
    """The hourly table's components of SOFA as events."""
    hourly = pl.read_parquet(folder / "yaib" / "sepsis" / "dyn.parquet")
    rows = hourly.select("stay_id", "time", *HOURLY).unpivot(index=["stay_id", "time"]).drop_nulls("value")
    return as_events(
        rows.select(
            pl.col("stay_id").alias("subject_id"),
            pl.col("time").dt.total_hours().cast(pl.Float64).alias("hours"),
            pl.col("variable").replace_strict(HOURLY).alias("code"),
            "value",
        )
    )


def support_events(folder: Path) -> pl.DataFrame:
    """PEEP that was charted, and doses of vasopressors by body weight, from the demo's own tables."""
    chart = pl.read_parquet(folder / "respiratorycharting.parquet").filter(
        pl.col("respchartvaluelabel").is_in(["PEEP", "PEEP/CPAP", "Tidal Volume (set)"])
    )
    peep = chart.select(
        pl.col("patientunitstayid").alias("subject_id"),
        (pl.col("respchartoffset") / 60).floor().alias("hours"),
        pl.format("EICU//RESPIRATORY_CHART//{}", "respchartvaluelabel").alias("code"),
        pl.lit(1.0).alias("value"),
    )
    weights = pl.read_parquet(folder / "yaib" / "sepsis" / "sta.parquet").select("stay_id", "weight")
    name = pl.col("drugname").str.to_lowercase()
    drug = name.str.extract(r"(norepinephrine|dopamine|dobutamine)").replace_strict(PRESSORS, default=None)
    rate = pl.col("drugrate").cast(pl.Float64, strict=False)
    infused = (
        pl.read_parquet(folder / "infusiondrug.parquet")
        .join(weights, left_on="patientunitstayid", right_on="stay_id", how="left")
        .with_columns(
            drug.alias("drug"),
            pl.when(name.str.contains("(mcg/kg/min)", literal=True))
            .then(rate)
            .when(name.str.contains("(mcg/min)", literal=True))
            .then(rate / pl.col("weight"))
            .alias("dose"),
        )
        .filter(pl.col("drug").is_not_null() & (pl.col("dose") > 0))
    )
    doses = infused.select(
        pl.col("patientunitstayid").alias("subject_id"),
        (pl.col("infusionoffset") / 60).floor().alias("hours"),
        pl.format("EICU//INFUSION//{} (mcg/kg/min)", "drug").alias("code"),
        pl.col("dose").alias("value"),
    )
    return pl.concat([as_events(peep), as_events(doses)])


def antibiotic_orders(folder: Path) -> pl.DataFrame:
    """subject_id, hours: every start of a systemic antibiotic that was not cancelled."""
    orders = pl.read_parquet(folder / "medication.parquet").filter(pl.col("drugordercancelled") != "Yes")
    coded = orders.with_columns(
        pl.format("EICU//DRUG//{}", pl.col("drugname").str.strip_chars()).alias("code")
    )
    codes = coded["code"].drop_nulls().unique().to_list()
    held = load_valueset("antibiotics_systemic").resolve(codes)["code"].unique()
    return (
        coded.filter(pl.col("code").is_in(held.implode()))
        .select(
            pl.col("patientunitstayid").cast(pl.Int64).alias("subject_id"),
            (pl.col("drugstartoffset") / 60).floor().alias("hours"),
        )
        .unique()
        .sort("subject_id", "hours")
    )


def as_events(rows: pl.DataFrame) -> pl.DataFrame:
    """subject_id, hours, code and value as EVENTS."""
    events = rows.select(
        pl.col("subject_id").cast(pl.Int64),
        instant(pl.col("hours")).alias("time"),
        "code",
        pl.col("value").cast(pl.Float32).alias("numeric_value"),
    )
    empty = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in events.columns]
    return events.with_columns(empty).select(EVENTS.names())


def instant(hours: pl.Expr) -> pl.Expr:
    """Hours after the admission as an instant."""
    return pl.lit(ADMISSION).cast(INSTANT) + pl.duration(seconds=(hours * 3600).round().cast(pl.Int64))


def hours_of(time: pl.Expr) -> pl.Expr:
    """An instant as hours after the admission."""
    return (time - pl.lit(ADMISSION).cast(INSTANT)).dt.total_seconds() / 3600


def compare(folder: Path) -> dict[str, float]:
    """Print the comparison as tables of counts; return the figures of the last line."""
    yaib = onsets(folder)
    stays = yaib.select("subject_id")
    events = pl.concat([hourly_events(folder), support_events(folder)]).join(
        stays, on="subject_id", how="semi"
    )
    orders = antibiotic_orders(folder).join(stays, on="subject_id", how="semi")
    course = score_course(events.lazy(), "SOFA", with_parts=True).drop_nulls("score")
    course = course.with_columns(hours_of(pl.col("time")).alias("hours"))
    since_first = pl.col("score") - pl.col("score").cum_min().over("subject_id")
    risen = course.filter(since_first >= 2).select("subject_id", "hours")
    say_components(folder, yaib, orders)
    say_scores(yaib, course.with_columns(since_first.alias("rise")))
    figures: dict[str, float] = {}
    first = in_windows(orders, risen)
    say_agreement("baseline: the lowest score since the first measured hour (ricu)", yaib, first, figures)
    suspected = orders.select("subject_id", instant(pl.col("hours")).alias("time"))
    shipped = score_rise(events.lazy(), suspected, "SOFA", baseline="lowest_before")
    ours = shipped.group_by("subject_id").agg(hours_of(pl.col("time")).min().alias("ours"))
    say_agreement("sepsis_3: what was not measured before counts 0", yaib, ours, figures)
    say_causes(Reasons(orders, risen, other_reasons(folder, events)), yaib, first)
    return figures


def in_windows(orders: pl.DataFrame, risen: pl.DataFrame) -> pl.DataFrame:
    """subject_id, ours: the first hour with a rise from 48 h before to 24 h after an order."""
    pairs = orders.rename({"hours": "ordered"}).join(risen, on="subject_id")
    is_near = pl.col("hours").is_between(pl.col("ordered") - 48, pl.col("ordered") + 24)
    return pairs.filter(is_near).group_by("subject_id").agg(pl.col("hours").min().alias("ours"))


def say_components(folder: Path, yaib: pl.DataFrame, orders: pl.DataFrame) -> None:
    hourly = pl.read_parquet(folder / "yaib" / "sepsis" / "dyn.parquet")
    print(f"YAIB: {yaib.height} stays, {yaib['onset'].count()} septic; hours of the table with a value:")
    for column in HOURLY:
        share = 1 - hourly[column].null_count() / hourly.height
        print(f"  {column:6} {share:6.1%}")
    septic = yaib.drop_nulls("onset")
    ordered = septic.join(orders, on="subject_id", how="semi").height
    print(f"  antibiotic ordered: {orders['subject_id'].n_unique()} stays, {ordered} of the septic")


def say_scores(yaib: pl.DataFrame, course: pl.DataFrame) -> None:
    """Whether our SOFA stands 2 above its lowest at YAIB's onset, whatever was suspected."""
    at_onset = (
        yaib.drop_nulls("onset")
        .join(course, on="subject_id")
        .filter(pl.col("hours") <= pl.col("onset"))
        .sort("hours")
        .group_by("subject_id", maintain_order=True)
        .last()
    )
    counts = dict(at_onset["rise"].value_counts().sort("rise").iter_rows())
    print(
        "rise of our SOFA in force at YAIB's onset:", ", ".join(f"{int(k)}: {n}" for k, n in counts.items())
    )


def say_agreement(title: str, yaib: pl.DataFrame, ours: pl.DataFrame, figures: dict[str, float]) -> None:
    both = yaib.join(ours, on="subject_id", how="left")
    is_yaib, is_ours = pl.col("onset").is_not_null(), pl.col("ours").is_not_null()
    counts = both.group_by(is_yaib.alias("yaib"), is_ours.alias("us")).len()
    n = {(row[0], row[1]): row[2] for row in counts.iter_rows()}
    observed = (n[True, True] + n[False, False]) / both.height
    share = [both.filter(flag).height / both.height for flag in (is_yaib, is_ours)]
    chance = share[0] * share[1] + (1 - share[0]) * (1 - share[1])
    kappa = (observed - chance) / (1 - chance)
    hours = both.filter(is_yaib & is_ours).select(pl.col("ours") - pl.col("onset"))["ours"]
    quantiles = " ".join(f"{q:.0%}: {hours.quantile(q, 'nearest'):+.0f}" for q in (0.1, 0.25, 0.5, 0.75, 0.9))
    print(f"\n{title}")
    print(
        f"  septic by both {n[True, True]}, YAIB only {n[True, False]}, we only {n[False, True]}, "
        f"neither {n[False, False]}; agreement {observed:.3f}, kappa {kappa:.2f}"
    )
    print(
        f"  onset, ours less YAIB's, hours: {quantiles}; equal {(hours == 0).sum()}, "
        f"within 1 h {(hours.abs() <= 1).sum()}, within 6 h {(hours.abs() <= 6).sum()} of {len(hours)}"
    )
    figures[title] = float((hours.abs() <= 6).mean() or 0)


@dataclass(frozen=True)
class Reasons:
    """What may explain a difference: frames of subject_id and hours, in the order in which they are tried."""

    orders: pl.DataFrame
    risen: pl.DataFrame
    others: dict[str, pl.DataFrame]


def say_causes(reasons: Reasons, yaib: pl.DataFrame, ours: pl.DataFrame) -> None:
    """Why the two differ: of the first twenty septic stays where they do, and of all."""
    joined = yaib.drop_nulls("onset").join(ours, on="subject_id", how="left")
    differing = joined.filter(pl.col("ours").is_null() | ((pl.col("ours") - pl.col("onset")).abs() > 6))
    rows = differing.sort("subject_id").select("subject_id", "onset", "ours").iter_rows()
    causes = [cause(reasons, *row) for row in rows]
    print(f"\nwhy {len(causes)} septic stays differ (no onset, or more than 6 h away): first twenty, all")
    for text in sorted(set(causes), key=lambda text: (-causes.count(text), text)):
        print(f"  {causes[:20].count(text):3} {causes.count(text):3}  {text}")
    orders = reasons.orders.group_by("subject_id").agg(pl.len().alias("n_orders"))
    only = yaib.filter(pl.col("onset").is_null()).join(ours, on="subject_id").join(orders, on="subject_id")
    early = only.filter(pl.col("ours") < 6).height
    single = only.filter((pl.col("ours") >= 6) & (pl.col("n_orders") == 1)).height
    other = only.height - early - single
    print(f"we only: {only.height} stays; onset in the first 6 hours {early}, one order of an antibiotic")
    print(f"  {single}, other {other}; which orders YAIB took for a suspicion its tables do not tell")


def cause(reasons: Reasons, subject: int, onset: int, ours: float | None) -> str:
    """One stay's cause, the first that applies."""

    def near(frame: pl.DataFrame) -> bool:
        mine = frame.filter(pl.col("subject_id") == subject)
        return mine.filter((pl.col("hours") - onset).abs() <= 1).height > 0

    if not reasons.orders.filter(pl.col("subject_id") == subject).height:
        return "no order of an antibiotic in the demo's table"
    if near(reasons.risen):
        earlier = "and earlier in the window of an order" if ours is not None else "but no order is near"
        return f"our SOFA rises at YAIB's onset too, {earlier}"
    for text, frame in reasons.others.items():
        if near(frame):
            return text
    return "not explained by the open tables"


def other_reasons(folder: Path, events: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """What ricu reads that our rule does not, or that the hourly tables lack."""
    return {
        "a blood gas without an oxygen fraction, which ricu takes for room air": risen_with(
            events, room_air(folder, events)
        ),
        "urine of less than a day, which ricu scales up to a day": scaled_urine(events),
        "the worst of the hour's cuff pressures, of which the hourly table has the middle one": risen_with(
            events, cuff_pressures(folder, events)
        ),
        "noradrenaline in mL/h, which ricu turns into a dose": unknown_doses(folder),
        "coma scale 12 or less on the first day (APACHE), not in the hourly tables": low_coma_scale(folder),
    }


def cuff_pressures(folder: Path, events: pl.DataFrame) -> pl.DataFrame:
    """Every mean pressure by cuff of the stays, from the demo's own table."""
    cuff = pl.read_parquet(folder / "vitalaperiodic.parquet").select(
        pl.col("patientunitstayid").cast(pl.Int64).alias("subject_id"),
        (pl.col("observationoffset") / 60).floor().alias("hours"),
        pl.lit(HOURLY["map"]).alias("code"),
        pl.col("noninvasivemean").cast(pl.Float64).alias("value"),
    )
    mine = cuff.join(events.select("subject_id").unique(), on="subject_id", how="semi")
    return as_events(mine.drop_nulls("value"))


def unknown_doses(folder: Path) -> pl.DataFrame:
    """The hours with noradrenaline whose concentration is not told."""
    infusions = pl.read_parquet(folder / "infusiondrug.parquet").filter(
        pl.col("drugname").str.contains(r"(?i)norepinephrine.*\(ml/hr\)")
    )
    hours = (pl.col("infusionoffset") / 60).floor().alias("hours")
    return infusions.select(pl.col("patientunitstayid").cast(pl.Int64).alias("subject_id"), hours)


def low_coma_scale(folder: Path) -> pl.DataFrame:
    """Every hour of the first day of the stays whose worst coma scale then gives 2 points or more."""
    parts = [pl.col(name).replace(-1, None) for name in ("eyes", "motor", "verbal")]
    worst = pl.read_parquet(folder / "apacheapsvar.parquet").filter(pl.sum_horizontal(parts) <= 12)
    worst = worst.filter(pl.all_horizontal(part.is_not_null() for part in parts))
    return worst.select(
        pl.col("patientunitstayid").cast(pl.Int64).alias("subject_id"),
        pl.lit([float(hour) for hour in range(25)]).alias("hours"),
    ).explode("hours")


def risen_with(events: pl.DataFrame, added: pl.DataFrame) -> pl.DataFrame:
    """The hours with a rise when some events are added."""
    course = score_course(pl.concat([events, added]).lazy(), "SOFA").drop_nulls("score")
    rise = pl.col("score") - pl.col("score").cum_min().over("subject_id")
    return course.filter(rise >= 2).select("subject_id", hours_of(pl.col("time")).alias("hours"))


def room_air(folder: Path, events: pl.DataFrame) -> pl.DataFrame:
    """An oxygen fraction of 21 per cent at each blood gas that has none in the two hours before."""
    hourly = pl.read_parquet(folder / "yaib" / "sepsis" / "dyn.parquet")
    gases = hourly.filter(pl.col("po2").is_not_null()).select("stay_id", "time")
    known = hourly.filter(pl.col("fio2").is_not_null()).select(
        "stay_id", "time", pl.col("time").alias("told")
    )
    paired = gases.sort("time").join_asof(
        known.sort("time"), on="time", by="stay_id", tolerance="2h", check_sortedness=False
    )
    rows = paired.filter(pl.col("told").is_null()).select(
        pl.col("stay_id").alias("subject_id"),
        pl.col("time").dt.total_hours().cast(pl.Float64).alias("hours"),
        pl.lit(HOURLY["fio2"]).alias("code"),
        pl.lit(21.0).alias("value"),
    )
    return as_events(rows)


def scaled_urine(events: pl.DataFrame) -> pl.DataFrame:
    """The hours at which the urine so far, of 6 to 24 hours, would be below 500 mL a day."""
    urine = events.filter(pl.col("code") == HOURLY["urine"]).sort("subject_id", "time")
    return (
        urine.rolling("time", period="24h", closed="right", group_by="subject_id")
        .agg(pl.col("numeric_value").sum().alias("ml"), pl.col("time").min().alias("since"))
        .with_columns(hours_of(pl.col("time")).alias("hours"))
        .with_columns((pl.col("hours") - hours_of(pl.col("since")) + 1).alias("covered"))
        .filter((pl.col("covered") >= 6) & (pl.col("ml") * 24 / pl.col("covered") < 500))
        .select("subject_id", "hours")
    )
