"""What else came of training rows after the prediction, as targets that are learnt beside the task.

Shapes: n row, K auxiliary target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.cases import Cases
from phenotype.contacts import join_stays, stays
from phenotype.networks.config import AuxiliaryTarget
from phenotype.past import PastDataset
from phenotype.trajectory import Dataset

Days = npt.NDArray[np.float64]
STAY_END = "stay_end"
_NEVER = np.inf
_MICROSECONDS_PER_DAY = 86400e6


def auxiliary_targets(cases: Cases, wanted: Sequence[AuxiliaryTarget]) -> npt.NDArray[np.float32]:
    """1 where it came within its days of the prediction, 0 where it did not, NaN where that is unknown.

    What no record tells did not come: these targets shape what a network learns to see, nobody is told
    their risk. A stay that ends in death does not end alive; without a stay, or while its end is unknown,
    nothing is known of its end. Of a dataset as it was known at an instant (`phenotype.past`) nothing later
    counts: what had not come then, and could still come within its days, is unknown.

    Args:
        cases: training rows alone; their patients' later records are read.
        wanted: K targets.

    Returns:
        (n, K) in the order of `cases.rows`.
    """
    found = np.full((cases.rows.height, len(wanted)), np.nan, dtype=np.float32)
    seen = _days_seen(cases)
    days: dict[str, tuple[Days, Days]] = {}
    for number, target in enumerate(wanted):
        if target.code not in days:
            days[target.code] = _stay_end(cases) if target.code == STAY_END else _first(cases, target.code)
        until, settled = days[target.code]
        told = np.where(
            settled < seen, until <= target.within_days, np.where(target.within_days < seen, 0, np.nan)
        )
        found[:, number] = np.where(np.isnan(until), np.nan, told)
    return found


def _days_seen(cases: Cases) -> Days:
    """Days from each prediction until which the dataset tells what came, infinite where it tells all."""
    if not isinstance(cases.dataset, PastDataset):
        return np.full(cases.rows.height, np.inf)
    ends = pl.repeat(cases.dataset.known_before, cases.rows.height, dtype=pl.Datetime("us"), eager=True)
    return _days(cases.rows["prediction_time"], ends, np.inf)


def _first(cases: Cases, prefix: str) -> tuple[Days, Days]:
    """Days from each prediction to the first later event whose code begins so, infinite without; twice.

    The answer is settled when it comes.
    """
    events = (
        cases.dataset.events()
        .filter(pl.col("code").str.starts_with(prefix) & pl.col("time").is_not_null())
        .join(cases.rows.select("subject_id").unique().lazy(), on="subject_id", how="semi")
        .select("subject_id", pl.col("time").cast(pl.Datetime("us")))
        .unique()
        .collect(engine="in-memory")
        .sort("time")
    )
    asked = cases.rows.select("subject_id", pl.col("prediction_time").cast(pl.Datetime("us")))
    after = (
        asked.with_row_index("row")
        .sort("prediction_time")
        .join_asof(
            events,
            left_on="prediction_time",
            right_on="time",
            by="subject_id",
            strategy="forward",
            check_sortedness=False,
        )
        .sort("row")
    )
    until = _days(after["prediction_time"], after["time"], _NEVER)
    return until, until


def _stay_end(cases: Cases) -> tuple[Days, Days]:
    """Days from each prediction to the end of its stay, infinite if by death; and to the end, however it was.

    NaN where unknown. Of a stay that had not ended when the dataset was known, that alone is used.
    """
    contacts = join_stays(Dataset(cases.dataset.path).contacts())
    ends = stays(contacts).select("stay_id", "end_time", "is_dead")
    stay = contacts.select("contact_id", "stay_id").join(ends, on="stay_id", how="left")
    rows = cases.rows.join(stay.unique("contact_id"), on="contact_id", how="left", maintain_order="left")
    until = _days(rows["prediction_time"], rows["end_time"], np.nan)
    return np.where(rows["is_dead"].fill_null(value=False).to_numpy(), _NEVER, until), until


def _days(since: pl.Series, until: pl.Series, nothing: float) -> Days:
    """Days between instants, `nothing` where the later one is null."""
    later, earlier = (instants.cast(pl.Datetime("us")).cast(pl.Int64) for instants in (until, since))
    days = (later - earlier).cast(pl.Float64) / _MICROSECONDS_PER_DAY
    return np.asarray(days.fill_null(nothing).to_numpy(), dtype=np.float64)
