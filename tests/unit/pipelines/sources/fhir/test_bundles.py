"""Bundles of every kind and size, whole and broken, read by FhirReader; what is wanted is counted by hand."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.sources.fhir import scanning
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.reader import FhirReader
from pipelines.sources.records import Part

NO_SAMPLE = FhirOptions(validate_share=0, validate_at_least=0)


def _read(folder: Path, options: FhirOptions = NO_SAMPLE) -> list[Part]:
    reader = FhirReader(options)
    return [part for file in reader.find(folder) for part in reader.read(file)]


def _table(parts: list[Part], name: str) -> pl.DataFrame:
    return pl.concat([part.tables[name] for part in parts if name in part.tables])


def _fates(parts: list[Part]) -> list[tuple[Any, ...]]:
    told = pl.concat([part.fates for part in parts]).select("_row", "table", "fate", "reason")
    return told.unique().sort("_row").rows()


def _observation(name: str, subject: str = "Patient/1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2951-2"}]},
        "subject": {"reference": subject},
        "effectiveDateTime": "2024-05-01T10:00:00+02:00",
        "valueQuantity": {"value": 140, "unit": "mmol/L"},
        **more,
    }


def _bundle(kind: str, *entries: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, **more, "entry": list(entries)}


def _write(path: Path, *values: Any, **style: Any) -> None:
    path.write_text("\n".join(json.dumps(value, **style) for value in values), encoding="utf-8")


@pytest.mark.parametrize(
    "kind", ["collection", "transaction", "batch", "searchset", "message", "history", "document"]
)
@pytest.mark.parametrize("style", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_entries_are_records_by_their_number(tmp_path: Path, kind: str, style: dict[str, Any]) -> None:
    entries = [
        {"fullUrl": "urn:uuid:P", "resource": {"resourceType": "Patient", "id": "9", "gender": "male"}},
        {"resource": {"resourceType": "Claim", "id": "1"}},
        {"resource": _observation("o", "urn:uuid:P")},
        {"response": {"status": "200"}},
    ]
    _write(tmp_path / "x.json", _bundle(kind, *entries), **style)
    parts = _read(tmp_path)
    assert _table(parts, "Observation").select("_row", "subject", "value").rows() == [(3, "Patient/9", 140.0)]
    assert _fates(parts) == [
        (2, "Claim", "ignored", "resource type Claim is not read"),
        (4, "Bundle", "ignored", "entry without a resource"),
    ]
    assert sum(part.n_records for part in parts) == 4


def test_references_to_later_entries_and_conditional_ones_are_resolved(tmp_path: Path) -> None:
    later = {"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "id": "7"}}
    first = {"resource": _observation("a", "urn:uuid:p")}
    other = {"resource": _observation("b", "Patient?identifier=urn:s|55")}
    absolute = {"resource": _observation("c", "https://x.example/fhir/Patient/7/_history/2")}
    _write(tmp_path / "x.json", _bundle("transaction", first, other, absolute, later))
    subjects = _table(_read(tmp_path), "Observation")["subject"].to_list()
    assert subjects == ["Patient/7", "identifier:urn:s|55", "Patient/7"]


def test_a_bundle_says_what_its_resources_say_line_by_line(tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "7", "birthDate": "1950-01-01"}
    entries = [{"fullUrl": "urn:uuid:p", "resource": patient}]
    entries += [
        {"fullUrl": f"urn:uuid:{i}", "resource": _observation(f"o{i}", "urn:uuid:p")} for i in range(40)
    ]
    for name in ("bundle", "lines"):
        (tmp_path / name).mkdir()
    _write(tmp_path / "bundle" / "x.json", _bundle("transaction", *entries))
    _write(tmp_path / "lines" / "x.ndjson", patient, *(_observation(f"o{i}", "Patient/7") for i in range(40)))
    bundle, lines = _read(tmp_path / "bundle"), _read(tmp_path / "lines")
    for table in ("Patient", "Observation"):
        told = [_table(parts, table).drop("_row", "_unit").sort("_key") for parts in (bundle, lines)]
        assert_frame_equal(*told)


def test_a_resource_without_an_id_is_named_by_its_entry(tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "gender": "female"}
    entries = [
        {"fullUrl": "urn:uuid:aa", "resource": patient},
        {"resource": patient, "request": {"method": "PUT", "url": "Patient/put"}},
        {"resource": _observation("o", "urn:uuid:aa")},
    ]
    _write(tmp_path / "x.json", _bundle("transaction", *entries))
    parts = _read(tmp_path)
    assert set(_table(parts, "PatientKey")["reference"]) >= {"urn:uuid:aa", "Patient/put"}
    assert _table(parts, "Observation")["subject"].to_list() == ["urn:uuid:aa"]


def test_bundles_within_lines_and_entries_have_numbers_of_their_own(tmp_path: Path) -> None:
    inner = _bundle("searchset", {"resource": _observation("a")}, {"resource": _observation("b")})
    outer = _bundle("batch-response", {"resource": inner}, {"resource": _observation("c")})
    _write(tmp_path / "x.ndjson", _observation("d"), outer, _bundle("searchset"), _observation("e"))
    parts = _read(tmp_path)
    found = _table(parts, "Observation").sort("_row")
    step = 1_000_000_000
    assert found["_row"].to_list() == [1, 4, 2 + step, 2 + 2 * step, 2 + 3 * step]
    assert _fates(parts) == [(3, "Bundle", "ignored", "Bundle without entries")]
    assert sum(part.n_records for part in parts) == 6


def test_deletions_name_what_they_take_back(tmp_path: Path) -> None:
    entries = [
        {"request": {"method": "DELETE", "url": "Patient/1"}},
        {"request": {"method": "DELETE", "url": "Patient?identifier=a|b"}},
        {"request": {"method": "DELETE", "url": "https://x.example/Observation/o"},
         "response": {"status": "204", "lastModified": "2024-05-01T00:00:00Z"}},
    ]  # fmt: skip
    _write(tmp_path / "deleted.ndjson", _bundle("transaction", *entries))
    parts = _read(tmp_path)
    assert _table(parts, "_deleted")["_rank"].to_list() == [None, "2024-05-01T00:00:00Z|~"]
    assert [(table, reason) for _, table, _, reason in _fates(parts)] == [
        ("Patient", "deleted"),
        ("Bundle", "deletion that names no single resource"),
        ("Observation", "deleted"),
    ]


def test_contained_resources_are_records_of_their_own_named_by_their_container(tmp_path: Path) -> None:
    report = {
        "resourceType": "DiagnosticReport", "id": "r", "status": "final", "code": {"text": "panel"},
        "contained": [_observation("c1", "#p"), {"resourceType": "Patient", "id": "p", "gender": "male"}],
        "subject": {"reference": "#p"}, "effectiveDateTime": "2024-05-01",
    }  # fmt: skip
    _write(tmp_path / "x.ndjson", report)
    parts = _read(tmp_path)
    observations = _table(parts, "Observation")
    assert observations["subject"].to_list() == ["DiagnosticReport/r#p"]
    assert "DiagnosticReport/r#p" in _table(parts, "PatientKey")["reference"].to_list()
    reports = _table(parts, "DiagnosticReport")
    assert observations["_key"].to_list() == reports["_key"].unique().to_list()


def _many(n: int) -> list[dict[str, Any]]:
    return [
        {"fullUrl": f"urn:uuid:{i}", "resource": _observation(f"o{i}", display=f'"a\\b{{[{i}')}
        for i in range(n)
    ]


@pytest.mark.parametrize("block_bytes", [1_000, 4_001, 1_000_000])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_large_bundle_is_read_in_pieces(tmp_path: Path, block_bytes: int, indent: int | None) -> None:
    _write(
        tmp_path / "x.json", _bundle("collection", *_many(300), meta={"tag": [{"code": "]}"}]}), indent=indent
    )
    parts = _read(tmp_path, NO_SAMPLE.model_copy(update={"block_bytes": block_bytes}))
    assert sorted(_table(parts, "Observation")["_row"].to_list()) == list(range(1, 301))
    assert len(parts) > 10 or block_bytes == 1_000_000


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        (lambda text: text.replace('"id": "o150"', '"id" "o150"'), {"o150"}),
        (lambda text: text.replace('"id": "o150"', '"id": "o150'), {"o150"}),
        (lambda text: text.replace('"id": "o150"', '}, "id": "o150"'), {"o150"}),
        (lambda text: text.replace('"id": "o150"', '"id": ["o150"'), {"o150"}),
        (lambda text: text.replace('"resourceType": "Bundle"', '"resourceType: "Bundle"'), set()),
        (lambda text: text[:-300], {"o299"}),
    ],
)
def test_what_is_broken_is_told_and_the_rest_goes_on(tmp_path: Path, broken: Any, lost: set[str]) -> None:
    text = json.dumps(
        _bundle("collection", *[{**e, "resource": _observation(f"o{i}")} for i, e in enumerate(_many(300))])
    )
    (tmp_path / "x.json").write_text(broken(text), encoding="utf-8")
    options = NO_SAMPLE.model_copy(update={"block_bytes": 5_000, "most_bytes": 20_000})
    parts = _read(tmp_path, options)
    found = _table(parts, "Observation").height
    rejected = [fate for fate in _fates(parts) if fate[2] == "rejected"]
    assert found >= 300 - len(lost) - 2
    assert rejected
    for part in parts:
        assert all(raw for raw in part.raw.values())


def test_a_list_of_resources_and_an_entry_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([_observation("a"), 5, _observation("b")], indent=1))
    _write(
        tmp_path / "b.json",
        _bundle(
            "collection", {"resource": _observation("c", x="y" * 9_000)}, {"resource": _observation("d")}
        ),
    )
    parts = _read(tmp_path, NO_SAMPLE.model_copy(update={"most_bytes": 5_000}))
    assert _table(parts, "Observation").height == 3
    assert sorted(reason for *_, reason in _fates(parts)) == [
        "not an entry of a Bundle",
        "record larger than allowed",
    ]


def test_the_scanner_finds_what_json_finds() -> None:
    rng = random.Random(7)
    texts = ["", "a", '"', "\\", '\\"', "{", "]", "],[", "æøå", '\\\\"entry": [']
    for _ in range(200):
        entries = [
            {rng.choice("abc"): [rng.choice(texts), {"x": rng.choice(texts)}]}
            for _ in range(rng.randrange(6))
        ]
        document = {"entry": entries, "resourceType": "Bundle", "z": {"entry": [1]}, "y": [rng.choice(texts)]}
        items = list(document.items())
        rng.shuffle(items)
        raw = json.dumps(dict(items), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2])).encode()
        size = rng.randrange(1, len(raw) + 1)
        chunks = [raw[at : at + size] for at in range(0, len(raw), size)]
        found = list(scanning.pieces(chunks, first_offset=0, most_bytes=10_000))
        assert [json.loads(piece.content) for piece in found[:-1]] == entries
        assert json.loads(found[-1].content) == {**document, "entry": []}
        assert all(raw[one.offset : one.offset + len(one.content)] == one.content for one in found[:-1])


def test_a_version_of_a_history_is_as_old_as_the_answer_says_where_meta_does_not(tmp_path: Path) -> None:
    answer = {"status": "200", "lastModified": "2024-05-01T00:00:00Z"}
    entries = [
        {"resource": _observation("a", meta={"versionId": "2"}), "response": answer},
        {"resource": _observation("b"), "response": answer},
        {
            "resource": _observation("c", meta={"lastUpdated": "2024-04-01T00:00:00Z", "versionId": "2"}),
            "response": answer,
        },
        {"resource": _observation("d", meta={"versionId": "2"})},
    ]
    _write(tmp_path / "x.json", _bundle("history", *entries))
    ranks = _table(_read(tmp_path), "Observation").sort("_row")["_rank"].to_list()
    assert ranks == ["2024-05-01T00:00:00Z|2", "2024-05-01T00:00:00Z|", "2024-04-01T00:00:00Z|2", "|2"]


@pytest.mark.parametrize("ending", ["", '"}'])
def test_a_single_resource_that_is_too_large_is_rejected(tmp_path: Path, ending: str) -> None:
    (tmp_path / "x.json").write_text('{"resourceType": "Patient", "id": "' + "1" * 40_000 + ending)
    parts = _read(tmp_path, NO_SAMPLE.model_copy(update={"most_bytes": 5_000}))
    assert _fates(parts) == [(1, "", "rejected", "record larger than allowed")]
    assert sum(part.n_records for part in parts) == 1


def test_resources_with_a_modifier_extension_are_counted(tmp_path: Path) -> None:
    negated = [{"url": "https://x.example/negated", "valueBoolean": True}]
    _write(tmp_path / "x.ndjson", *(_observation(str(n), modifierExtension=negated) for n in range(3)))
    parts = _read(tmp_path)
    told = "read although a modifierExtension may change their meaning"
    assert sum((part.notes for part in parts), Counter()) == {(told, "Observation"): 3}
    assert _table(parts, "Observation").height == 3
