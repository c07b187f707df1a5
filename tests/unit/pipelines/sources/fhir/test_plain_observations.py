"""Lines beside plain ones that must not be taken for plain: the ordinary way says what they are."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.plain_observations import PlainReader
from pipelines.sources.fhir.reader import FhirReader
from pipelines.sources.records import Part

OPTIONS = FhirOptions(validate_share=0, validate_at_least=0, block_bytes=20_000, most_bytes=2_000)


def _observation(number: int, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"versionId": "1", "lastUpdated": "2024-05-03T10:00:00Z"},
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2951-2"}]},
        "subject": {"reference": f"Patient/{number % 7}"},
        "effectiveDateTime": f"2024-05-01T10:{number % 60:02d}:00Z",
        "issued": f"2024-05-02T10:{number % 60:02d}:00Z",
        "valueQuantity": {"value": 100 + number / 10, "unit": "mmol/L"},
        **more,
    }


def _swapped(number: int) -> dict[str, Any]:
    """The same facts, what was issued before what was effective: both are cut at the same places."""
    made = _observation(number)
    names = list(made)
    first, second = names.index("effectiveDateTime"), names.index("issued")
    names[first], names[second] = names[second], names[first]
    return {name: made[name] for name in names}


def _line(resource: dict[str, Any]) -> bytes:
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(count: int = 40) -> list[bytes]:
    return [_line(_observation(number)) for number in range(count)]


def _read(folder: Path, lines: list[bytes]) -> list[Part]:
    (folder / "x.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    reader = FhirReader(OPTIONS)
    return [part for file in reader.find(folder) for part in reader.read(file)]


def _rows(parts: list[Part]) -> pl.DataFrame:
    found = [part.tables["Observation"] for part in parts if "Observation" in part.tables]
    return pl.concat(found).sort("_row")


def _reasons(parts: list[Part]) -> dict[int, str]:
    fates = pl.concat([part.fates for part in parts]).filter(pl.col("fate") == "rejected")
    return dict(fates.select("_row", "reason").iter_rows())


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Switches the quick way off, when asked."""
    return monkeypatch


def test_times_in_another_order_are_not_taken_for_one_another(tmp_path: Path) -> None:
    """Blocks of the one order, then lines of it behind one of the other: each keeps its own times."""
    lines = [_line(_observation(number)) for number in range(100)]
    lines += [_line(_swapped(number)) for number in range(100, 200)]
    for number in range(200, 400):
        lines.append(_line(_swapped(number) if number % 50 < 2 else _observation(number)))
    rows = _rows(_read(tmp_path, lines))
    assert rows.height == 400
    assert rows.filter(pl.col("time").dt.day() != 1).is_empty()
    assert rows.filter(pl.col("known_time").dt.day() != 2).is_empty()


def _replaced(old: str, new: str) -> bytes:
    line = _plain(6)[5].decode()
    assert old in line
    return line.replace(old, new).encode()


ODD = {
    "a list around the object": b"[" + _plain(6)[5] + b"]",
    "a list of as many texts": json.dumps(["a"] * (_plain(6)[5].count(b'"') // 2)).encode(),
    "a list of subjects": _replaced('{"reference":"Patient/5"}', '[{"reference":"Patient/5"}]'),
    "a list of references": _replaced('"Patient/5"', '["Patient/5"]'),
    "a list of times": _replaced('"2024-05-01T10:05:00Z"', '["2024-05-01T10:05:00Z"]'),
    "a list of ids": _replaced('"o5"', '["o5"]'),
    "a list of versions": _replaced('"versionId":"1"', '"versionId":["1"]'),
    "a space that JSON has not": _replaced('"value":', '"value":\u00a0'),
    "a space that JSON has not, behind": _replaced("100.5,", "100.5\u2003,"),
    "minus nothing": _replaced("100.5", "-0"),
    "an infinite number": _replaced("100.5", "1e400"),
    "zeros before a number": _replaced("100.5", "007"),
    "an element twice": _replaced('"status":"final"', '"status" :"final","status":"cancelled"'),
    "an element twice behind an escape": _replaced(
        '"status":"final"', '"status":"final","status":"cancelled","note":[{"text":"a\\u0022: b"}]'
    ),
    "a line that is too large": _line(_observation(5, note=[{"text": "x" * 2_000}])),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_line_among_plain_ones_is_what_it_is_alone(
    odd: bytes, tmp_path: Path, ordinary: pytest.MonkeyPatch
) -> None:
    lines = _plain()
    lines[20:20] = [odd] * 25
    quick = _read(tmp_path, lines)
    ordinary.setattr(PlainReader, "read", lambda self, block: [])
    slow = _read(tmp_path, lines)
    assert_frame_equal(_rows(quick), _rows(slow).select(_rows(quick).columns))
    signs = [rows["value"].to_numpy().view("int64").tolist() for rows in (_rows(quick), _rows(slow))]
    assert signs[0] == signs[1]
    assert _reasons(quick) == _reasons(slow)


@pytest.mark.parametrize(
    "twice",
    [
        b'{"resourceType" : "Patient", "id":"1", "gender":"male", "gender":"female"}',
        b'{"resourceType":"Patient","id":"1","gender":"male","gender":"female","x":[{"a":"\\u0022: x"}]}',
        b'{"resourceType":"Patient","id":"1","gender":"male","gender":"female","x":[{"a":"\\"\\u003a x"}]}',
    ],
)
def test_an_element_twice_is_found_however_keys_and_texts_are_written(twice: bytes, tmp_path: Path) -> None:
    assert _reasons(_read(tmp_path, [twice])) == {1: "an element stands twice"}
    right = twice.replace(b'"gender":"female"', b'"active":true')
    parts = _read(tmp_path, [right, right.replace(b'"1"', b'"2"')])
    assert _reasons(parts) == {}
    assert sum(part.n_records for part in parts) == 2
