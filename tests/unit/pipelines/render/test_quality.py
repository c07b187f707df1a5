"""The quality page: what failed stands there with counts and advice, small counts and names do not."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from phenotype.trajectory import EVENTS, Dataset
from pipelines.quality.checking import judge
from pipelines.quality.model import Check, load_checks
from pipelines.render.quality import write_quality_page

ROWS = [
    *(
        {"subject_id": n, "time": f"20{18 + n % 3}-03-10T00:00", "code": "NLK//NPU19748"}
        for n in range(1, 200)
    ),
    *({"subject_id": n, "time": "1990-01-02T00:00", "code": "MEDS_BIRTH"} for n in range(1, 200)),
]


def dataset_of(folder: Path, rows: list[dict[str, object]]) -> Dataset:
    (folder / "data").mkdir(parents=True)
    events = pl.DataFrame(
        [{name: row.get(name) for name in EVENTS} for row in rows], infer_schema_length=None
    )
    times = pl.col("time", "known_time").cast(pl.String).str.to_datetime(time_unit="us")
    events.with_columns(times).cast(dict(EVENTS)).sort("subject_id", "time").write_parquet(
        folder / "data" / "0.parquet"
    )
    return Dataset(folder)


@pytest.fixture
def page(tmp_path: Path) -> str:
    return page_of(tmp_path, ROWS)


def page_of(folder: Path, rows: list[dict[str, object]], checks: tuple[Check, ...] | None = None) -> str:
    result = judge(dataset_of(folder / "dataset", rows), checks or load_checks())
    write_quality_page(result, folder / "index.html")
    return (folder / "index.html").read_text("utf-8")


def test_a_failed_check_stands_with_its_counts_threshold_and_advice(page):
    # All 199 results lie at midnight, at most a tenth may.
    article = re.search(r'<article class="check convention" id="midnight">.*?</article>', page, re.DOTALL)
    assert article
    cells = re.findall(r'<td class="n">(.*?)</td>', article[0])
    assert cells == ["199", "199", "100%", "10%"]
    assert "Laboratory (NLK)" in article[0]
    assert "What to do." in article[0]


def test_every_check_says_why_and_where_it_comes_from(page):
    text = re.sub(r"\s+", " ", page)
    for check in load_checks():
        assert f"<code>{check.id}</code>" in page
        assert " ".join(check.why.split()).replace("'", "&#39;").replace('"', "&#34;") in text, check.id


def test_the_heat_table_counts_checks_by_category_and_severity(page):
    heat = re.search(r'<table class="heat">.*?</table>', page, re.DOTALL)
    assert heat
    rows = re.findall(r"<tr><th scope=\"row\">(\w+)</th>(.*?)</tr>", heat[0], re.DOTALL)
    assert [name for name, _ in rows] == ["conformance", "completeness", "plausibility", "all"]
    n_failed = {name: [int(n) for n in re.findall(r"<b>(\d+)</b>", cells)] for name, cells in rows}
    by_category = [sum(n_failed[name][-1:]) for name in ("conformance", "completeness", "plausibility")]
    assert n_failed["all"][-1] == sum(by_category)


def test_no_fatal_failure_is_said_and_a_fatal_one_stands_first(page, tmp_path):
    assert "No fatal check failed." in page
    born_twice = [*ROWS, {"subject_id": 7, "time": "1995-01-02T00:00", "code": "MEDS_BIRTH"}]
    bad = page_of(tmp_path / "bad", born_twice)
    assert "No fatal check failed." not in bad
    assert '<a href="#born-once">' in bad
    # One subject of 199: a count that is not shown.
    article = re.search(r'id="born-once">.*?</article>', bad, re.DOTALL)
    assert article
    assert re.findall(r'<td class="n">(.*?)</td>', article[0]) == ["&lt;5", "199", "&lt;2.5%", "0%"]


def test_texts_from_the_data_are_escaped_and_identity_numbers_hidden(tmp_path):
    rows = [
        {"subject_id": n, "time": "2020-03-10T00:00", "code": code}
        for n in range(1, 200)
        for code in ("<script>alert(1)</script>//x", "15819010053//x")
    ]
    check = load_checks(["midnight"])[0]
    rule = {**check.rule.model_dump(), "among": "", "by": ["system"]}
    page = page_of(tmp_path, rows, (Check.model_validate({**check.model_dump(), "rule": rule}),))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "15819010053" not in page
    assert "hidden: may name a person" in page


def test_the_page_fetches_nothing_and_allows_nothing_else(page):
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert not re.search(r"<[^>]+\sstyle=", page)
    assert "default-src 'none'" in page.replace("&#39;", "'")


def test_the_same_results_give_the_same_page(tmp_path):
    assert page_of(tmp_path / "a", ROWS) == page_of(tmp_path / "b", ROWS)
