"""What the events of a MEDS folder cannot say (own columns, code metadata, splits) is taken along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import InputError, Problem
from phenotype.trajectory import EVENTS
from pipelines.identity.policy import SHIFTED
from pipelines.identity.scrubbing import scrub_text
from pipelines.sources.context import Context
from pipelines.sources.tables import find_files

SOURCE_COLUMNS = "source_columns"
"""Folder of a dataset with its source's own columns: <shard>-<part>.parquet, one row a lineage_id."""
SENT_MARK = "sent:"
"""Before the name of a column of EVENTS: whether the row's cell as sent is here."""
SOURCE_METADATA = "source_dataset.json"
ROWS_A_PART = 2_000_000
_SUBJECTS = ("subject_id", "patient_id")
_INSTANTS = ("time", "known_time")
_LINEAGE = "lineage_id"
"""Of a dataset of Pesta's, it names rows of that dataset's lineage; the new dataset has its own."""
_TABLE = "events"
_TAKEN_OVER = ("dataset_name", "dataset_version", "license", "title", "nominal_anchor")


def take_along(input_path: Path, folder: Path, context: Context, *, keep_ids: bool = False) -> dict[str, int]:
    """Write into a dataset what its MEDS source has beside the events' own columns.

    `source_columns/` holds columns that MEDS does not know, and those of MEDS where a cell was sent otherwise
    than events hold it (NaN, empty text). `metadata/codes.parquet` takes descriptions, parent codes and
    further columns of the source's; `metadata/subject_splits.parquet` its splits under the dataset's subject
    ids; `metadata/source_dataset.json` what it said of itself, of which dataset.json takes name, version,
    licence, and whether times are nominal or shifted. Windows of observation are the source's alone where it
    has a table of them.

    Unless ids are kept, columns that hold ids are left out (those that the source's metadata name, and names
    that end in _id); where the policy changes dates or ages, dates and cells as sent are left out as well.

    Args:
        input_path: the MEDS folder, or the one file of events.
        folder: the dataset, whole but for this.
        context: of the ingest: mapping, pseudonyms, policy and gate.
        keep_ids: whether the source's ids are kept as they are.

    Returns:
        How many events have columns of the source's own, which columns were left out, how many windows there
        are: for ingest.json.

    Raises:
        InputError: metadata or a table beside the events cannot be read.
    """
    metadata = _metadata(input_path)
    counts = _columns_taken(input_path, folder, context, _left_out(metadata, context, keep_ids=keep_ids))
    codes = _table(input_path, "metadata/codes.parquet", "code")
    if codes is not None:
        _take_codes(codes, folder / "metadata" / "codes.parquet", context)
    splits = _table(input_path, "metadata/subject_splits.parquet", "subject_id")
    if splits is not None:
        _take_splits(splits, folder / "metadata", context)
    if metadata:
        _take_metadata(context.guard.gate.content(metadata), folder / "metadata")
    windows = _table(input_path, "observation.parquet", "subject_id")
    if windows is not None:
        counts["observation_windows"] = _keep_given_windows(windows, folder, context)
    return counts


def _metadata(input_path: Path) -> dict[str, Any]:
    file = input_path / "metadata" / "dataset.json"
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise _unreadable("metadata/dataset.json", "a JSON object")
    return content


def _table(input_path: Path, name: str, column: str) -> pl.DataFrame | None:
    """A Parquet table beside the events; None where it is not there."""
    file = input_path / name
    if not file.is_file():
        return None
    try:
        table = pl.read_parquet(file)
    except pl.exceptions.PolarsError:
        table = pl.DataFrame()
    if not {column, *(_SUBJECTS if column in _SUBJECTS else ())} & set(table.columns):
        raise _unreadable(name, f"a whole Parquet file with a column {column}")
    return table


def _unreadable(name: str, allowed: str) -> InputError:
    return InputError(
        Problem("a file of the MEDS folder cannot be read", name, allowed=allowed, next_step="fetch it again")
    )


