"""Which units an episode names: one column for each type of unit, the unit it counts for, intensive care."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.sources.npr.batch import Columns
from pipelines.sources.npr.checks import Findings
from pipelines.sources.npr.options import NprOptions
from pipelines.sources.npr.valuesets import UNIT_TYPES

UNIT_COLUMNS = ("enhet", "intensiv", *UNIT_TYPES.values())


def unit_columns(columns: Columns, findings: Findings, options: NprOptions) -> dict[str, pl.Series]:
    """UNIT_COLUMNS of each episode: a unit by its local name, or by its number where it has none.

    Args:
        columns: the batch.
        findings: which references are wrong.
        options: which types of unit go before others, and which units are intensive care.
    """
    n = columns.height("Episode")
    references = _references(columns, findings, options)
    found = {}
    for number, name in UNIT_TYPES.items():
        of_type = references.filter(pl.col("typeEnhet") == number)
        cells = pl.Series(name, [None], dtype=pl.String).new_from_index(0, n)
        found[name] = cells.scatter(of_type["_episode"], of_type["unit"]) if of_type.height else cells
    best = pl.coalesce(*(UNIT_TYPES[number] for number in options.unit_types))
    found["enhet"] = pl.DataFrame(found).select(best.alias("enhet")).to_series()
    intensive = np.full(n, None, dtype=object)
    intensive[references.filter("is_intensive")["_episode"].to_numpy()] = "1"
    found["intensiv"] = pl.Series("intensiv", intensive.tolist(), dtype=pl.String)
    return {name: found[name] for name in UNIT_COLUMNS}


def _references(columns: Columns, findings: Findings, options: NprOptions) -> pl.DataFrame:
    """Of each episode and type of unit the first reference: _episode, typeEnhet, unit, is_intensive."""
    units = columns.frames["Enhet"].with_columns(
        _institution=pl.Series(columns.up("Enhet", "Institusjon"), dtype=pl.Int64)
    )
    is_good = pl.Series(~findings.is_bad["Enhet"], dtype=pl.Boolean)
    units = units.filter(is_good).unique(["_institution", "enhetID"], keep="first", maintain_order=True)
    references = columns.frames["RefEnhet"].with_columns(
        _episode=pl.Series(columns.up("RefEnhet", "Episode"), dtype=pl.Int64),
        _institution=pl.Series(columns.up("RefEnhet", "Institusjon"), dtype=pl.Int64),
    )
    references = references.drop_nulls(["enhetID", "typeEnhet"])
    references = references.join(units, on=["_institution", "enhetID"], how="left", maintain_order="left")
    names = [
        pl.col(name).is_in(list(options.intensive_units)) for name in ("enhetLokal", "reshID", "enhetID")
    ]
    return references.select(
        "_episode",
        "typeEnhet",
        unit=pl.coalesce("enhetLokal", "enhetID"),
        is_intensive=pl.any_horizontal(names).fill_null(value=False),
    ).unique(["_episode", "typeEnhet"], keep="first", maintain_order=True)
