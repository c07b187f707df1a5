"""Tokens on disk: a dataset tokenised once, part by part, and read where it lies, mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import InputError, Problem
from phenotype.array_files import ArrayWriter, MappedArray
from phenotype.ranges import Ints
from phenotype.sequences import without
from phenotype.tokens import Tokens, reading_digest, tokens_of
from phenotype.trajectory import NOT_PREDICTORS, Dataset
from phenotype.vocabulary import Vocabulary

if TYPE_CHECKING:
    from phenotype.networks.config import NetworkConfig

FORMAT = 1
EVENTS_AT_ONCE = 500_000
"""Events of whole subjects that are tokenised together; memory grows with them, not with the dataset."""
_OF_EVENTS = {
    "token": np.int32,
    "value_bin": np.int32,
    "value": np.float32,
    "known": np.int64,
    "step": np.int32,
    "code": np.int32,
}
_OF_SUBJECTS = {
    "subject": np.int64,
    "start": np.int64,
    "dated_start": np.int64,
    "stop": np.int64,
    "age_event": np.int64,
    "born": np.int64,
    "years": np.float64,
}
_PLACES = ("start", "dated_start", "stop", "age_event")
_DESCRIPTION = "store.json"


@dataclass(frozen=True)
class TokenStore(Tokens):
    """Tokens whose arrays are mapped from the files of a folder.

    Attributes:
        folder: where they lie.
        digest: of the events, the vocabulary and what was left out.
        maps: the mapped files.
    """

    folder: Path
    digest: str
    maps: tuple[MappedArray, ...]

    def release(self) -> None:
        """Gives the pages that were read so far back; call it now and then where memory is to stay flat."""
        for one in self.maps:
            one.release()


def tokenise(
    dataset: Dataset,
    vocabulary: Vocabulary,
    config: NetworkConfig,
    folder: Path,
    *,
    subjects: Ints | None = None,
    events_at_once: int = EVENTS_AT_ONCE,
) -> TokenStore:
    """The store of a dataset's readable events, made where it is not there yet; memory stays flat.

    Args:
        dataset: each subject's events stand in one shard, as MEDS has it.
        vocabulary: what can be read.
        config: exclude and value_limit count; a store serves any other setting.
        folder: of stores; this one lies in a folder named by its digest.
        subjects: whose events; None: all.
        events_at_once: about how many events are held in memory.

    Raises:
        InputError: a subject's events stand in several shards.
    """
    digest = _digest(dataset, vocabulary, config, subjects)
    place = Path(folder) / digest
    if not (place / _DESCRIPTION).exists():
        written = place.with_name(f".{digest}.{os.getpid()}.writing")
        shutil.rmtree(written, ignore_errors=True)
        written.mkdir(parents=True)
        try:
            _write(dataset, vocabulary, config, written, digest, subjects, events_at_once)
            shutil.rmtree(place, ignore_errors=True)
            written.rename(place)
        finally:
            shutil.rmtree(written, ignore_errors=True)
    return open_store(place)


def open_store(folder: Path) -> TokenStore:
    """The store in a folder that `tokenise` named.

    Raises:
        InputError: there is none, or it is of another format.
    """
    file = Path(folder) / _DESCRIPTION
    described = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if described.get("format") != FORMAT:
        raise InputError(
            Problem(
                "no store of tokens here",
                where=str(folder),
                found=f"format {described['format']}" if described else f"no {_DESCRIPTION}",
                allowed=f"a folder with {_DESCRIPTION} of format {FORMAT}",
                next_step="make it again: it is made where training finds none",
            )
        )
    maps = {name: MappedArray(Path(folder) / f"{name}.npy") for name in (*_OF_EVENTS, *_OF_SUBJECTS)}
    return TokenStore(
        **{name: mapped.elements for name, mapped in maps.items()},
        codes=described["codes"],
        made_with=described["made_with"],
        folder=Path(folder),
        digest=described["digest"],
        maps=tuple(maps.values()),
    )


def _write(  # noqa: PLR0917 what is written, and where
    dataset: Dataset,
    vocabulary: Vocabulary,
    config: NetworkConfig,
    folder: Path,
    digest: str,
    subjects: Ints | None,
    events_at_once: int,
) -> None:
    codes = _readable_codes(dataset, vocabulary, config, subjects)
    people: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in _OF_SUBJECTS}
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(ArrayWriter(folder / f"{name}.npy", dtype))
            for name, dtype in _OF_EVENTS.items()
        }
        for events in _parts(dataset, config, subjects, events_at_once):
            tokens = tokens_of(events, vocabulary, config, codes)
            before = writers["token"].length
            for name, writer in writers.items():
                writer.append(getattr(tokens, name))
            for name, parts in people.items():
                part = getattr(tokens, name)
                moved = np.where(part >= 0, part + before, -1) if name in _PLACES else part
                parts.append(moved)
            del events, tokens  # before the next part is read: one is held at a time
    _write_subjects(folder, people)
    described = {
        "format": FORMAT,
        "digest": digest,
        "made_with": reading_digest(vocabulary, config),
        "codes": codes.to_list(),
    }
    (folder / _DESCRIPTION).write_text(json.dumps(described), "utf-8")


def _write_subjects(folder: Path, people: dict[str, list[npt.NDArray[Any]]]) -> None:
    """The arrays of subjects, ascending by subject."""
    together = {
        name: np.concatenate(parts).astype(_OF_SUBJECTS[name]) if parts else np.zeros(0, _OF_SUBJECTS[name])
        for name, parts in people.items()
    }
    order = np.argsort(together["subject"], kind="stable")
    ordered = together["subject"][order]
    n_repeated = int((ordered[1:] == ordered[:-1]).sum())
    if n_repeated:
        raise InputError(
            Problem(
                "events of one subject stand in several shards",
                where="data/<shard>.parquet",
                found=f"{n_repeated} subjects in more than one file",
                allowed="each subject in one shard, as MEDS has it",
                next_step="write the dataset again with all events of a subject in one file",
            )
        )
    for name, values in together.items():
        with ArrayWriter(folder / f"{name}.npy", _OF_SUBJECTS[name]) as writer:
            writer.append(values[order])


def _readable(dataset: Dataset, shard: Path, config: NetworkConfig, subjects: Ints | None) -> pl.LazyFrame:
    """What a network may be shown of a shard's events."""
    events = without(dataset.events(shard), (*NOT_PREDICTORS, *config.exclude))
    if subjects is None:
        return events
    wanted = pl.LazyFrame({"subject_id": np.unique(subjects)}, schema={"subject_id": pl.Int64})
    return events.join(wanted, on="subject_id", how="semi")


