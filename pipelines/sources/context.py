"""What the tables of one ingest share: the mapping, pseudonyms, lookups, known subjects and their births."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from phenotype.trajectory import INSTANT
from pipelines.identity import Pseudonyms
from pipelines.identity.guard import Guard
from pipelines.identity.policy import IdentityPolicy, load_policy
from pipelines.sources.accounting import Ledger
from pipelines.sources.cells import texts
from pipelines.sources.fields import TextCase
from pipelines.sources.mapping import Mapping
from pipelines.sources.times import Clock

NO_SUBJECT = "no subject"
UNKNOWN_SUBJECT = "unknown subject"
BEFORE_BIRTH = "time before birth"
NO_TIME = "no time"


@dataclass
class Context:
    """State of one ingest.

    Attributes:
        mapping: the source.
        pseudonyms: of its ids.
        policy: what the dataset may tell of a person.
        guard: applies the policy to all that is written.
        lookups: prepared rows of tables that others join, by table.
        partners: those rows as one join of the mapping looks for them, by the join's identity.
        subjects: the source ids of known subjects; None where the mapping lists none.
        births: subject_id, birth_time: the earliest birth of each subject.
        n_lineage: how many lineage ids have been given out.
        counts: whatever else ingest.json should say.
    """

    mapping: Mapping
    pseudonyms: Pseudonyms
    policy: IdentityPolicy = field(default_factory=load_policy)
    guard: Guard = field(init=False)
    lookups: dict[str, pl.DataFrame] = field(default_factory=dict)
    partners: dict[int, pl.DataFrame] = field(default_factory=dict)
    subjects: pl.Series | None = None
    births: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"subject_id": pl.Int64, "birth_time": INSTANT})
    )
    n_lineage: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        is_nominal = self.mapping.nominal_anchor is not None
        self.guard = Guard(self.policy, self.pseudonyms, is_nominal=is_nominal)

    @property
    def clock(self) -> Clock:
        """What holds for all times."""
        anchor = self.mapping.nominal_anchor
        return Clock(anchor.replace(tzinfo=None) if anchor else None, self.mapping.time_zone)

    def with_subjects(
        self, rows: pl.DataFrame, cases: tuple[TextCase, ...], ledger: Ledger, where: str
    ) -> pl.DataFrame:
        """The rows that have a known subject, with `_subject`; the others are rejected."""
        ids = texts(rows, cases)
        reasons = [(ids.is_null(), NO_SUBJECT)]
        if self.subjects is not None:
            reasons.append((ids.is_not_null() & ~ids.is_in(self.subjects.implode()), UNKNOWN_SUBJECT))
        rows = rows.with_columns(self.pseudonyms.of("subject", ids).alias("_subject"))
        keep = pl.repeat(value=True, n=rows.height, dtype=pl.Boolean, eager=True)
        for is_wrong, reason in reasons:
            if is_wrong.any():
                ledger.reject(rows["_index"].filter(is_wrong), where, reason)
                keep &= ~is_wrong
        return rows if keep.all() else rows.filter(keep)

    def is_before_birth(self, subjects: pl.Series, times: pl.Series) -> pl.Series | None:
        """Which times lie before their subject's birth; None where no birth is known."""
        if not self.births.height:
            return None
        pairs = pl.DataFrame({"subject_id": subjects, "time": times})
        joined = pairs.join(self.births, on="subject_id", how="left", maintain_order="left")
        return (joined["time"] < joined["birth_time"]).fill_null(value=False)

    def lineage_ids(self, n_rows: int) -> pl.Series:
        """The next lineage ids, in order."""
        ids = pl.int_range(self.n_lineage, self.n_lineage + n_rows, dtype=pl.Int64, eager=True)
        self.n_lineage += n_rows
        return ids
