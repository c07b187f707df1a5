"""The last gate: national numbers become a mark wherever they stand, and nothing else does."""

from __future__ import annotations

import logging

import polars as pl
import pytest

from pipelines.identity.scrubbing import MARK, Gate, ScrubbedLogs, scrub_text

NUMBER, D_NUMBER, SHARED, DUF = "17912099997", "57912075186", "80000000098", "200112345609"
"""Of Skatteetaten's test register (navikt/fnrvalidator issue 116); worked by hand in test_person_numbers.py;
of the tests of a public validator."""


@pytest.mark.parametrize("number", [NUMBER, D_NUMBER, SHARED, DUF, "15507600333", "31129956715"])
@pytest.mark.parametrize(
    "form", ["{}", "pas. {}, sett", "x{}y", "a/{}.csv", "({})", "nr:{}\n", "æ{}ø", "-{}", "{}|{}"]
)
def test_a_number_is_masked_wherever_it_stands(number: str, form: str) -> None:
    assert scrub_text(form.format(number, number)) == form.format(MARK, MARK)


@pytest.mark.parametrize(
    "text",
    [
        "179120 99997",
        "179120-99997",
        "179120.99997",
        "17.91.20 99997",
        "17 91 20 99997",
        "179120\u201399997",
        "179120\u00a099997",
        "179120\u202f99997",
        "179120\u201199997",
        "179120\u00ad99997",
        "179120\u200b99997",
        "179120  99997",
        "179120 - 99997",
        "179120_99997",
        "17/91/20 99997",
        "179120\t99997",
        "179120 999 97",
        "17 91 20 999 97",
        "179120%2099997",
        "179120+99997",
        "179120&nbsp;99997",
        "179120&#160;99997",
        "179120\\u00a099997",
        "\uff11\uff17\uff19\uff11\uff12\uff10\uff19\uff19\uff19\uff19\uff17",
        "\u0661\u0667\u0669\u0661\u0662\u0660\u0669\u0669\u0669\u0669\u0667",
    ],
)
def test_a_number_is_masked_however_it_is_spaced(text: str) -> None:
    assert scrub_text(f"nr {text}.") == f"nr {MARK}."
    assert Gate().column(pl.Series([f"nr {text}."])).to_list() == [f"nr {MARK}."]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("?id=%20{}", "?id=%20{}"),
        ("?id=%22{}%22", "?id=%22{}%22"),
        ("\\u0020{}", "\\u0020{}"),
        ('{{"id": "{}"}}', '{{"id": "{}"}}'),
    ],
)
def test_a_number_is_masked_behind_a_mark_that_is_written_with_digits(text: str, masked: str) -> None:
    gate = Gate()
    assert scrub_text(text.format(NUMBER)) == masked.format(MARK)
    assert gate.column(pl.Series([text.format(NUMBER)])).to_list() == [masked.format(MARK)]


@pytest.mark.parametrize("text", ["1.7912099997e10", "1.7912099997E+10", "1,7912099997E+10"])
def test_a_number_that_a_spreadsheet_wrote_is_masked(text: str) -> None:
    assert scrub_text(text) == MARK
    assert Gate().column(pl.Series([text])).to_list() == [MARK]


@pytest.mark.parametrize(
    "text",
    [
        "179120999971",  # inside a longer run
        "1179120999972",
        "17912099998",  # wrong control digit
        "3.17912099997",  # the decimals of a number
        "-0.17912099997e-3",
        "18.731394063",  # amounts of infusions in MIMIC-III that would pass the controls
        "1970.0000985",
        "1.7912099998e10",
        "2024-01-15T12:34:56+01:00",
        "NDC//17912099997",  # codes of eleven digits
        "ICD10-NO//A41.9",
        "NLK//NPU19748",
        "2024-01-15 12:34:56.123456",
        "urn:oid:2.16.578.1.12.4.1.1.7426",
        "",
        "[person number]",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert scrub_text(text) == text


def test_numbers_of_an_oid_with_a_value_are_masked() -> None:
    assert scrub_text(f"urn:oid:2.16.578.1.12.4.1.4.1.{NUMBER}") == f"urn:oid:2.16.578.1.12.4.1.4.1.{MARK}"


def test_two_numbers_side_by_side_are_both_masked() -> None:
    assert scrub_text(f"{NUMBER} {D_NUMBER}") == f"{MARK} {MARK}"
    assert scrub_text(f"11 {NUMBER}") == f"11 {MARK}"


def test_by_chance_about_one_in_ninety_runs_of_eleven_digits_is_masked() -> None:
    # 366 days of the year x 4 ways of writing the month x 2 (D-numbers) = 2,928 of the 10,000 beginnings, 4
    # of 121 control digits; 2 of 10 first digits, 1 of 121: 1.13 %
    runs = pl.Series("r", [f"{number * 61_803_398_887 % 10**11:011d}" for number in range(1, 200_000, 3)])
    gate = Gate()
    share = gate.column(runs).str.contains(MARK, literal=True).mean()
    assert isinstance(share, float)
    assert abs(share - (0.2928 * 4 / 121 + 0.2 / 121)) < 0.002
    assert gate.found == {"r": round(share * runs.len())}


def test_ids_of_snomed_extensions_with_eleven_digits_begin_with_no_date() -> None:
    # SNOMED International, namespace registry: namespaces begin with 1000; Norway's is 1000202. The item
    # identifiers 1 to 7 with every namespace 1000000-1000999 and partitions 10, 11, 12.
    ids = [
        f"{item}{space}{part}{check}"
        for item in range(1, 8)
        for space in range(1_000_000, 1_001_000, 7)
        for part in (10, 11, 12)
        for check in range(10)
    ]
    gate = Gate()
    gate.column(pl.Series("sctid", ids))
    assert gate.found == {}


def test_a_frame_without_numbers_is_given_back_as_it_is() -> None:
    frame = pl.DataFrame({"a": ["x" * 20, None], "n": [1, 2], "b": ["12345678901234", "NLK//NPU19748"]})
    gate = Gate()
    assert gate.frame(frame) is frame
    assert gate.found == {}


def test_cells_are_counted_by_column_and_nulls_stay() -> None:
    frame = pl.DataFrame(
        {"a": [f"{NUMBER} og {D_NUMBER}", None, NUMBER], "b": ["y", NUMBER, "z"], "n": [1, 2, 3]}
    )
    gate = Gate()
    masked = gate.frame(frame)
    assert masked["a"].to_list() == [f"{MARK} og {MARK}", None, MARK]
    assert gate.found == {"a": 2, "b": 1}


def test_parsed_json_loses_its_numbers_keys_among_them() -> None:
    gate = Gate()
    content = {NUMBER: [f"a {NUMBER}", 3, None, {"b": DUF}]}
    assert gate.content(content) == {MARK: [f"a {MARK}", 3, None, {"b": MARK}]}
    assert gate.found == {"metadata": 3}


def test_log_lines_lose_their_numbers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(ScrubbedLogs())
    logging.getLogger("pesta-test").warning("file %s of %d", f"{NUMBER}.csv", 2)
    assert caplog.messages == [f"file {MARK}.csv of 2"]
