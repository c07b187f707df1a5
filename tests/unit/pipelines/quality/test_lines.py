"""Lines for a terminal and words for counts: small counts are hidden, in whichever direction."""

from __future__ import annotations

import pytest

from pipelines.quality.checking import judge
from pipelines.quality.lines import quality_lines
from pipelines.quality.model import load_checks
from pipelines.quality.wording import masked_text, share_words, shown_count, shown_part, shown_share


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0"), (1, "<5"), (4, "<5"), (5, "5"), (12_345, "12\u202f345")]
)
def test_counts_from_one_to_four_are_hidden(count, words):
    assert shown_count(count) == words


@pytest.mark.parametrize(
    ("wrong", "rows", "words"),
    [(0, 100, "0%"), (1, 100, "<5%"), (4, 1000, "<0.5%"), (5, 100, "5%"), (3, 4, "–"), (123, 1000, "12%")],
)
def test_shares_of_hidden_counts_do_not_tell_them(wrong, rows, words):
    assert shown_share(wrong, rows) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0%"), (0.5, "50%"), (0.0123, "1.2%"), (0.000001234, "0.00012%"), (1.0, "100%")],
)
def test_a_share_is_written_in_percent_with_two_digits(share, words):
    assert share_words(share) == words


def test_a_text_that_looks_like_a_persons_number_is_hidden():
    assert masked_text("15819010053") == "(hidden: may name a person)"
    assert masked_text("NLK//NPU19748") == "NLK//NPU19748"


def test_lines_tell_the_table_and_what_failed_with_its_worst_groups(write):
    # All 120 results of each of two systems lie at midnight; at most a tenth may, of at least 100.
    rows = [
        {"subject_id": 1, "time": f"2020-{month:02}-{day:02}T00:00", "code": code}
        for month in range(1, 6)
        for day in range(1, 25)
        for code in ("NLK//A", "VITAL//b")
    ]
    result = judge(write(rows), load_checks(["midnight", "events-sorted"]))
    lines = list(quality_lines(result))
    assert lines[0] == "2 checks, 2 of them judged; failed of judged:"
    assert "fatal" in lines[1]
    assert lines[2].split() == ["conformance", "0", "of", "1", "-", "-"]
    assert lines[4].split() == ["plausibility", "-", "1", "of", "1", "-"]
    assert lines[5].startswith("convention: midnight: measurements and drugs at midnight exactly")
    assert lines[6:] == ["  NLK: 120 of 120 (100%)", "  VITAL: 120 of 120 (100%)"]


def test_counts_of_months_are_nobodys_and_shown(write):
    # A system of ten patients a month with one silent month of the ten that are judged.
    rows = [
        {"subject_id": subject, "time": f"2020-{month:02}-10T10:00", "code": "NLK//A"}
        for month in range(1, 13)
        for subject in range(0 if month == 6 else 30)
    ]
    lines = list(quality_lines(judge(write(rows), load_checks(["silent-system"]))))
    assert lines[-1] == "  NLK: 1 of 10 (10%)"


@pytest.mark.parametrize(
    ("n_violated", "n_rows", "told"),
    [
        (4, 100, ("<5", "<5%")),
        (5, 100, ("5", "5%")),
        (95, 100, ("95", "95%")),
        # The rest would be 4 and 1: fewer than five are right.
        (96, 100, (">95", ">95%")),
        (1999, 2000, (">1\u202f995", ">99%")),
        (100, 100, ("100", "100%")),
        (6, 7, (">2", ">29%")),
        (3, 7, ("<5", "<71%")),
    ],
)
def test_what_is_left_over_is_not_told_where_it_is_few(n_violated, n_rows, told):
    assert (shown_part(n_violated, n_rows), shown_share(n_violated, n_rows)) == told
    assert shown_part(3, 4, is_exact=True) == "3"
