"""Twins: patients who stand in the extract again, under other ids and a little off in times and values.

A twin's life lies some whole days earlier, so that whatever holds within a record (what was known when, which
contacts make a stay) holds within the twin's. Tests, signs, doses and cultures are moved by some minutes
within their contact as well, and their values by a few per cent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from pipelines.simulate.analytes import ANALYTES
from pipelines.simulate.scenario import Twins

Tables = Mapping[str, pl.DataFrame]
_MOVED = {
    "laboratory": ("sampled_time", "answered_time"),
    "vital_signs": ("measured_time",),
    "drugs": ("given_time",),
    "blood_cultures": ("collected_time", "answered_time"),
}
"""Tables whose rows are moved by minutes: the first time stays inside its contact, the second goes along."""
_STEPS = {analyte.code: 10.0**analyte.decimals for analyte in ANALYTES}
_SIGNS = {
    "temperature": (1, 0.1),
    "spo2": (0, 0.1),
    "heart_rate": (0, 1.0),
    "respiratory_rate": (0, 1.0),
    "systolic_bp": (0, 1.0),
    "diastolic_bp": (0, 1.0),
}
"""Decimals of each sign, and how much of the noise it takes: a fever is a few per cent."""
_HIGHEST = {"spo2": 100.0}
_COUNTED = ("kontakt_id", "henvisningsperiodeID")


def add_twins(
    tables: Tables, twins: Twins, rng: np.random.Generator
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """The tables with the twins' rows at their ends, and who is whose twin.

    Nobody whose first days the extract may have cut off, or who is in hospital when it is made, has a twin.

    Args:
        tables: the extract's tables.
        twins: how many, and how alike.
        rng: the source of chance.

    Returns:
        The tables; pairs: patient_id, twin_id, earlier_days.
    """
    pairs = _choose(tables, twins, rng)
    contacts = tables["contacts"].select("kontakt_id", "innDatoTid", "utDatoTid")
    joined = {}
    for name, table in tables.items():
        added = table.join(pairs, on="patient_id", how="inner", maintain_order="left")
        if name in _MOVED:
            added = _moved(added, _MOVED[name], contacts, twins.jitter_minutes, rng)
            added = _noisy(added, twins.value_noise, rng)
        added = _earlier(added)
        if name == "patients":
            added = _born_apart(added, twins.birth_days, rng)
        if name == "movements":
            added = _within_extract(added, table)
        joined[name] = pl.concat([table, _renumbered(added, tables).select(table.columns)])
    return joined, pairs


def _choose(tables: Tables, twins: Twins, rng: np.random.Generator) -> pl.DataFrame:
    """patient_id, twin_id, earlier_days of the share of patients who get a twin."""
    least, most = twins.earlier_days
    contacts = tables["contacts"]
    begin = tables["movements"]["from_time"].min()
    can_be = contacts.group_by("patient_id").agg(
        pl.col("utDatoTid").is_not_null().all().alias("is_out"), pl.col("innDatoTid").min()
    )
    able = can_be.filter("is_out", pl.col("innDatoTid") >= pl.lit(begin) + pl.duration(days=most))
    people = tables["patients"].join(able, on="patient_id", how="semi")["patient_id"].sort().to_numpy()
    wanted = round(twins.share * tables["patients"].height)
    chosen = np.sort(rng.permutation(people)[:wanted])
    first = int(tables["patients"]["patient_id"].to_numpy().max()) + 1
    return pl.DataFrame(
        {
            "patient_id": chosen,
            "twin_id": first + np.arange(len(chosen)),
            "earlier_days": rng.integers(least, most + 1, len(chosen)),
        }
    )


def _moved(
    rows: pl.DataFrame,
    times: tuple[str, ...],
    contacts: pl.DataFrame,
    minutes: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Rows with their times moved by up to so many minutes; what had one time in one contact keeps one."""
    first = times[0]
    key = ["kontakt_id", first]
    keys = rows.select(key).unique().sort(key).with_row_index("number")
    together = rows.select(key).join(keys, on=key, how="left", maintain_order="left")["number"].to_numpy()
    drawn = rng.integers(-minutes, minutes + 1, keys.height)[together]
    inside = rows.with_columns(_minutes=pl.Series(drawn)).join(
        contacts, on="kontakt_id", how="left", maintain_order="left"
    )
    target = pl.col(first) + pl.duration(minutes="_minutes")
    begin, end = pl.min_horizontal("innDatoTid", first), pl.max_horizontal("utDatoTid", first)
    move = (target.clip(begin, end) - pl.col(first)).alias("_move")
    return (
        inside.with_columns(move)
        .with_columns((pl.col(name) + pl.col("_move")).alias(name) for name in times)
        .drop("_minutes", "_move", "innDatoTid", "utDatoTid")
    )


def _noisy(rows: pl.DataFrame, noise: float, rng: np.random.Generator) -> pl.DataFrame:
    """Rows with results and signs a little off, rounded as they are reported."""
    if "nlk" in rows.columns:
        step = rows["nlk"].replace_strict(_STEPS, default=10.0, return_dtype=pl.Float64).to_numpy()
        off = rows["value"].to_numpy() * np.exp(noise * rng.standard_normal(rows.height))
        return rows.with_columns(value=pl.Series(np.round(off * step) / step))
    for name, (decimals, spread) in _SIGNS.items():
        if name in rows.columns:
            factor = np.exp(spread * noise * rng.standard_normal(rows.height))
            values = np.round(rows[name].cast(pl.Float64).to_numpy() * factor, decimals)
            values = np.minimum(values, _HIGHEST.get(name, np.inf))
            rows = rows.with_columns(pl.Series(name, values).fill_nan(None).cast(rows[name].dtype))
    return rows


def _earlier(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with every time and date the pair's number of days earlier, and the year of codes with them."""
    shift = pl.duration(days="earlier_days")
    moved = rows.with_columns(pl.selectors.temporal() - shift)
    if "kodeVersjon" in rows.columns:
        moved = moved.with_columns(
            pl.col("kodet_tid").dt.year().cast(rows["kodeVersjon"].dtype).alias("kodeVersjon")
        )
    return moved


def _born_apart(rows: pl.DataFrame, most_days: int, rng: np.random.Generator) -> pl.DataFrame:
    apart = pl.Series("_apart", rng.integers(-most_days, most_days + 1, rows.height))
    return rows.with_columns(apart).with_columns(birth_date=pl.col("birth_date") + pl.duration(days="_apart"))


def _within_extract(rows: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Windows of residence that begin or end with the extract as they do for everybody."""
    begin, end = windows["from_time"].min(), windows["to_time"].max()
    at_end = pl.when(pl.col("reason") == "uttrekk").then(pl.lit(end)).otherwise("to_time")
    return rows.with_columns(
        pl.max_horizontal("from_time", pl.lit(begin)).alias("from_time"), at_end.alias("to_time")
    )


def _renumbered(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Rows of the twins, with contacts and referral periods numbered after everybody else's."""
    numbered = rows.with_columns(patient_id=pl.col("twin_id"))
    for name in _COUNTED:
        if name in rows.columns:
            taken = tables["contacts"][name].to_numpy()
            numbered = numbered.with_columns(pl.col(name) + (int(taken.max()) - int(taken.min()) + 1))
    return numbered