def _readable_codes(
    dataset: Dataset, vocabulary: Vocabulary, config: NetworkConfig, subjects: Ints | None
) -> pl.Series:
    """All codes that the vocabulary can read, sorted."""
    found = pl.Series("code", [], dtype=pl.String)
    for shard in dataset.shards:
        kinds = _readable(dataset, shard, config, subjects).select("code", "text_value").unique().collect()
        found = pl.concat([found, vocabulary.encode(kinds)["code"]]).unique()
    return found.sort()


def _parts(
    dataset: Dataset, config: NetworkConfig, subjects: Ints | None, events_at_once: int
) -> Iterator[pl.DataFrame]:
    """All readable events, shard by shard; of a large shard, range by range of subjects."""
    for shard in dataset.shards:
        events = _readable(dataset, shard, config, subjects)
        sizes = events.group_by("subject_id").len().collect().sort("subject_id")
        part = (sizes["len"].cum_sum() - 1) // max(events_at_once, 1)
        bounds = sizes.group_by(part.alias("part")).agg(
            pl.col("subject_id").min().alias("first"), pl.col("subject_id").max().alias("last")
        )
        for first, last in bounds.sort("part").select("first", "last").iter_rows():
            yield events.filter(pl.col("subject_id").is_between(first, last)).collect()


def _digest(dataset: Dataset, vocabulary: Vocabulary, config: NetworkConfig, subjects: Ints | None) -> str:
    """A name for a store: the bytes of the shards, the vocabulary, what is left out, whose events, when."""
    total = hashlib.sha256(f"{FORMAT} {reading_digest(vocabulary, config)}".encode())
    total.update(dataset.view.encode())
    for shard in dataset.shards:
        with shard.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    total.update(b"all" if subjects is None else np.unique(subjects).astype("<i8").tobytes())
    return total.hexdigest()[:16]
