"""A release on disk: the same ontology when it is read again, and a clear word when it is not whole."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ontology.assembling import ontology_of, tables_digest
from ontology.concepts import CONCEPTS, COVERAGE, MAPPINGS, PROPERTIES, CodeSystem
from ontology.errors import InputError, StorageError
from ontology.release import active_ontology, embedded_ontology, load_ontology, use_ontology, write_ontology
from ontology.terminology import Ontology, Source

FILES = ("concepts", "edges", "properties", "mappings", "coverage", "closure")


@pytest.fixture(scope="module")
def ontology() -> Ontology:
    """WHO's ICD-10 with one row in every other table."""
    who = embedded_ontology().system
    more = CodeSystem(
        who.concepts,
        who.edges,
        pl.DataFrame([("ICD10//A41", "note", "x")], schema=PROPERTIES, orient="row"),
        pl.DataFrame([("ICD10//A41", "exactMatch", "ICD9CM//038", "ours")], schema=MAPPINGS, orient="row"),
        pl.DataFrame([("ICD10", None, None)], schema=COVERAGE, orient="row"),
    )
    return ontology_of([more], ("en", "nb"), (Source("who", "a.csv", "0" * 64),))


@pytest.fixture
def folder(ontology: Ontology, tmp_path: Path) -> Path:
    write_ontology(ontology, tmp_path / "release")
    return tmp_path / "release"


def test_what_is_written_is_what_is_read(ontology: Ontology, folder: Path) -> None:
    read = load_ontology(folder)
    assert (read.digest, read.languages, read.sources) == (
        ontology.digest,
        ontology.languages,
        ontology.sources,
    )
    for table in ("concepts", "edges", "properties", "mappings", "coverage"):
        assert getattr(read.system, table).equals(getattr(ontology.system, table))
    assert read.graph.names == ontology.graph.names
    assert read.graph.index == ontology.graph.index
    for field in ("parent_offsets", "parent_values", "above_offsets", "above_values", "depth", "longest_way"):
        assert np.array_equal(getattr(read.graph, field), getattr(ontology.graph, field))
    codes = pl.Series(["ICD10CM//A419", "ICD10//E11.9"])
    assert read.roll_up(codes, "block").equals(ontology.roll_up(codes, "block"))


def test_the_manifest_tells_what_is_in_it(ontology: Ontology, folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["format"], manifest["format_number"]) == ("pesta-ontology", 1)
    assert manifest["digest"] == ontology.digest
    assert manifest["counts"]["distinct_concepts"] == len(ontology.graph)
    assert manifest["counts"]["mappings"] == 1
    assert manifest["sources"] == [{"reader": "who", "file": "a.csv", "sha256": "0" * 64}]
    assert str(folder) not in json.dumps(manifest)


def test_the_same_ontology_gives_the_same_bytes(ontology: Ontology, folder: Path, tmp_path: Path) -> None:
    write_ontology(ontology, tmp_path / "again")
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_the_digest_does_not_depend_on_the_order_of_rows(ontology: Ontology) -> None:
    system = ontology.system
    for seed in range(3):
        shuffled = CodeSystem(
            system.concepts.sample(fraction=1, shuffle=True, seed=seed),
            system.edges.sample(fraction=1, shuffle=True, seed=seed),
            system.properties,
            system.mappings,
            system.coverage,
        )
        assert tables_digest(shuffled) == ontology.digest
        assert ontology_of([shuffled]).digest == ontology.digest


def test_the_digest_changes_with_any_cell() -> None:
    one = pl.DataFrame({"concept": ["a"], "property": ["b"], "value": ["c"]}, schema=PROPERTIES)
    empty = CodeSystem(embedded_ontology().system.concepts.clear())
    tables = [
        one,
        one.with_columns(value=pl.lit(None, pl.String)),
        one.with_columns(value=pl.lit("")),
        one.with_columns(property=pl.lit("b1:c;"), value=pl.lit("")),
        pl.concat([one, one.with_columns(value=pl.lit("d"))]),
    ]
    digests = [tables_digest(CodeSystem(empty.concepts, properties=table)) for table in tables]
    assert len(set(digests)) == len(tables)


def test_codes_that_data_added_are_kept_as_not_listed(ontology: Ontology, tmp_path: Path) -> None:
    extended = ontology.with_codes(["ATC//J01CF05", "ICD10CM//A419"])
    write_ontology(extended, tmp_path / "release")
    read = load_ontology(tmp_path / "release")
    assert read.digest != ontology.digest
    assert read.ancestors("ATC//J01CF05") == extended.ancestors("ATC//J01CF05")
    assert read.listed.find("ATC//J01CF05") == (None, "not_found")


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_named(folder: Path, name: str) -> None:
    file = folder / f"{name}.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_ontology(folder)
    assert [problem.where for problem in caught.value.problems] == [str(file)]
    assert "damaged" in str(caught.value)


