"""What became of every source row: used, ignored by a rule, or rejected for a reason; the sums close."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ontology.errors import Problem, RejectsError
from phenotype.trajectory import REJECTED

NO_OUTPUT = "no output takes it"
FAULTS_SHOWN = 20


class Ledger:
    """The fate of the rows of one frame.

    A row that became anything counts as used, whatever else was wrong with it; a wrong field of such a row is
    recorded and counted as a rejected field. A row that became nothing is rejected where any field of it was,
    for the first reason met, and is ignored otherwise, under the first rule that said so.

    Args:
        file_no: which file each row is from (index among the table's files).
        row: its number in the file, from 1.
        of_records: whether rows that share a number are one record, which counts once.
    """

    def __init__(self, file_no: pl.Series, row: pl.Series, *, of_records: bool = False) -> None:
        self.file_no = file_no.to_numpy()
        self.row = row
        self._of_records = of_records
        self.is_used = np.zeros(file_no.len(), dtype=bool)
        self._reason = np.zeros(file_no.len(), dtype=np.int32)
        self._rule = np.zeros(file_no.len(), dtype=np.int32)
        self._names: list[str] = [NO_OUTPUT]
        self._faults: list[pl.DataFrame] = []

    def use(self, index: pl.Series) -> None:
        """These rows (positions in the frame) became something."""
        self.is_used[index.to_numpy()] = True

    def ignore(self, index: pl.Series, rule: str) -> None:
        """A rule passes these rows over."""
        self._mark(self._rule, index, rule)

    def reject(self, index: pl.Series, fieldname: str, reason: str) -> None:
        """A field of these rows is wrong; rows may repeat."""
        if index.len():
            self._mark(self._reason, index, reason)
            fault = pl.DataFrame({"_index": index.cast(pl.UInt32)}).unique()
            self._faults.append(fault.with_columns(field=pl.lit(fieldname), reason=pl.lit(reason)))

    def _mark(self, marks: np.ndarray[Any, np.dtype[np.int32]], index: pl.Series, name: str) -> None:
        if not index.len():
            return
        if name not in self._names:
            self._names.append(name)
        positions = index.to_numpy()
        unmarked = positions[marks[positions] == 0]
        marks[unmarked] = self._names.index(name)

    def faults(self) -> pl.DataFrame:
        """Rejected fields: _index, field, reason, each once, in row order."""
        schema = {"_index": pl.UInt32, "field": pl.String, "reason": pl.String}
        given = pl.concat([pl.DataFrame(schema=schema), *self._faults])
        return given.unique(maintain_order=True).sort("_index", maintain_order=True)

    def tally(self, n_files: int) -> list[FileTally]:
        """The counts of each file of the table."""
        if self._of_records and self._repeats_numbers():
            return self._tally_records(n_files)
        if self.is_used.all() and not self._faults:
            counts = np.bincount(self.file_no, minlength=n_files).tolist()
            return [FileTally(n_read=count, n_used=count) for count in counts]
        tallies = [FileTally() for _ in range(n_files)]
        is_rejected = ~self.is_used & (self._reason > 0)
        fates = pl.DataFrame(
            {
                "file": self.file_no,
                "is_used": self.is_used,
                "is_rejected": is_rejected,
                "name": np.where(self.is_used, 0, np.where(is_rejected, self._reason, self._rule)),
            }
        )
        for file, is_used, is_reject, name, count in (
            fates.group_by(fates.columns).len().sort(fates.columns).iter_rows()
        ):
            tallies[file].n_read += count
            if is_used:
                tallies[file].n_used += count
            else:
                counter = tallies[file].rejected if is_reject else tallies[file].ignored
                counter[self._names[name]] += count
        faults = self.faults()
        on_used = faults.filter(pl.Series(self.is_used[faults["_index"].to_numpy()], dtype=pl.Boolean))
        for index, reason in on_used.select("_index", "reason").iter_rows():
            tallies[self.file_no[index]].fields_rejected[reason] += 1
        return tallies

    def _repeats_numbers(self) -> bool:
        numbers = pl.DataFrame({"file": self.file_no, "row": self.row})
        return numbers.n_unique() < numbers.height

    def _tally_records(self, n_files: int) -> list[FileTally]:
        """The counts where several rows may be one record: used if any is, else rejected if any is."""
        tallies = [FileTally() for _ in range(n_files)]
        rows = pl.DataFrame({"file": self.file_no, "row": self.row, "is_used": self.is_used})
        if self.is_used.all() and not self._faults:
            for file, count in rows.group_by("file").agg(pl.col("row").n_unique()).iter_rows():
                tallies[file] = FileTally(n_read=count, n_used=count)
            return tallies
        rows = rows.with_columns(reason=pl.Series(self._reason), rule=pl.Series(self._rule))
        first_reason = pl.col("reason").filter(pl.col("reason") > 0).first().fill_null(0)
        records = rows.group_by("file", "row", maintain_order=True).agg(
            pl.col("is_used").any(), first_reason, pl.col("rule").max()
        )
        fates = ["file", "is_used", "reason", "rule"]
        for file, is_used, reason, rule, count in records.group_by(fates).len().sort(fates).iter_rows():
            tally = tallies[file]
            tally.n_read += count
            if is_used:
                tally.n_used += count
            else:
                counter = tally.rejected if reason else tally.ignored
                counter[self._names[reason or rule]] += count
        faults = self.faults()
        if faults.height:
            numbered = rows.select("file", "row").with_row_index("_index")
            told = faults.join(numbered, on="_index", how="left").join(
                records.select("file", "row", "is_used"), on=["file", "row"], how="left"
            )
            of_used = told.filter("is_used").unique(["file", "row", "field", "reason"])
            for file, reason, count in of_used.group_by("file", "reason").len().iter_rows():
                tallies[file].fields_rejected[reason] += count
        return tallies

    def rejected(self) -> pl.DataFrame:
        """Columns _file_no, row, field, reason: one row for each rejected field of a row or record."""
        faults = self.faults()
        index = faults["_index"]
        told = faults.select(
            pl.Series("_file_no", self.file_no[index.to_numpy()], dtype=pl.UInt32),
            pl.Series("row", self.row.gather(index)),
            "field",
            "reason",
        )
        return told.unique(maintain_order=True) if self._of_records else told


@dataclass
class FileTally:
    """The counts of one file.

    Attributes:
        n_read, n_used: rows read, and rows that became something.
        ignored, rejected: rows by rule and by reason.
        fields_rejected: wrong fields of used rows, by reason; they are no rows of their own.
    """

    n_read: int = 0
    n_used: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    fields_rejected: Counter[str] = field(default_factory=Counter)

    def add(self, other: FileTally) -> None:
        """Take another frame of the same file in."""
        self.n_read += other.n_read
        self.n_used += other.n_used
        self.ignored += other.ignored
        self.rejected += other.rejected
        self.fields_rejected += other.fields_rejected

    @property
    def is_closed(self) -> bool:
        """Whether every row is accounted for."""
        return self.n_read == self.n_used + self.ignored.total() + self.rejected.total()


@dataclass
class IngestAccount:
    """What became of every row of every file.

    Attributes:
        mapping: the mapping's name.
        files: the tally of each file, by table and label.
        totals: events, contacts, codings, windows, subjects and the like that were written.
        not_read: files under the input that no table reads: how many of each shape of name.
        rejected: columns of REJECTED.
        notes: what a record reader says beside the account: how often, by topic and text.
    """

    mapping: str
    files: dict[tuple[str, str], FileTally] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    not_read: dict[str, int] = field(default_factory=dict)
    rejected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTED))
    notes: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def n_read(self) -> int:
        """Rows read in all files."""
        return sum(tally.n_read for tally in self.files.values())

    @property
    def n_rejected(self) -> int:
        """Rows rejected in all files."""
        return sum(tally.rejected.total() for tally in self.files.values())

    @property
    def is_closed(self) -> bool:
        """Whether every row of every file is accounted for."""
        return all(tally.is_closed for tally in self.files.values())

    def check_rejects(self, max_share: float) -> None:
        """Stop where too much was rejected.

        Raises:
            RejectsError: with one problem for each table and reason.
        """
        if self.n_rejected <= max_share * self.n_read:
            return
        counts: Counter[tuple[str, str]] = Counter()
        for (table, _), tally in self.files.items():
            for reason, count in tally.rejected.items():
                counts[table, reason] += count
        share = f"{self.n_rejected:,} of {self.n_read:,} rows rejected ({self.n_rejected / self.n_read:.2%})"
        problems = [
            Problem(reason, f"table {table}", f"{count:,} rows")
            for (table, reason), count in counts.most_common(FAULTS_SHOWN)
        ]
        advice = "see the rows (--quarantine keeps them); mend source or mapping, or raise max_reject_share"
        raise RejectsError(
            [
                Problem(
                    "too many rows were rejected", self.mapping, share, f"at most {max_share:.2%}", advice
                ),
                *problems,
            ]
        )

    def content(self) -> dict[str, Any]:
        """The account as ingest.json has it."""
        return {
            "mapping": self.mapping,
            "totals": self.totals,
            "files": [_file_json(table, label, tally) for (table, label), tally in self.files.items()],
            "files_not_read": self.not_read,
            **({"notes": self.notes} if self.notes else {}),
        }


def add_fates(account: IngestAccount, fates: pl.DataFrame, labels: Sequence[str]) -> None:
    """Enter records that never became rows, and wrong fields of those that did.

    Args:
        account: changed.
        fates: columns of FATES with _file_no.
        labels: of the files, by number.
    """
    kinds = {"ignored": "ignored", "rejected": "rejected", "field": "fields_rejected"}
    once = fates.unique(["_file_no", "table", "_row", "fate", "reason"], maintain_order=True)
    is_ended = pl.col("fate") != "field"
    ended = once.filter(is_ended).unique(["_file_no", "table", "_row"], keep="first", maintain_order=True)
    told = pl.concat([ended, once.filter(~is_ended)])
    keys = ["_file_no", "table", "fate", "reason"]
    for number, table, fate, reason, count in told.group_by(keys).len().sort(keys).iter_rows():
        tally = account.files.setdefault((table, labels[number]), FileTally())
        getattr(tally, kinds[fate])[reason] += count
        tally.n_read += count if fate != "field" else 0


def _file_json(table: str, label: str, tally: FileTally) -> dict[str, Any]:
    return {
        "table": table,
        "file": label,
        "rows_read": tally.n_read,
        "rows_used": tally.n_used,
        "rows_ignored": dict(sorted(tally.ignored.items())),
        "rows_rejected": dict(sorted(tally.rejected.items())),
        "fields_rejected": dict(sorted(tally.fields_rejected.items())),
    }


def merge(tallies: Sequence[FileTally], more: Sequence[FileTally]) -> None:
    """Add one frame's tallies to the table's."""
    for tally, other in zip(tallies, more, strict=True):
        tally.add(other)
