"""Which files are read, what becomes of every record, and that plain Observations take no other way out."""

import gzip
import json
import pickle
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ontology.errors import InputError
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.plain_observations import PlainReader
from pipelines.sources.fhir.reader import FhirReader
from pipelines.sources.records import Part

NO_SAMPLE = FhirOptions(validate_share=0, validate_at_least=0)


def _read(folder: Path, options: FhirOptions = NO_SAMPLE) -> list[Part]:
    reader = FhirReader(options)
    return [part for file in reader.find(folder) for part in reader.read(file)]


def _patient(name: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": name, "gender": "female", **more}


def _lines(*values: Any) -> bytes:
    return b"\n".join(value if isinstance(value, bytes) else json.dumps(value).encode() for value in values)


def test_a_document_is_not_called_after_its_patient(tmp_path: Path) -> None:
    (tmp_path / "ward").mkdir()
    one = json.dumps({"resourceType": "Patient", "id": "1"}, indent=1)
    for name in ("Ola_Nordmann.json", "ward/Kari_Nordmann.json", "Patient.ndjson", "ward/Kari_Nordmann.pdf"):
        (tmp_path / name).write_text(one if name.endswith(".json") else "", encoding="utf-8")
    reader = FhirReader(NO_SAMPLE)
    assert [file.label for file in reader.find(tmp_path)] == [
        "document-1.json",
        "Patient.ndjson",
        "ward/document-3.json",
    ]


def test_files_are_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    one, two = _lines(_patient("1")), _lines(_patient("1"), _patient("2"))
    xml = b'<Patient xmlns="http://hl7.org/fhir"><id value="x"/></Patient>'
    for name, content in {
        "a.ndjson": two, "deep/b.txt": two, "c": one, "d.json": one, "e.JSON.gz": gzip.compress(one),
        "f.ndjson.gz": gzip.compress(two), "g.xml": xml, "h.ndjson": b"", "i.ndjson": b"no json",
        "log.ndjson": b'{"exportId":"1","eventId":"kickoff"}\n',
        "manifest.json": b'{"output": [], "transactionTime": "x"}',
        "readme.md": b"# {", "z.zip": b"PK", "other.xml": b"<a/>", "package.json": b'{"name": "x"}',
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    reader = FhirReader(NO_SAMPLE.model_copy(update={"keep_file_names": True}))
    found = [file.label for file in reader.find(tmp_path)]
    wanted = [
        "a.ndjson",
        "c",
        "d.json",
        "deep/b.txt",
        "e.JSON.gz",
        "f.ndjson.gz",
        "g.xml",
        "h.ndjson",
        "i.ndjson",
    ]
    assert found == wanted
    patients = pl.concat([part.tables["Patient"] for part in _read(tmp_path) if "Patient" in part.tables])
    assert patients.select("_key").n_unique() == 3  # 1, 2 and x


def test_where_nothing_is_the_next_step_is_told(tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="unpack the archives"):
        FhirReader(NO_SAMPLE).find(tmp_path)
    with pytest.raises(InputError, match="no such input"):
        FhirReader(NO_SAMPLE).find(tmp_path / "nowhere")


def _with_check_digits(digits: str) -> str:
    """A person number of nine digits, by the weights that the tax authority publishes."""
    for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)):
        digits += str(-sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11)
    assert len(digits) == 11
    return digits


def test_person_numbers_in_file_names_are_not_told(tmp_path: Path) -> None:
    numbers = [_with_check_digits(digits) for digits in ("139275981", "018298999")]  # synthetic: month + 80
    for number in numbers:
        (tmp_path / f"p-{number}.ndjson").write_bytes(_lines(_patient("1")))
    labels = [file.label for file in FhirReader(NO_SAMPLE).find(tmp_path)]
    assert len(set(labels)) == 2
    assert not any(number in label for label in labels for number in numbers)


