"""The events of all sources, shard by shard: one source after the other joined to those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phenotype.event_order import in_event_order
from phenotype.trajectory import EVENTS, INSTANT
from phenotype.writing import ROWS_HELD
from pipelines.joining.account import JoinAccount
from pipelines.joining.conflicts import CONFLICTS
from pipelines.joining.contacts import with_joined_ids
from pipelines.joining.events import join_events
from pipelines.joining.lineage import settled, with_settled_ids
from pipelines.joining.lives import is_life, settle_lives, several_of_one
from pipelines.joining.parts import Source
from pipelines.joining.rule import JoinRule


@dataclass(frozen=True)
class JoinedShard:
    """What the events of one shard have become.

    Attributes:
        events: columns of EVENTS.
        moved: old, new: lineage ids that moved, settled.
        conflicts: columns of CONFLICTS.
    """

    events: pl.DataFrame
    moved: pl.DataFrame
    conflicts: pl.DataFrame


class Shards:
    """Reads every source once, split by subject, so that each shard of the join fits in memory.

    Args:
        sources: in canonical order.
        offsets: added to their lineage ids.
        ids: columns of contacts.IDS: contacts that are called otherwise now.
        n_shards: of the joined dataset.
        work: a private folder for what is split.

    Attributes:
        n_events, n_subjects: of each source.
        n_unlinked: events that named a contact that was left out, being another subject's.
    """

    def __init__(
        self, sources: Sequence[Source], offsets: Sequence[int], ids: pl.DataFrame, n_shards: int, work: Path
    ) -> None:
        self._sources = sources
        self._n_shards = n_shards
        self._work = work
        self.n_events = [0] * len(sources)
        self.n_subjects = [0] * len(sources)
        self.n_unlinked = 0
        for number, offset in enumerate(offsets):
            self._split(number, offset, ids.filter(pl.col("part") == number).drop("part"))

    def _split(self, number: int, offset: int, ids: pl.DataFrame) -> None:
        """One source's events, under the ids of the join, in one folder a shard."""
        dataset = self._sources[number].dataset
        for place, shard in enumerate(dataset.shards):
            n_rows = pl.scan_parquet(shard).select(pl.len()).collect().item()
            for start in range(0, n_rows, ROWS_HELD):
                events = dataset.events(shard).slice(start, ROWS_HELD).collect()
                self.n_events[number] += events.height
                events = events.with_columns(
                    pl.col("lineage_id") + offset, _shard=pl.col("subject_id") % self._n_shards
                )
                told = with_joined_ids(events, ids)
                self.n_unlinked += told["contact_id"].null_count() - events["contact_id"].null_count()
                for (key,), part in told.partition_by("_shard", as_dict=True, include_key=False).items():
                    file = self._work / f"{key}-{number}-{place}-{start}.parquet"
                    part.write_parquet(file, compression="lz4")

    def read(self, shard: int) -> Iterator[pl.DataFrame]:
        """The events of each source that belong to a shard, columns of EVENTS, in canonical order."""
        for number in range(len(self._sources)):
            files = sorted(self._work.glob(f"{shard}-{number}-*.parquet"))
            parts = [pl.read_parquet(file) for file in files]
            events = in_event_order(pl.concat([pl.DataFrame(schema=EVENTS), *parts]))
            self.n_subjects[number] += events["subject_id"].n_unique()
            yield events
            for file in files:
                file.unlink()


def join_shard(
    given: Sequence[tuple[str, pl.DataFrame]], rule: JoinRule, account: JoinAccount, *, ages_are_capped: bool
) -> JoinedShard:
    """The events of one shard of all sources, those that are one fact as one.

    Args:
        given: of each source its name and its events.
        rule: when facts are one.
        account: told of what became of them.
        ages_are_capped: whether the sources made the ages of the old one group.
    """
    joined = pl.DataFrame(schema={**EVENTS, "_source": pl.String})
    moved, conflicts, lives = [], [pl.DataFrame(schema=CONFLICTS)], []
    for number, (source, events) in enumerate(given):
        named = events.with_columns(_source=pl.lit(source))
        lives.append(named.filter(is_life()).with_columns(_part=pl.lit(number)))
        rest = named.filter(~is_life().fill_null(value=False))
        in_order = in_event_order(joined) if number > 1 else joined
        step = join_events(in_order, rest, rule)
        joined = step.events
        account.n_same_events += step.n_same
        moved.append(step.moved)
        conflicts.append(step.conflicts)
    first = joined.group_by("subject_id").agg(first_time=pl.col("time").min().cast(INSTANT))
    settled_lives = settle_lives(pl.concat(lives), first, ages_are_capped=ages_are_capped)
    account.n_same_events += settled_lives.n_same
    account.n_dropped_lives += settled_lives.n_dropped
    conflicts += [settled_lives.conflicts, several_of_one(joined, rule.one_per_subject)]
    moves = settled([*moved, settled_lives.moved])
    whole = pl.concat([joined, settled_lives.events]).select(EVENTS.names())
    subjects = pl.concat([events.select(pl.col("subject_id").unique()) for _, events in given])
    account.n_subjects += subjects["subject_id"].n_unique()
    of_several = subjects.filter(pl.col("subject_id").is_duplicated())
    account.n_subjects_of_several += of_several["subject_id"].n_unique()
    return JoinedShard(with_settled_ids(whole, moves), moves, pl.concat(conflicts))
