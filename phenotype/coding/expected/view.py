"""The record as it may be read to tell what a stay should be coded with: its own codes are held back.

Diagnoses and what a grouper made of them are known only after the end of the stay that they belong to;
everything else that belongs to the stay is known when it ends, also what was answered later.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from ontology.terminology import Ontology
from phenotype.event_order import in_event_order
from phenotype.trajectory import EVENTS, Dataset, known_time

JUDGED = pl.Schema(
    {
        "stay_id": pl.Int64(),
        "subject_id": pl.Int64(),
        "start_time": EVENTS["time"],
        "prediction_time": EVENTS["time"],
    }
)
"""Stays whose codes are expected: prediction_time is the end, or the last instant that is told."""
_AFTER = pl.duration(microseconds=1)
DONE = "view.done"


def held_back_prefixes(codings: pl.DataFrame, held_back: tuple[str, ...]) -> tuple[str, ...]:
    """Beginnings of the codes that say what a stay was coded with.

    Args:
        codings: columns of CODINGS.
        held_back: beginnings named beside the systems that diagnoses are coded in.
    """
    systems = codings.filter(pl.col("role") != "procedure")["system"].drop_nulls().unique().sort()
    return tuple(sorted({*held_back, *(f"{system}//" for system in systems)}))


def hold_back(
    events: pl.DataFrame, owners: pl.DataFrame, stays: pl.DataFrame, prefixes: tuple[str, ...]
) -> pl.DataFrame:
    """Events with the instants at which a judge of coding may know them.

    What is held back and belongs to a stay, by its contact or else by its time, is known a microsecond after
    the stay's end at the earliest; what is held back and has no time could be anybody's and is left out.

    Args:
        events: columns of EVENTS.
        owners: contact_id, stay_id.
        stays: columns of JUDGED, all stays of the subjects.
        prefixes: beginnings of the codes that are held back.

    Returns:
        The same columns; rows in any order.
    """
    ends = stays.select("stay_id", pl.col("prediction_time").alias("_end"))
    is_held = _begins_with(prefixes)
    linked = events.join(owners, on="contact_id", how="left").with_columns(_held=is_held)
    linked = _by_time(linked, stays).join(ends, on="stay_id", how="left")
    known = known_time()
    moved = (
        pl.when(pl.col("_held"))
        .then(pl.max_horizontal(known, pl.col("_end") + _AFTER))
        .when(pl.col("contact_id").is_not_null())
        .then(pl.min_horizontal(known, "_end"))
        .otherwise("known_time")
    )
    return (
        linked.filter(~(pl.col("_held") & pl.col("time").is_null() & pl.col("_end").is_null()))
        .with_columns(known_time=pl.when(pl.col("time").is_null()).then("known_time").otherwise(moved))
        .select(EVENTS.names())
    )


def _by_time(events: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Held-back events without a contact given the stay in whose time they fall."""
    is_loose = pl.col("_held") & pl.col("stay_id").is_null() & pl.col("time").is_not_null()
    loose, linked = events.filter(is_loose), events.filter(~is_loose)
    if not loose.height:
        return events
    begun = stays.select("subject_id", "start_time", "prediction_time", _stay="stay_id")
    found = (
        loose.sort("time")
        .join_asof(
            begun.sort("start_time"),
            left_on="time",
            right_on="start_time",
            by="subject_id",
            check_sortedness=False,
        )
        .with_columns(stay_id=pl.when(pl.col("time") <= pl.col("prediction_time")).then("_stay"))
    )
    return pl.concat([linked, found.select(linked.columns)])


def write_view(  # noqa: PLR0917 what is written, and by what
    dataset: Dataset,
    contacts: pl.DataFrame,
    stays: pl.DataFrame,
    prefixes: tuple[str, ...],
    levels: dict[str, str],
    ontology: Ontology,
    folder: Path,
    *,
    unread: tuple[str, ...] = (),
) -> Dataset:
    """A dataset folder with the events of `hold_back`; taken up where it is whole.

    Diagnoses stand in it as the group that they belong to, for history is told by groups.

    Args:
        dataset: whose events.
        contacts: contact_id, stay_id.
        stays: columns of JUDGED, all stays.
        prefixes: what is held back.
        levels: see `GroupsConfig.levels`.
        ontology: which group a code belongs to.
        folder: for the view.
        unread: codes whose events are left out.
    """
    done = folder / DONE
    if done.exists():
        return Dataset(folder)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    owners = contacts.select("contact_id", "stay_id")
    for number, shard in enumerate(dataset.shards):
        read = dataset.events(shard).filter(~pl.col("code").is_in(list(unread))).collect()
        events = hold_back(read, owners, stays, prefixes)
        in_event_order(_rolled_up(events, prefixes, levels, ontology)).write_parquet(
            folder / "data" / f"{number}.parquet", compression="zstd", compression_level=1
        )
    contacts_file = dataset.path / "contacts.parquet"
    if contacts_file.exists():
        shutil.copyfile(contacts_file, folder / "contacts.parquet")
    done.write_text("held back\n", "ascii")
    return Dataset(folder)


def _rolled_up(
    events: pl.DataFrame, prefixes: tuple[str, ...], levels: dict[str, str], ontology: Ontology
) -> pl.DataFrame:
    """Events with held-back codes as their groups, where they belong to one."""
    held = events.filter(_begins_with(prefixes))["code"].unique().sort()
    groups = groups_of(held, levels, ontology)
    return (
        events.join(groups, on="code", how="left")
        .with_columns(code=pl.coalesce("concept", "code"))
        .select(EVENTS.names())
    )


def groups_of(codes: pl.Series, levels: dict[str, str], ontology: Ontology) -> pl.DataFrame:
    """Code and concept of the codes that belong to a group, sorted by code."""
    found = pl.DataFrame({"code": codes}, schema={"code": pl.String()})
    rolled = [
        ontology.roll_up(found["code"], f"{system}//{level}").rename(f"_{number}")
        for number, (system, level) in enumerate(levels.items())
        if level in ontology.levels(system)
    ]
    if not rolled:
        return found.clear().with_columns(concept=pl.lit(None, pl.String))
    names = [one.name for one in rolled]
    return (
        found.with_columns(rolled)
        .select("code", concept=pl.coalesce(names))
        .drop_nulls()
        .unique("code")
        .sort("code")
    )


def _begins_with(prefixes: tuple[str, ...]) -> pl.Expr:
    return pl.any_horizontal([pl.lit(value=False), *(pl.col("code").str.starts_with(p) for p in prefixes)])