def _take_metadata(told: dict[str, Any], target: Path) -> None:
    """Keep what the source said of itself; what also holds of the dataset goes into dataset.json."""
    file = target / "dataset.json"
    ours = json.loads(file.read_text("utf-8"))
    taken = {name: told[name] for name in _TAKEN_OVER if told.get(name)}
    if told.get("dates") == SHIFTED:
        taken["dates"] = SHIFTED
    for path, content in ((file, ours | taken), (target / SOURCE_METADATA, told)):
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _left_out(metadata: dict[str, Any], context: Context, *, keep_ids: bool) -> Any:
    """A test of (name, type): whether a column of the source must not be taken along."""
    named = set() if keep_ids else {*(metadata.get("raw_source_id_columns") or ())}
    changes = context.policy.date_shift is not None or context.policy.oldest_age is not None

    def is_left_out(name: str, dtype: pl.DataType) -> bool:
        is_id = not keep_ids and (name in named or name.lower().endswith("_id"))
        return is_id or (changes and (dtype.is_temporal() or name in EVENTS))

    return is_left_out


def _columns_taken(input_path: Path, folder: Path, context: Context, is_left_out: Any) -> dict[str, int]:
    """Write source_columns/, file by file; how many events have any, and columns that were left out."""
    n_shards = len(list((folder / "data").glob("*.parquet")))
    known = _contacts_known(input_path)
    counts: dict[str, int] = {}
    n_parts = 0
    for path in find_files(context.mapping.tables[_TABLE], input_path):
        schema = pl.read_parquet_schema(path)
        subject = next(name for name in _SUBJECTS if name in schema)
        for name, dtype in schema.items():
            if name not in EVENTS and name not in _SUBJECTS and is_left_out(name, dtype):
                counts[f"column_left_out: {name}"] = counts.get(f"column_left_out: {name}", 0) + 1
        names = [
            name
            for name, dtype in schema.items()
            if name not in {subject, _LINEAGE} and not is_left_out(name, dtype)
        ]
        label = path.relative_to(input_path).as_posix() if input_path.is_dir() else path.name
        lineage = _lineage_of(folder, scrub_text(label))
        for rows in _parts(path, [subject, *names]):
            kept = [name for name in names if name not in EVENTS or _is_sent_otherwise(name, rows, known)]
            if not kept:
                continue
            with_ids = rows.join(lineage, left_on="_row", right_on="row", how="inner", maintain_order="left")
            subjects = context.pseudonyms.of("subject", with_ids[subject].cast(pl.String))
            marks = (pl.lit(value=True).alias(SENT_MARK + name) for name in kept if name in EVENTS)
            taken = context.guard.words(with_ids.select(_LINEAGE, *kept, *marks))
            counts["events_with_columns_of_their_source"] = (
                counts.get("events_with_columns_of_their_source", 0) + taken.height
            )
            _write_parts(folder / SOURCE_COLUMNS, taken, subjects % n_shards, n_parts)
            n_parts += 1
    return counts


def _parts(path: Path, names: list[str]) -> Iterator[pl.DataFrame]:
    """The rows of a file with their numbers from 1."""
    rows = pl.scan_parquet(path, row_index_name="_row", row_index_offset=1).select(
        pl.col("_row").cast(pl.Int64), *names
    )
    yield from rows.collect_batches(chunk_size=ROWS_A_PART, maintain_order=True)


def _lineage_of(folder: Path, label: str) -> pl.DataFrame:
    """row, lineage_id of the events of one file."""
    lineage = pl.scan_parquet(folder / "lineage.parquet").filter(pl.col("file") == label)
    return lineage.select("row", "lineage_id").unique("row", keep="first").collect()


def _write_parts(target: Path, taken: pl.DataFrame, shards: pl.Series, number: int) -> None:
    target.mkdir(exist_ok=True)
    marked = taken.with_columns(_shard=shards)
    for (shard,), part in marked.partition_by("_shard", as_dict=True, include_key=False).items():
        part.write_parquet(target / f"{shard}-{number:05d}.parquet", compression="zstd")


