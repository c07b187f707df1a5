"""Lines of NDJSON in blocks, and the reasons why a line is none, by hand."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ontology.errors import InputError
from pipelines.sources.fhir.ndjson import blocks
from pipelines.sources.fhir.parsing import (
    BROKEN,
    CUT_OFF,
    NOT_UTF8,
    TOO_DEEP,
    TWO_VALUES,
    UnreadableJsonError,
    all_parsed,
    parsed,
)


def _read(path: Path, block_bytes: int = 1_000, most_bytes: int = 10_000) -> list[tuple[int, int, bytes]]:
    found = []
    for block in blocks(path, "x", block_bytes=block_bytes, most_bytes=most_bytes):
        lines = [None] if block.too_large else block.lines
        found += [(block.first_row + i, offset, line) for i, (line, offset) in
                  enumerate(zip(lines, block.offsets(), strict=True))]  # fmt: skip
    return found


@settings(max_examples=50, deadline=None)
@given(lines=st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), min_size=1),
       size=st.integers(1, 60), ends=st.booleans())  # fmt: skip
def test_any_block_size_gives_the_lines_their_numbers_and_offsets(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int, ends: bool
) -> None:
    if lines[0].startswith(b"\xef\xbb\xbf") or lines[0].startswith(b"\x1f\x8b"):
        lines[0] = b"x" + lines[0]
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    path = tmp_path_factory.mktemp("lines") / "x.ndjson"
    path.write_bytes(content)
    wanted = content.split(b"\n")
    wanted = wanted[:-1] if wanted[-1] == b"" else wanted
    read = _read(path, block_bytes=size)
    assert [line for _, _, line in read] == wanted
    assert [row for row, _, _ in read] == list(range(1, len(wanted) + 1))
    assert all(content[offset : offset + len(line)] == line for _, offset, line in read)


def test_a_byte_order_mark_and_packing_change_nothing_but_offsets(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a", tmp_path / "b"
    plain.write_bytes(b"\xef\xbb\xbf{}\n{}")
    packed.write_bytes(gzip.compress(b"{}\n{}"))
    assert _read(plain) == [(1, 3, b"{}"), (2, 6, b"{}")]
    assert _read(packed) == [(1, 0, b"{}"), (2, 3, b"{}")]


def test_a_line_beyond_the_limit_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a\n" + b"b" * 5_000 + b"\nc")
    assert _read(path, block_bytes=100, most_bytes=1_000) == [(1, 0, b"a"), (2, 2, None), (3, 5_003, b"c")]


def test_a_packed_file_that_is_cut_off_is_no_input(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 9_000)[:-20])
    with pytest.raises(InputError, match="cut off"):
        _read(path)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1', BROKEN),
        (b'{"a": 01}', BROKEN),
        (b'{"a": NaN}', BROKEN),
        (b'{"a": "\xe6"}', NOT_UTF8),
        (b"[" * 2_000 + b"]" * 2_000, TOO_DEEP),
        (b"[" * 500 + b"]" * 500, TOO_DEEP),
        (b'{"a": 1, "b": 2, "a": 1}', TWO_VALUES),
        (b'{"a": [{"b": {"c": 1, "c": 2}}]}', TWO_VALUES),
    ],
)
def test_what_is_no_value_has_a_fixed_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(UnreadableJsonError, match=reason):
        parsed(raw)
    assert all_parsed([b"{}", raw], b"{}\n" + raw) is None


def test_the_last_line_may_be_cut_off() -> None:
    with pytest.raises(UnreadableJsonError, match=CUT_OFF.partition(":")[0]):
        parsed(b'{"a": 1', is_last=True)


def test_texts_that_look_like_names_are_no_names() -> None:
    raw = rb'{"a": "\u0022:", "b": "\"a\":", "c": {"a": 1}}'
    assert parsed(raw) == {"a": '":', "b": '"a":', "c": {"a": 1}}