def test_all_missing_files_are_named_at_once(folder: Path) -> None:
    for name in ("edges", "closure"):
        (folder / f"{name}.parquet").unlink()
    with pytest.raises(InputError) as caught:
        load_ontology(folder)
    assert [Path(problem.where).stem for problem in caught.value.problems] == ["edges", "closure"]


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ("not json", "not JSON"),
        ("[]", "not the manifest of an ontology"),
        ('{"format": "something"}', "not the manifest of an ontology"),
        ('{"format": "pesta-ontology", "format_number": 2}', "format number 2"),
        ('{"format": "pesta-ontology", "format_number": 1, "digest": "x"}', "languages: Field required"),
        ('{"format": "pesta-ontology", "format_number": "1"}', "format number '1'"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(folder: Path, manifest: str, told: str) -> None:
    (folder / "manifest.json").write_text(manifest, "utf-8")
    with pytest.raises(InputError, match=told):
        load_ontology(folder)


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words", "utf-8")
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(InputError, match="no ontology is there"):
            load_ontology(place)


def test_a_release_is_replaced_but_nothing_else_is(ontology: Ontology, folder: Path, tmp_path: Path) -> None:
    write_ontology(embedded_ontology(), folder)
    assert load_ontology(folder).digest == embedded_ontology().digest
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words", "utf-8")
    with pytest.raises(StorageError, match="something else is there"):
        write_ontology(ontology, tmp_path / "mine")
    with pytest.raises(StorageError, match="something else is there"):
        write_ontology(ontology, tmp_path / "mine" / "thesis.txt")


def test_the_ontology_in_use(
    ontology: Ontology, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PESTA_ONTOLOGY", raising=False)
    assert active_ontology() is embedded_ontology()
    assert use_ontology(folder).digest == ontology.digest
    assert active_ontology().digest == ontology.digest
    with pytest.raises(InputError):
        use_ontology(tmp_path / "nowhere")
    assert active_ontology().digest == ontology.digest
    assert use_ontology(None) is embedded_ontology()
    assert load_ontology() is embedded_ontology()


def test_a_table_that_is_none_is_damaged_whatever_the_manifest_says(folder: Path) -> None:
    (folder / "closure.parquet").write_bytes(b"PAR1")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"]["closure.parquet"] = hashlib.sha256(b"PAR1").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(InputError, match=r"damaged\n  where: .*closure\.parquet"):
        load_ontology(folder)


@pytest.mark.parametrize("place", ["manifest.json/", "x" * 300])
def test_a_place_that_cannot_be_read_is_no_release(folder: Path, place: str) -> None:
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()
    with pytest.raises(InputError, match=r"manifest\.json"):
        load_ontology(folder if place.startswith("manifest") else folder / place)


def test_the_variable_that_names_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PESTA_ONTOLOGY", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere(.|\n)*PESTA_ONTOLOGY"):
        active_ontology()


def test_a_release_that_was_built_again_is_the_one_in_use(
    ontology: Ontology, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PESTA_ONTOLOGY", raising=False)
    assert use_ontology(folder).digest == ontology.digest
    write_ontology(embedded_ontology(), folder)
    assert use_ontology(folder).digest == embedded_ontology().digest
    use_ontology(None)


def test_two_builds_into_one_folder_leave_one_of_them_whole(ontology: Ontology, tmp_path: Path) -> None:
    both = [ontology, embedded_ontology()]
    for attempt in range(5):
        folder = tmp_path / f"{attempt}"
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n, folder=folder: write_ontology(both[n % 2], folder), range(4)))
        assert load_ontology(folder).digest in {one.digest for one in both}
        assert len(list(folder.iterdir())) == 8


def test_an_ontology_of_nothing_is_written_and_read(tmp_path: Path) -> None:
    write_ontology(ontology_of([CodeSystem(pl.DataFrame(schema=CONCEPTS))]), tmp_path / "nothing")
    read = load_ontology(tmp_path / "nothing")
    assert (len(read.graph), read.systems, read.label("ICD10//A41")) == (0, (), None)
    assert read.roll_up(pl.Series(["ATC//J01CF05"]), "main_group").to_list() == ["ATC//J"]
