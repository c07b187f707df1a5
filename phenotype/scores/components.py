"""What a severity score measures, found in the events: components, and those that follow from others."""

from __future__ import annotations

import polars as pl

from phenotype.scores.codes import Clock, ScoreCodes, component_events, load_score_codes
from phenotype.scores.points import Score

LOOK_BACK = pl.duration(hours=24)
ROUNDED_DIGITS = 4
"""Values are stored as float32; a dose of 0.1 must not lie above 0.1."""
LONGEST_PAUSE = pl.duration(hours=12)
"""Between two records of urine that count as one observation."""
OXYGENATION = {"pao2": "oxygenation", "pao2_mmhg": "oxygenation_mmhg"}
"""The ratio that follows from each component of arterial oxygen."""
KEYS = ["subject_id", "time"]
FIRST_LINEAGE = pl.col("lineage_ids").list.first()


def measured_components(
    events: pl.LazyFrame, definition: Score, codes: ScoreCodes | None = None, *, clock: Clock = "time"
) -> pl.DataFrame:
    """Measurements of a score's components, with what follows from several of them.

    Args:
        events: columns of EVENTS.
        definition: the score.
        codes: which codes feed which component; None = the shipped map.
        clock: which instant of an event counts.

    Returns:
        subject_id, time, component, value (Float64), known_time (when all of it could be known), lineage_ids
        (of one to three events); in no order.
    """
    single = component_events(events, codes or load_score_codes(), definition.components, clock=clock)
    single = single.with_columns(
        pl.col("value").round(ROUNDED_DIGITS), pl.concat_list("lineage_id").alias("lineage_ids")
    ).drop("lineage_id")
    derived = [_mean_pressure(single), _coma_scale(single), _urine_of_a_day(single)]
    derived += [_oxygenation(single, gas, ratio) for gas, ratio in OXYGENATION.items()]
    return pl.concat([single, *(frame.select(single.columns) for frame in derived)])


def _mean_pressure(single: pl.DataFrame) -> pl.DataFrame:
    """Mean arterial pressure, (systolic + 2 diastolic) / 3, where both were measured at one instant."""
    systolic, diastolic = (
        single.filter(pl.col("component") == name)
        .sort("value", "known_time", FIRST_LINEAGE)
        .unique(KEYS, keep="first", maintain_order=True)
        for name in ("systolic_bp", "diastolic_bp")
    )
    return systolic.join(diastolic, on=KEYS, suffix="_low").select(
        *KEYS,
        pl.lit("mean_bp").alias("component"),
        ((pl.col("value") + 2 * pl.col("value_low")) / 3).round(ROUNDED_DIGITS).alias("value"),
        pl.max_horizontal("known_time", "known_time_low").alias("known_time"),
        pl.concat_list("lineage_ids", "lineage_ids_low").alias("lineage_ids"),
    )


def _coma_scale(single: pl.DataFrame) -> pl.DataFrame:
    """The Glasgow coma scale, the sum of its three parts where all were charted at one instant."""
    parts = single.filter(pl.col("component").is_in(["gcs_eyes", "gcs_verbal", "gcs_motor"]))
    lowest = parts.sort("value", "known_time", FIRST_LINEAGE).unique(
        [*KEYS, "component"], keep="first", maintain_order=True
    )
    return (
        lowest.group_by(KEYS)
        .agg(
            pl.len().alias("n_parts"),
            pl.col("value").sum(),
            pl.col("known_time").max(),
            pl.col("lineage_ids").explode().sort(),
        )
        .filter(pl.col("n_parts") == 3)
        .with_columns(pl.lit("gcs").alias("component"))
    )


def _urine_of_a_day(single: pl.DataFrame) -> pl.DataFrame:
    """The urine of the 24 hours up to each record, where it was recorded all that time.

    Each record within the 24 hours has one at most 12 hours before it. So neither the first hours of records,
    nor a pause, nor their end is taken for a day with little urine. (12 hours, a night on a ward, is our own
    choice.)
    """
    urine = single.filter(pl.col("component") == "urine").sort(*KEYS, "value", FIRST_LINEAGE)
    pause = pl.col("time") - pl.col("time").shift(1).over("subject_id")
    return (
        urine.with_columns((pause <= LONGEST_PAUSE).fill_null(value=False).alias("is_followed"))
        .rolling("time", period="24h", closed="right", group_by="subject_id")
        .agg(
            pl.col("value").sum().round(ROUNDED_DIGITS),
            pl.col("known_time").max(),
            pl.col("lineage_ids").explode(),
            pl.col("is_followed").all(),
        )
        .filter("is_followed")
        .unique(KEYS, keep="first", maintain_order=True)
        .with_columns(pl.lit("urine_of_a_day").alias("component"))
    )


def _oxygenation(single: pl.DataFrame, gas: str, ratio: str) -> pl.DataFrame:
    """PaO2 / FiO2: each PaO2 over the FiO2 last measured, less than a day older."""
    pressures, fractions = (
        single.filter(pl.col("component") == name).sort(*KEYS, "value", "known_time", FIRST_LINEAGE)
        for name in (gas, "fio2")
    )
    renamed = [pl.col(name).alias(f"{name}_of_air") for name in ("value", "known_time", "lineage_ids")]
    paired = pressures.join_asof(
        fractions.select(*KEYS, pl.col("time").alias("time_of_air"), *renamed),
        on="time",
        by="subject_id",
        strategy="backward",
        check_sortedness=False,
    )
    return paired.filter(pl.col("time") - pl.col("time_of_air") < LOOK_BACK).select(
        *KEYS,
        pl.lit(ratio).alias("component"),
        (pl.col("value") / pl.col("value_of_air")).round(ROUNDED_DIGITS).alias("value"),
        pl.max_horizontal("known_time", "known_time_of_air").alias("known_time"),
        pl.concat_list("lineage_ids", "lineage_ids_of_air").alias("lineage_ids"),
    )
