"""A dataset written as OMOP or MEDS and read again is the same dataset."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ontology.errors import ConfigurationError, InputError
from phenotype.checking import check_dataset
from phenotype.trajectory import Dataset, frame_digest, open_dataset
from pipelines.export.meds import export_meds
from pipelines.export.omop import export_omop
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

Way = Literal["omop csv", "omop parquet", "meds"]
WAYS: list[Way] = ["omop csv", "omop parquet", "meds"]


def _there_and_back(way: Way, dataset: Path, work: Path) -> Dataset:
    out, again = work / "out", work / "again"
    if way == "meds":
        export_meds(dataset, out)
    else:
        export_omop(dataset, out, form="csv" if way == "omop csv" else "parquet")
    mapping = load_mapping("meds" if way == "meds" else "pesta-omop")
    account = ingest(mapping, out, again, key_path=work / "key", keep_ids=True)
    assert account.n_rejected == 0
    return open_dataset(again)


def _assert_same(one: Dataset, other: Dataset) -> None:
    events = [dataset.events().drop("lineage_id").collect() for dataset in (one, other)]
    lost = events[0].join(events[1], on=events[0].columns, how="anti", nulls_equal=True)
    assert lost.select("code", "unit", "known_time").to_dicts() == []
    assert frame_digest(one.contacts()) == frame_digest(other.contacts())
    assert frame_digest(one.observation()) == frame_digest(other.observation())
    codings = [frame_digest(dataset.codings().drop("lineage_id")) for dataset in (one, other)]
    assert codings[0] == codings[1]
    assert one.digest == other.digest


@pytest.mark.parametrize("way", WAYS)
def test_everything_that_is_hard_to_hold_comes_back(way: Way, hard_dataset: Path, tmp_path: Path) -> None:
    again = _there_and_back(way, hard_dataset, tmp_path)
    _assert_same(open_dataset(hard_dataset), again)
    described = pl.read_parquet(again.path / "metadata" / "codes.parquet").drop_nulls("description")
    assert described.select("code", "description").rows() == [("ICD10-NO//A41.9", "Sepsis, uspesifisert")]


@pytest.mark.parametrize("way", WAYS)
def test_without_kept_ids_nobody_can_be_linked_by_number(
    way: Way, hard_dataset: Path, tmp_path: Path
) -> None:
    given_ids = open_dataset(hard_dataset).events().select("subject_id").unique().collect()
    _there_and_back(way, hard_dataset, tmp_path)
    mapping = load_mapping("meds" if way == "meds" else "pesta-omop")
    ingest(mapping, tmp_path / "out", tmp_path / "anew", key_path=tmp_path / "key")
    anew = open_dataset(tmp_path / "anew")
    new_ids = anew.events().select("subject_id").unique().collect()
    assert new_ids.height == given_ids.height
    assert new_ids.join(given_ids, on="subject_id").height == 0
    assert anew.events().collect().height == open_dataset(hard_dataset).events().collect().height


_TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=70),
)
_SYSTEMS = st.sampled_from(["ICD10-NO//", "NLK//", "ATC//", "NCMP//", "SCT//", "LAB//ICU//", ""])
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
_EVENTS = st.fixed_dictionaries(
    {
        "subject_id": st.integers(1, 3),
        "time": st.one_of(st.none(), _TIMES),
        "code": st.builds(str.__add__, _SYSTEMS, st.text("aZ9/.| ø\"',;\n", min_size=1, max_size=60)),
        "numeric_value": st.one_of(st.none(), st.floats(width=32, allow_nan=False, allow_infinity=False)),
        "text_value": _TEXTS,
        "unit": _TEXTS,
        "contact_id": st.sampled_from([None, 1, 2]),
        "known_hours": st.one_of(st.none(), st.integers(1, 10_000)),
    }
)


@pytest.mark.parametrize("way", WAYS)
@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=st.lists(_EVENTS, min_size=1, max_size=30))
def test_any_event_comes_back(
    way: Way, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory, write_dataset: Any
) -> None:
    work = tmp_path_factory.mktemp("law")
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col("time").cast(pl.Datetime("us")), pl.col("known_hours").cast(pl.Int64)
    )
    known = pl.col("time") + pl.duration(hours=pl.col("known_hours"))
    events = frame.with_columns(known_time=known).drop("known_hours").to_dicts()
    contacts = [{"contact_id": n, "subject_id": n, "start_time": datetime(2000, 1, n)} for n in (1, 2)]
    dataset = write_dataset(work / "given", events, contacts)
    _assert_same(open_dataset(dataset), _there_and_back(way, dataset, work))


def test_a_meds_folder_passes_the_standards_own_schemas(hard_dataset: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    from meds.schema import CodeMetadataSchema, DataSchema, DatasetMetadataSchema

    export_meds(hard_dataset, tmp_path / "meds")
    files = sorted((tmp_path / "meds" / "data").glob("*.parquet"))
    assert len(files) == 2
    for file in files:
        DataSchema.validate(pq.read_table(file))
    CodeMetadataSchema.validate(pq.read_table(tmp_path / "meds" / "metadata" / "codes.parquet"))
    DatasetMetadataSchema.validate(json.loads((tmp_path / "meds" / "metadata" / "dataset.json").read_text()))
    told = [problem.what for problem in check_dataset(tmp_path / "meds")]
    assert told == ["subjects who died more than once"]  # as the fixture has it


def test_omop_tables_refer_to_rows_that_are_there(hard_dataset: Path, tmp_path: Path) -> None:
    export_omop(hard_dataset, tmp_path / "omop", form="parquet")
    tables = {file.stem: pl.read_parquet(file) for file in (tmp_path / "omop").glob("*.parquet")}
    people, visits = (
        set(tables["person"]["person_id"]),
        set(tables["visit_occurrence"]["visit_occurrence_id"]),
    )
    concepts = set(tables["concept"]["concept_id"])
    assert min(concepts) > 2_000_000_000
    clinical = {
        "condition_occurrence": "condition",
        "procedure_occurrence": "procedure",
        "measurement": "measurement",
        "drug_exposure": "drug",
        "observation": "observation",
    }
    for name, word in clinical.items():
        table = tables[name]
        assert set(table["person_id"]) <= people
        assert set(table["visit_occurrence_id"].drop_nulls()) <= visits
        assert set(table[f"{word}_source_concept_id"]) <= concepts
    # By hand from the fixture: 2 diagnoses of which one has a value, 1 procedure, 2 antibiotics of which one
    # has a text; 4 results of NLK, 2 of LOINC and 1 under LAB; one main diagnosis of contact 7.
    sizes = {name: tables[name].height for name in (*clinical, "death", "person") if name != "observation"}
    assert sizes == {
        "condition_occurrence": 1,
        "procedure_occurrence": 1,
        "measurement": 7,
        "drug_exposure": 1,
        "death": 1,
        "person": 2,
    }
    assert tables["condition_occurrence"]["condition_status_concept_id"].to_list() == [32902]
    assert tables["person"]["gender_concept_id"].to_list() == [8532, 0]
    assert 0.1 in tables["measurement"]["value_as_number"].to_list()  # and not 0.10000000149


def test_nothing_is_written_over_what_is_there(hard_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    for export in (export_omop, export_meds):
        with pytest.raises(ConfigurationError, match="something else is there"):
            export(hard_dataset, tmp_path / "taken")
        with pytest.raises(InputError, match="no MEDS dataset here"):
            export(tmp_path / "taken", tmp_path / "new")
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["file"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["exported", "data/exported", "data/../metadata/exported"])
def test_nothing_is_written_into_the_dataset_itself(hard_dataset: Path, place: str) -> None:
    # Parquet files below data/ are the dataset's own events to every reader.
    before = open_dataset(hard_dataset).digest
    for export in (export_meds, export_omop):
        with pytest.raises(ConfigurationError, match="a folder in the dataset itself"):
            export(hard_dataset, hard_dataset / place)
    assert open_dataset(hard_dataset).digest == before
