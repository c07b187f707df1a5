"""Who is who, for whoever holds the key and the source's ids: pseudonyms, their ids, the date shifts."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem
from phenotype.trajectory import Dataset, find_dataset
from pipelines.identity.keys import fingerprint, load_key
from pipelines.identity.person_numbers import person_keys
from pipelines.identity.policy import DateShift
from pipelines.identity.pseudonyms import KEPT, Pseudonyms
from pipelines.identity.scrubbing import SHORTEST
from pipelines.sources.cells import text_of


def reidentify(dataset: Path, key_path: Path, ids_path: Path, out: Path, id_space: str | None = None) -> int:
    """Write which subjects of a dataset the given ids are.

    Args:
        dataset: the dataset's folder.
        key_path: the key that it was made with.
        ids_path: the source's patient ids or national numbers: a text file with one a line, or the column
            `source_id` (else the first) of a CSV or Parquet file.
        out: a CSV or Parquet file to write, mode 600: source_id, subject_id, and shift_days where the dates
            are shifted: what was added to every date of the subject.
        id_space: of the ids; all spaces that the dataset names where it is not given.

    Returns:
        How many ids are subjects of the dataset; the others are left out.

    Raises:
        ConfigurationError: the key is another's, or the file would lie in the dataset.
        InputError: the dataset or the ids cannot be read.
    """
    found = find_dataset(dataset)
    key = load_key(key_path)
    _check_key(found, key)
    _check_place(out, dataset, key_path, ids_path)
    spaces = [id_space] if id_space else list(found.metadata.get("id_spaces", ()))
    who = who_is_who(found, key, _read_ids(ids_path), spaces)
    _write_private(who, out)
    return who.height


def who_is_who(dataset: Dataset, key: bytes, ids: pl.Series, id_spaces: list[str]) -> pl.DataFrame:
    """The ids that are subjects of a dataset.

    Args:
        dataset: its events say who is there.
        key: the project's.
        ids: source ids, as texts.
        id_spaces: of the sources; a national number needs none.

    Returns:
        source_id, subject_id, and shift_days where dates are shifted; by subject_id and source_id.
    """
    distinct = ids.drop_nulls().unique()
    whole = distinct.str.zfill(SHORTEST)  # whole numbers in a table lose the zero that begins them
    keep_ids = dataset.metadata.get("ids") == KEPT
    pairs = [_pairs(distinct, person_keys(whole), Pseudonyms(key, ""))]
    pairs += [_pairs(distinct, distinct, Pseudonyms(key, space, keep_ids=keep_ids)) for space in id_spaces]
    subjects = dataset.events().select("subject_id").unique().collect()
    who = (
        pl.concat(pairs).join(subjects, on="subject_id", how="semi").unique().sort("subject_id", "source_id")
    )
    shift = dataset.metadata.get("identity_policy", {}).get("date_shift")
    is_shifted = bool(shift) and not dataset.metadata.get("nominal_anchor")
    if is_shifted:
        shifts = Pseudonyms(key, "").shifts(DateShift.model_validate(shift))
        who = who.with_columns(shift_days=shifts.days(who["subject_id"]))
    return who


def _pairs(ids: pl.Series, texts: pl.Series, pseudonyms: Pseudonyms) -> pl.DataFrame:
    return pl.DataFrame({"source_id": ids, "subject_id": pseudonyms.of("subject", texts)}).drop_nulls()


def _check_place(out: Path, dataset: Path, key_path: Path, ids_path: Path) -> None:
    if dataset.resolve() in (out.resolve(), *out.resolve().parents):
        raise ConfigurationError(
            Problem(
                "the file of who is who would lie in the dataset", str(out), next_step="keep it elsewhere"
            )
        )
    if out.exists() and any(path.exists() and out.samefile(path) for path in (key_path, ids_path)):
        raise ConfigurationError(
            Problem(
                "the file of who is who would replace the key or the ids",
                str(out),
                next_step="give another name",
            )
        )


def _check_key(dataset: Dataset, key: bytes) -> None:
    made_with, given = dataset.metadata.get("key_fingerprint"), fingerprint(key)
    if made_with != given:
        raise ConfigurationError(
            Problem(
                "another key than the dataset's",
                "metadata/dataset.json: key_fingerprint",
                found=given,
                allowed=str(made_with),
                next_step="give the key that the dataset was made with",
            )
        )


def _read_ids(path: Path) -> pl.Series:
    """The ids of a file, as texts without blanks around them."""
    try:
        if path.suffix in {".csv", ".parquet"}:
            is_csv = path.suffix == ".csv"
            table = pl.read_csv(path, infer_schema=False) if is_csv else pl.read_parquet(path)
            name = "source_id" if "source_id" in table.columns else table.columns[0]
            return table.select(text_of(table, name)).to_series().str.strip_chars()
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError, IndexError):
        raise InputError(
            Problem("the ids cannot be read", str(path), next_step="give one id a line, CSV or Parquet")
        ) from None
    return pl.Series("source_id", [line.strip() for line in lines if line.strip()], dtype=pl.String)


def _write_private(who: pl.DataFrame, out: Path) -> None:
    """Write a file that its owner alone may read."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if out.suffix == ".parquet":
            who.write_parquet(file)
        else:
            who.write_csv(file)
