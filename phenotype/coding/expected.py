"""Predicted held against coded: findings of what is missing, unsupported, wrongly main, or too unspecific."""

from __future__ import annotations

import polars as pl

EXPECTED = pl.Schema(
    {
        "stay_id": pl.Int64(),
        "subject_id": pl.Int64(),
        "unit": pl.String(),
        "year": pl.Int32(),
        "fold": pl.Int32(),
        "concept": pl.String(),
        "probability": pl.Float64(),
        "probability_main": pl.Float64(),
        "probability_other": pl.Float64(),
        "probability_trees": pl.Float64(),
        "probability_network": pl.Float64(),
        "is_coded": pl.Boolean(),
        "is_main": pl.Boolean(),
    }
)
"""One row a judged stay and group of codes; unit and year are those of the contact that ended last.
probability: that the stay is coded with the group, by the trees and, where it was trained, the network, out of
fold by patient and calibrated; probability_main: as a main condition; probability_other: as another one, where
it is not the main one. is_coded: whether it is; is_main: whether a contact of the stay has it as the main one."""
