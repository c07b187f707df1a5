"""A dataset as OMOP CDM 5.4, with small tables beside it for what OMOP has no place for."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from phenotype.trajectory import CODINGS, Dataset, open_dataset
from pipelines.export.meds import into_place, part_folder
from pipelines.export.omop_codes import PESTA_CONCEPT, OmopForm, concepts_of, load_form
from pipelines.export.omop_events import BESIDE, CLINICAL, clinical_rows, with_tables
from pipelines.export.omop_persons import (
    PESTA_DEATH,
    PESTA_VISIT,
    Taken,
    death_rows,
    period_rows,
    person_rows,
    place_rows,
    take_contact_events,
    take_persons,
    visit_rows,
)
from pipelines.export.omop_tables import Form, TableFile, write_plain, write_table

EMPTY_TABLES = (
    "visit_detail",
    "device_exposure",
    "note",
    "specimen",
    "episode",
    "fact_relationship",
    "provider",
)
"""Tables that a dataset has nothing for; they are written with their header alone."""
_CODED = [name for name in CODINGS if name not in {"contact_id", "lineage_id"}]
_NO_END = datetime(1970, 1, 1)


def export_omop(dataset: Path, out: Path, *, form: Form = "csv") -> dict[str, int]:
    """Write a dataset as OMOP CDM 5.4.

    Every event becomes one row: a birth and a sex of PERSON, a death of DEATH, the events of a contact of
    VISIT_OCCURRENCE, and all others of the clinical table that configs/omop/export.yaml names for the system
    of their code, under a local concept. `pesta_*` tables beside them hold what OMOP has no place for, so
    that `pesta ingest pesta-omop` gives the same events again.

    Args:
        dataset: a dataset's folder.
        out: the folder to write; it must be new or empty.
        form: csv or parquet.

    Returns:
        Rows by table, and how many numbers could not be held, being not finite.

    Raises:
        InputError: the folder is no dataset, or does not fit OMOP's tables.
        ConfigurationError: something else lies where it should be written.
    """
    opened = open_dataset(dataset)
    folder = part_folder(out, dataset)
    try:
        counts = _Export(opened, folder, form).write()
        into_place(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return counts


class _Export:
    """The state of one export: ids given out, files open.

    Args:
        dataset: what is written.
        folder: where.
        form: csv or parquet.
    """

    def __init__(self, dataset: Dataset, folder: Path, form: Form) -> None:
        self._dataset = dataset
        self._folder = folder
        self._form = form
        self._omop = load_form()
        self._counts: Counter[str] = Counter()
        self._subjects = _subjects(dataset)
        self._contacts = _numbered_contacts(dataset, self._subjects)
        self._concepts = concepts_of(_codes(dataset), self._omop)
        self._statuses = _statuses(dataset.codings(), self._omop)

    def write(self) -> dict[str, int]:
        """Write all tables; rows by table."""
        people: list[Taken] = []
        told: list[pl.DataFrame] = []
        with ExitStack() as stack:
            files = {name: self._file(name, None) for name in CLINICAL}
            besides = {
                table.name: self._file(table.beside, pl.Schema({table.id_column: pl.Int32(), **BESIDE}))
                for table in CLINICAL.values()
            }
            for file in (*files.values(), *besides.values()):
                stack.callback(file.close)
            for shard in self._dataset.shards:
                taken, rest, of_contacts = self._taken(shard)
                people.append(taken)
                told.append(of_contacts)
                self._write_clinical(rest, taken.births, files, besides)
        for name, file in files.items():
            self._counts[name] = file.n_rows
        self._write_persons(_joined(people))
        self._write_contacts(pl.concat(told))
        self._write_vocabulary()
        return dict(self._counts)

    def _file(self, name: str, schema: pl.Schema | None) -> TableFile:
        return TableFile(self._folder, name, self._form, schema)

    def _taken(self, shard: Path) -> tuple[Taken, pl.DataFrame, pl.DataFrame]:
        """Of a shard's events: persons; the rest; and contacts whose events are not in the rest."""
        events = self._dataset.events(shard).collect()
        n_lost = int((events["numeric_value"].is_not_null() & ~events["numeric_value"].is_finite()).sum())
        self._counts["numbers_that_are_not_finite"] += n_lost
        events = events.with_columns(
            numeric_value=pl.when(pl.col("numeric_value").is_finite()).then("numeric_value")
        )
        taken = take_persons(events, self._omop)
        contacts = self._contacts.join(events.select("subject_id").unique(), on="subject_id", how="semi")
        rest, of_contacts = take_contact_events(taken.rest, contacts)
        return taken, rest, of_contacts

    def _write_clinical(
        self,
        rest: pl.DataFrame,
        births: pl.DataFrame,
        files: dict[str, TableFile],
        besides: dict[str, TableFile],
    ) -> None:
        """The rows of a shard's events, table by table."""
        visits = self._contacts.select("contact_id", "visit_occurrence_id")
        born = births.select("subject_id", birth_date=pl.col("time").dt.date())
        concepts = self._concepts.select("code", "cdm_table", "concept_id", "source_value")
        events = with_tables(rest.join(concepts, on="code", how="left", maintain_order="left"))
        for frame, key in ((self._subjects, "subject_id"), (visits, "contact_id"), (born, "subject_id")):
            events = events.join(frame, on=key, how="left", maintain_order="left")
        events = events.join(self._statuses, on=["contact_id", "code"], how="left", maintain_order="left")
        for name, table in CLINICAL.items():
            own = events.filter(pl.col("cdm_table") == name)
            if own.height:
                rows, beside = clinical_rows(own, table, files[name].n_rows + 1, self._omop)
                files[name].add(rows)
                besides[name].add(beside)

    def _write_persons(self, people: Taken) -> None:
        self._write("person", person_rows(self._subjects, people, self._omop))
        deaths, known = death_rows(self._subjects, people, self._omop)
        self._write("death", deaths)
        self._write_beside("pesta_death", known.cast(PESTA_DEATH))

    def _write_contacts(self, told: pl.DataFrame) -> None:
        locations, sites, places = place_rows(self._contacts)
        self._write("location", locations)
        self._write("care_site", sites)
        visits, beside = visit_rows(self._contacts, places, told, self._omop)
        self._write("visit_occurrence", visits)
        self._write_beside("pesta_visit_occurrence", beside.cast(PESTA_VISIT))
        windows = self._dataset.observation().drop_nulls(["start_time", "end_time"])
        windows = windows.join(self._subjects, on="subject_id", maintain_order="left").sort(
            "person_id", "start_time", "end_time", "end_reason", "source"
        )
        windows = windows.with_row_index("observation_period_id", 1)
        periods, exact = period_rows(windows, self._omop)
        self._write("observation_period", periods)
        self._write_beside("pesta_observation_period", exact.cast({"observation_period_id": pl.Int32}))
        visit_ids = self._contacts.select("contact_id", "visit_occurrence_id")
        codings = self._dataset.codings().join(visit_ids, on="contact_id", maintain_order="left")
        codings = codings.select("visit_occurrence_id", *_CODED).sort(pl.all(), nulls_last=False)
        self._write_beside("pesta_coding", codings)

    def _write_vocabulary(self) -> None:
        concepts = self._concepts.drop("code", "description", "cdm_table", "source_value")
        self._write("concept", concepts)
        self._write_beside("pesta_concept", self._concepts.select(PESTA_CONCEPT))
        names = concepts.select("vocabulary_id").unique().sort("vocabulary_id")
        vocabularies = names.with_columns(
            vocabulary_name=pl.format("{}, local concepts", "vocabulary_id"), vocabulary_concept_id=pl.lit(0)
        )
        self._write("vocabulary", vocabularies)
        self._write("cdm_source", _cdm_source(self._dataset, self._omop))
        for name in EMPTY_TABLES:
            write_table(self._folder, name, pl.DataFrame(), form=self._form)

    def _write(self, table: str, rows: pl.DataFrame) -> None:
        write_table(self._folder, table, rows, form=self._form)
        self._counts[table] = rows.height

    def _write_beside(self, name: str, rows: pl.DataFrame) -> None:
        write_plain(self._folder / f"{name}.{self._form}", rows)