def _contacts_known(input_path: Path) -> pl.Series:
    contacts = _table(input_path, "contacts.parquet", "contact_id")
    return pl.Series("contact_id", [], pl.Int64) if contacts is None else contacts["contact_id"]


def _is_sent_otherwise(name: str, rows: pl.DataFrame, known: pl.Series) -> bool:
    """Whether cells of a column that events have would not come back from the events.

    Events hold numbers as Float32 without NaN, no empty text, times to the microsecond, a known_time after
    the time, and contacts that contacts.parquet has.
    """
    cells = rows[name]
    if name in {"code", "time"} and cells.dtype in {pl.String, pl.Datetime("us")}:
        return False
    if name in _INSTANTS and (not isinstance(cells.dtype, pl.Datetime) or cells.dtype.time_zone):
        return False  # read as the mapping reads times: such cells have no place among plain instants
    if name == "numeric_value" and not cells.dtype.is_numeric():
        return False
    if name == "contact_id" and not known.len():
        return cells.null_count() < cells.len()
    held = {
        "numeric_value": pl.col(name).cast(pl.Float32, strict=False).fill_nan(None),
        "known_time": pl.when(pl.col("known_time") > _naive("time", rows)).then(pl.col("known_time")),
        "contact_id": pl.when(_text(name).is_in(known.cast(pl.String).implode())).then(pl.col(name)),
    }.get(name, pl.when(pl.col(name).cast(pl.String) != "").then(pl.col(name).cast(pl.String)))
    if name == "time":
        held = pl.col(name).cast(pl.Datetime("us"))
    sent = pl.col(name).cast(pl.String) if cells.dtype == pl.Categorical else pl.col(name)
    return bool(rows.select((~sent.eq_missing(held)).any()).item())


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String)


def _naive(name: str, rows: pl.DataFrame) -> pl.Expr:
    """An instant without its zone, in UTC; null for what is no instant."""
    dtype = rows.schema[name]
    if not isinstance(dtype, pl.Datetime):
        return pl.col(name).cast(pl.Datetime("us")) if dtype == pl.Date else pl.lit(None, pl.Datetime("us"))
    column = pl.col(name)
    return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else column


def _take_codes(source: pl.DataFrame, target: Path, context: Context) -> None:
    """Rewrite codes.parquet: all codes of the source with all that it says of them, and our others."""
    import pyarrow.parquet as pq
    from meds.schema import CodeMetadataSchema

    ours = pl.read_parquet(target)
    theirs = context.guard.gate.frame(source.with_columns(pl.col("code").cast(pl.String)))
    both = pl.concat([theirs, ours.join(theirs, on="code", how="anti")], how="diagonal_relaxed")
    pq.write_table(CodeMetadataSchema.align(both.sort("code", maintain_order=True).to_arrow()), target)


def _take_splits(splits: pl.DataFrame, target: Path, context: Context) -> None:
    """Write subject_splits.parquet under the dataset's subject ids."""
    subject = next(name for name in _SUBJECTS if name in splits.columns)
    ids = context.pseudonyms.of("subject", splits[subject].cast(pl.String))
    mapped = splits.drop(subject).with_columns(subject_id=ids).select("subject_id", pl.exclude("subject_id"))
    mapped.sort("subject_id").write_parquet(target / "subject_splits.parquet")


def _keep_given_windows(source: pl.DataFrame, folder: Path, context: Context) -> int:
    """Drop windows that were derived for subjects of whom the source has none; how many there are then."""
    given = context.pseudonyms.of("subject", source["subject_id"].cast(pl.String))
    target = folder / "observation.parquet"
    windows = pl.read_parquet(target).filter(pl.col("subject_id").is_in(given.implode()))
    windows.write_parquet(target, compression="zstd", compression_level=1)
    return windows.height