def test_every_line_has_its_fate(tmp_path: Path) -> None:
    lines = [
        _patient("1"), b"",
        b'{"resourceType": "Patient", "id": "2"', b'{"resourceType":"Patient","id":"\xe6"}',
        {"resourceType": "Claim", "id": "1"}, {"resourceType": "Nothing"}, {"id": "1"}, b"5", b"[]",
        {"resourceType": "Patient", "id": "3", "gender": ["x"]}, {"resourceType": ["Patient"]},
        {"resourceType": "Encounter", "id": "e", "status": "finished", "class": [{"code": "IMP"}]},
        b'{"resourceType": "Patient", "id": "4", "id": "5"}', _patient("6"), b'{"resourceType": "Pat',
    ]  # fmt: skip
    content = b"\xef\xbb\xbf" + _lines(*lines)
    (tmp_path / "x.ndjson").write_bytes(content)
    parts = _read(tmp_path)
    told = {
        row: (table, fate, reason)
        for part in parts
        for row, table, fate, reason in part.fates.select("_row", "table", "fate", "reason").rows()
    }
    assert told[2] == ("", "ignored", "blank line")
    assert told[3] == ("", "rejected", "broken JSON")
    assert told[4] == ("", "rejected", "not UTF-8")
    assert told[5] == ("Claim", "ignored", "resource type Claim is not read")
    assert told[6] == ("", "rejected", "no resource type of FHIR")
    assert {told[row] for row in (7, 8, 9, 11)} == {("", "rejected", "not a FHIR resource")}
    assert told[10][:2] == ("Patient", "rejected")
    assert told[12][:2] == ("Encounter", "rejected")
    assert "R5" in told[12][2]
    assert told[13] == ("", "rejected", "an element stands twice")
    assert told[15] == ("", "rejected", "cut off: the JSON ends before it is whole")
    assert sum(part.n_records for part in parts) == 15
    raw = {row: text for part in parts for row, text in part.raw.items()}
    assert set(raw) == {row for row, (_, fate, _) in told.items() if fate == "rejected"}
    for part in parts:
        for row, offset in (
            part.fates.filter(pl.col("fate") == "rejected").select("_row", "byte_offset").rows()
        ):
            assert content[offset : offset + len(raw[row])] == raw[row]


def _observation(number: int, rng: random.Random) -> bytes:
    """One result; every twentieth of a form that is not plain."""
    resource: dict[str, Any] = {
        "resourceType": "Observation", "id": f"o{number}",
        "meta": {"versionId": str(rng.randrange(3)), "lastUpdated": f"2024-05-0{1 + number % 9}T10:00:00Z"},
        "identifier": [{"system": "urn:x", "value": f"{number:07d}"}], "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": rng.choice(["2951-2", "2823-3"])}],
                 "text": "Prøve"},
        "subject": {"reference": f"Patient/{rng.randrange(30)}", "display": f"N {rng.randrange(9)}"},
        "encounter": {"reference": f"Encounter/{rng.randrange(90)}"},
        "effectiveDateTime": rng.choice(
            ["2024-05-01T10:00:00+02:00", "2024-05-01", "2024", "2024-03-31T02:30:00"]
        ),
        "issued": "2024-05-02T10:00:00.123+02:00",
        "valueQuantity": {"value": rng.choice([1, 140.25, 1e3, -0.0]), "unit": "mmol/L", "code": "mmol/L"},
        "interpretation": [{"coding": [{"code": rng.choice("HLN")}]}],
        "referenceRange": [{"low": {"value": 137, "unit": "mmol/L"}}],
    }  # fmt: skip
    odd = rng.randrange(60)
    if odd == 0:
        resource["valueQuantity"]["comparator"] = "<"
    elif odd == 1:
        resource["subject"] = {"identifier": {"system": "urn:x", "value": "5"}}
    elif odd == 2:
        resource["component"] = [{"code": {"text": "a"}, "valueString": "b"}]
    elif odd == 3:
        resource["note"] = [{"text": 'a "quoted" word'}]
    elif odd == 4:
        resource["effectiveDateTime"] = "yesterday"
    elif odd == 5:
        resource["valueQuantity"] = {"unit": "mmol/L", "value": 5.5}
    elif odd == 6:
        resource["context"] = {"reference": "Encounter/1"}
    elif odd == 7:
        resource["subject"]["reference"] = "https://x.example/fhir/Patient/1/_history/2"
    elif odd == 8:
        resource["status"] = 5
    raw = json.dumps(
        resource, ensure_ascii=number % 3 == 0, separators=rng.choice([(",", ":"), (", ", ": ")])
    ).encode()
    return _damaged(raw, rng) if odd in (9, 10, 11, 12) else raw


def _damaged(raw: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(raw))
    put = rng.choice(
        [b"", b'"', b"\\", b"{", b"]", b",", b"\xe6", b"\x01", b'"status":"final",', b'"value":1e999,', b"5"]
    )
    return raw[:place] + put + raw[place + rng.randrange(2) :]


