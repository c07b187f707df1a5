"""How a dataset uses the code systems: its codes as they are found among the lists, and on which days."""

from __future__ import annotations

import polars as pl

from ontology.normalising import normalise
from ontology.systems import SYSTEMS
from ontology.terminology import Ontology
from ontology.validity import valid_on
from phenotype.trajectory import Dataset

USE = pl.Schema(
    {
        "system": pl.String(),
        "n_codes": pl.UInt32(),
        "n_exact": pl.UInt32(),
        "n_respelled": pl.UInt32(),
        "n_nearest_parent": pl.UInt32(),
        "n_not_found": pl.UInt32(),
        "n_events": pl.UInt32(),
        "n_events_not_found": pl.UInt32(),
        "n_events_outside_years": pl.UInt32(),
        "n_events_not_judgeable": pl.UInt32(),
    }
)
"""How a dataset uses one code system: its distinct codes by how they are found, and its events."""

CODE_USE = pl.Schema(
    {
        "code": pl.String(),
        "concept": pl.String(),
        "how": pl.String(),
        "n_events": pl.UInt32(),
        "n_events_outside_years": pl.UInt32(),
        "n_events_not_judgeable": pl.UInt32(),
    }
)
"""How a dataset uses one code; `how` as in ontology.normalising."""


def code_use(ontology: Ontology, dataset: Dataset) -> pl.DataFrame:
    """How often a dataset uses each code of a code system, and how the code is found among the lists.

    Args:
        ontology: the lists.
        dataset: its events are counted; those without a time are not judged by date.

    Returns:
        Columns of CODE_USE, sorted by code; codes without a code system of ontology.systems are left out.
    """
    system = pl.col("code").str.extract("^(.*?)//")
    used = (
        dataset.events()
        .filter(system.is_in(list(SYSTEMS)))
        .group_by("code", day=pl.col("time").dt.date())
        .agg(n=pl.len())
        .collect()
    )
    state = valid_on(ontology, used["code"], used["day"])
    counts = (
        used.with_columns(state=state)
        .group_by("code")
        .agg(
            n_events=pl.col("n").sum(),
            n_events_outside_years=pl.col("n").filter(pl.col("state") == "not_valid").sum(),
            n_events_not_judgeable=pl.col("n").filter(pl.col("state") == "not_judgeable").sum(),
        )
    )
    found = normalise(used["code"], ontology).rename({"sent": "code"})
    told = counts.join(found, on="code").sort("code")
    return told.select(pl.col(name).cast(dtype) for name, dtype in CODE_USE.items())


def system_use(codes: pl.DataFrame) -> pl.DataFrame:
    """The same by code system.

    Args:
        codes: columns of CODE_USE.

    Returns:
        Columns of USE, sorted by system.
    """
    kinds = ("exact", "respelled", "nearest_parent", "not_found")
    told = codes.group_by(system=pl.col("code").str.extract("^(.*?)//")).agg(
        pl.len().alias("n_codes"),
        *((pl.col("how") == kind).sum().alias(f"n_{kind}") for kind in kinds),
        pl.col("n_events").sum(),
        pl.col("n_events").filter(pl.col("how") == "not_found").sum().alias("n_events_not_found"),
        pl.col("n_events_outside_years", "n_events_not_judgeable").sum(),
    )
    return told.select(pl.col(name).cast(dtype) for name, dtype in USE.items()).sort("system")