def _subjects(dataset: Dataset) -> pl.DataFrame:
    """Columns person_id (Int32 from 1, by subject_id) and subject_id of everybody in any table."""
    ids = [dataset.events().select("subject_id").unique().collect()]
    ids += [dataset.contacts().select("subject_id"), dataset.observation().select("subject_id")]
    everybody = pl.concat(ids).unique().sort("subject_id")
    return everybody.with_columns(person_id=pl.int_range(1, pl.len() + 1, dtype=pl.Int32))


def _numbered_contacts(dataset: Dataset, subjects: pl.DataFrame) -> pl.DataFrame:
    """Contacts with person_id and visit_occurrence_id, by person and time."""
    contacts = dataset.contacts().join(subjects, on="subject_id", maintain_order="left")
    contacts = contacts.sort("person_id", "start_time", "end_time", "contact_id", nulls_last=False)
    return contacts.with_columns(visit_occurrence_id=pl.int_range(1, pl.len() + 1, dtype=pl.Int32))


def _codes(dataset: Dataset) -> pl.DataFrame:
    """Columns code and description: every code of the events, by code."""
    used = dataset.events().select("code").unique().collect()
    file = dataset.path / "metadata" / "codes.parquet"
    if file.exists():
        known = pl.read_parquet(file, columns=["code", "description"]).unique("code", keep="first")
    else:
        known = pl.DataFrame(schema={"code": pl.String, "description": pl.String})
    return used.join(known, on="code", how="left").sort("code")


def _statuses(codings: pl.DataFrame, form: OmopForm) -> pl.DataFrame:
    """Columns contact_id, code and status: whether a contact reports a code as its main condition."""
    conditions = codings.filter(pl.col("role").is_in(list(form.statuses)))
    return (
        conditions.select(
            "contact_id",
            pl.format("{}//{}", "system", "code").alias("code"),
            pl.col("role").replace_strict(form.statuses, return_dtype=pl.Int32).alias("status"),
        )
        .sort("status")
        .unique(["contact_id", "code"], keep="first", maintain_order=True)
    )


def _joined(people: list[Taken]) -> Taken:
    """What all shards say of persons; their other events are written already."""
    return Taken(
        pl.concat([taken.births for taken in people]),
        pl.concat([taken.sexes for taken in people]),
        pl.concat([taken.deaths for taken in people]),
        pl.DataFrame(),
    )


def _cdm_source(dataset: Dataset, form: OmopForm) -> pl.DataFrame:
    """The one row of CDM_SOURCE."""
    said = dataset.metadata
    name = str(said.get("dataset_name") or "dataset")
    made = said.get("created_at")
    released = datetime.fromisoformat(made).date() if made else _NO_END.date()
    return pl.DataFrame(
        {
            "cdm_source_name": [str(said.get("title") or name)[:255]],
            "cdm_source_abbreviation": [name[:25]],
            "cdm_holder": ["not told"],
            "source_documentation_reference": [str(said.get("description_uri") or "")[:255] or None],
            "source_release_date": [released],
            "cdm_release_date": [datetime.now(UTC).date()],
            "cdm_version": ["5.4"],
            "cdm_version_concept_id": [form.cdm_version],
            "vocabulary_version": ["local"],
        }
    )