def _both_ways(
    folder: Path, options: FhirOptions, monkeypatch: pytest.MonkeyPatch
) -> list[list[pl.DataFrame]]:
    def _told() -> list[pl.DataFrame]:
        parts = _read(folder, options)
        rows = pl.concat([part.tables["Observation"] for part in parts]).sort("_row", "kind", "code", "value")
        fates = pl.concat([part.fates for part in parts])
        return [rows, fates.sort(fates.columns)]

    quick = _told()
    with monkeypatch.context() as patch:
        patch.setattr(PlainReader, "read", lambda self, block: [])
        return [quick, _told()]


@pytest.mark.parametrize("units", [{}, {"LOINC//2951-2": "umol/L", "LOINC//2823-3": "mg/L"}])
def test_plain_observations_become_what_they_become_in_the_ordinary_way(
    tmp_path: Path, units: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(3)
    lines = [_observation(number, rng) for number in range(4_000)]
    (tmp_path / "x.ndjson").write_bytes(b"\n".join(lines))
    options = NO_SAMPLE.model_copy(update={"block_bytes": 400_000, "units": units})
    (rows, fates), (wanted_rows, wanted_fates) = _both_ways(tmp_path, options, monkeypatch)
    assert_frame_equal(rows, wanted_rows)
    assert_frame_equal(fates, wanted_fates)
    assert rows.height > 3_500


def test_most_observations_are_plain() -> None:
    rng = random.Random(4)
    lines = [_observation(number, rng) for number in range(2_000)]
    from pipelines.sources.fhir.ndjson import Lines
    from pipelines.sources.fhir.references import Resolver

    made = PlainReader(Resolver(NO_SAMPLE), NO_SAMPLE).read(Lines(1, 0, b"\n".join(lines)))
    assert sum(plain.positions.size for plain in made) > 800  # a third has escapes, a quarter no right time


def test_neither_blocks_nor_files_nor_workers_change_what_is_read(tmp_path: Path) -> None:
    rng = random.Random(5)
    lines = [_observation(number, rng) for number in range(600)]
    for name, parts in {"one": [lines], "three": [lines[:100], lines[100:350], lines[350:]]}.items():
        (tmp_path / name).mkdir()
        for number, part in enumerate(parts):
            (tmp_path / name / f"{number}.ndjson").write_bytes(b"\n".join(part))
    columns = ["_key", "_rank", "_digest", "subject", "value", "time"]
    tables = []
    for folder, size in (("one", 20_000), ("one", 8_000_000), ("three", 50_000)):
        reader = FhirReader(NO_SAMPLE.model_copy(update={"block_bytes": size}))
        reader = pickle.loads(pickle.dumps(reader))  # noqa: S301
        found = [part for file in reader.find(tmp_path / folder) for part in reader.read(file)]
        tables.append(pl.concat([part.tables["Observation"] for part in found]).select(columns).sort(columns))
    assert_frame_equal(tables[0], tables[1])
    assert_frame_equal(tables[0], tables[2])


def test_equal_facts_have_equal_digests_however_they_are_written(tmp_path: Path) -> None:
    one = _patient("1", birthDate="1950-01-01")
    (tmp_path / "a.ndjson").write_bytes(_lines(one))
    (tmp_path / "b.json").write_text(json.dumps(dict(reversed(one.items())), indent=3))
    (tmp_path / "c.json").write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": one}]}))
    (tmp_path / "d.ndjson").write_bytes(_lines({**one, "birthDate": "1950-01-02"}))
    digests = [part.tables["Patient"]["_digest"].unique().to_list() for part in _read(tmp_path)]
    assert digests[0] == digests[1] == digests[2] != digests[3]
    keys = {key for part in _read(tmp_path) for key in part.tables["Patient"]["_key"].to_list()}
    assert len(keys) == 1


def test_a_seeded_sample_of_each_type_is_validated_and_its_faults_are_told(tmp_path: Path) -> None:
    faulty = [_patient(str(number), birthDate="not a date", maritalStatus="x") for number in range(200)]
    (tmp_path / "a.ndjson").write_bytes(_lines(*faulty[:100]))
    (tmp_path / "b.ndjson").write_bytes(_lines(*faulty[100:]))
    options = FhirOptions(validate_share=0.0, validate_at_least=20)
    notes = sum((part.notes for part in _read(tmp_path, options)), start=type(_read(tmp_path)[0].notes)())
    assert notes["validated", "Patient"] == 20
    assert any(topic.startswith("faults") and text.startswith("Patient: ") for topic, text in notes)
    assert not any("not a date" in text for _, text in notes)
