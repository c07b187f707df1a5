"""A finished run becomes pages that stand alone, say what the data say, and let no text of the record act."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import InputError
from phenotype.explain.wording import short_id_words
from phenotype.trajectory import Dataset
from pipelines.render.report import render_report

NASTY_SUBJECT = 1007
VOID = {"meta", "br", "img", "link", "input", "hr"}


@pytest.fixture(scope="session")
def report(finished_run: tuple[Path, Dataset]) -> Path:
    run, dataset = finished_run
    return render_report(run, dataset, subjects=[NASTY_SUBJECT, 1999], n_highest=3, n_lowest=2).parent


class Outline(HTMLParser):
    """The elements of a page, with what must be true of any well-made page collected on the way."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.names: Counter[str] = Counter()
        self.headings: list[int] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.attributes.append((tag, dict(attrs)))
        if len({name for name, _ in attrs}) != len(attrs):
            self.faults.append(f"an attribute twice on <{tag}>")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, text: str) -> None:
        self.text.append(text)


def outline(file: Path) -> Outline:
    parsed = Outline()
    parsed.feed(file.read_text("utf-8"))
    parsed.close()
    return parsed


def test_there_is_an_index_and_a_page_for_each_chosen_patient(report: Path) -> None:
    """3 highest, 2 lowest and the one asked for, who may be among the highest, for each of 2 tasks."""
    names = sorted(file.name for file in report.iterdir())
    assert "index.html" in names
    for task in ("icu_death_48h", "icu_sepsis_hourly"):
        pages = [name for name in names if name.startswith(f"patient-{task}-") and name.endswith(".html")]
        assert 5 <= len(pages) <= 6
        assert f"patient-{task}-{NASTY_SUBJECT}.html" in pages
    assert len([name for name in names if name.endswith(".md")]) == len(names) // 2


def test_the_highest_risks_of_the_leading_model_get_pages(
    report: Path, finished_run: tuple[Path, Dataset]
) -> None:
    predictions = pl.read_parquet(
        finished_run[0] / "predictions" / "icu_death_48h" / "lightgbm" / "held_out.parquet"
    )
    ranked = predictions.sort("predicted_boolean_probability", descending=True)["subject_id"].to_list()
    for subject in [*ranked[:3], *ranked[-2:]]:
        assert (report / f"patient-icu_death_48h-{subject}.html").exists()


def test_pages_are_well_formed_with_headings_in_order(report: Path) -> None:
    for file in report.glob("*.html"):
        page = outline(file)
        assert not page.faults, file.name
        assert not page.open, file.name
        assert page.headings[0] == 1
        assert page.headings.count(1) == 1
        assert all(
            later <= earlier + 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False)
        )


def test_pages_stand_alone_without_script_and_fetch_nothing(report: Path) -> None:
    for file in report.glob("*.html"):
        page = outline(file)
        assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(page.names), (
            file.name
        )
        for tag, attributes in page.attributes:
            assert not [name for name in attributes if name.startswith("on") or name == "style"], (
                file.name,
                tag,
            )
            for name in ("src", "href", "xlink:href"):
                target = attributes.get(name) or ""
                assert not re.match(r"(?i)\s*(https?:|//|javascript:|data:)", target), (file.name, target)
            if tag == "a" and not str(attributes["href"]).startswith("#"):
                assert (report / str(attributes["href"])).exists(), attributes["href"]


def test_the_policy_lets_in_the_style_sheet_by_its_digest_and_nothing_else(report: Path) -> None:
    import base64
    import hashlib

    text = (report / "index.html").read_text("utf-8")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policies = [a["content"] for tag, a in outline(report / "index.html").attributes if a.get("http-equiv")]
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ]


def test_no_text_of_the_record_becomes_markup(report: Path) -> None:
    """The strings sit in a code, a unit, a text value, a ward, a subgroup and the manifest."""
    page = outline(report / f"patient-icu_death_48h-{NASTY_SUBJECT}.html")
    said = "".join(page.text)
    assert said.count("<script>alert('x')</script>") >= 3
    assert "{{7*7}}" in said
    assert "49" not in re.findall(r"&(\d+)\{%", said)
    markdown = (report / f"patient-icu_death_48h-{NASTY_SUBJECT}.md").read_text("utf-8")
    assert "<script" not in markdown.replace("\\<script", "")
    assert not re.search(r"(?<!\\)\[a(?<!\\)\]\(", markdown)


def test_every_drawing_has_a_name_and_every_header_cell_a_scope(report: Path) -> None:
    for file in report.glob("*.html"):
        for tag, attributes in outline(file).attributes:
            if tag == "svg":
                assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true", file.name
            if tag == "th":
                assert attributes.get("scope") in {"col", "row", "rowgroup"}, file.name


def test_nothing_later_than_the_prediction_stands_outside_the_fold_out(report: Path) -> None:
    """Vital signs run until hour 59.5 after admission (12 March 2024, 19:50); the prediction is at 08:20."""
    for file in report.glob("patient-icu_death_48h-*.html"):
        before = file.read_text("utf-8").split('<details class="then">')[0]
        clocks = re.findall(r"12 March 2024, (\d\d:\d\d)", before)
        assert clocks
        assert max(clocks) <= "08:20"


def test_the_index_links_the_cards_that_there_are(report: Path) -> None:
    links = {a["href"] for tag, a in outline(report / "index.html").attributes if tag == "a"}
    assert {link for link in links if link and link.startswith("..")} == {
        "../cards/icu_death_48h/lightgbm.md",
        "../cards/icu_death_48h/TRIPOD-AI.md",
    }


def test_what_is_reported_apart_stands_in_the_index_of_the_task_that_has_it(report: Path) -> None:
    said = " ".join("".join(outline(report / "index.html").text).split())
    assert said.count("With and without patients seen in training") == 1
    assert said.count("Reported apart") == 1
    assert "the outcome began in hospital 31 21 31" in " ".join(
        " ".join(outline(report / "index.html").text).split()
    )
    assert "12 predictions are left out as censored" in said


def test_the_cohorts_reasons_name_their_model_and_the_size_of_the_sample(report: Path) -> None:
    """40 held-out patients with one prediction each; the sample of 200 was to hold all of them."""
    said = " ".join("".join(outline(report / "index.html").text).split())
    assert said.count("What the model uses most") == 2
    assert "a random sample of 40 held-out predictions of 40 patients" in said


def test_a_long_pseudonym_is_short_in_the_heading_and_whole_below_it() -> None:
    assert short_id_words(5511017514579083608) == "…3608"
    assert short_id_words(1007) == "1007"


def test_a_patient_asked_for_who_is_not_held_out_is_told_of(report: Path) -> None:
    assert "1 of the patients asked for" in "".join(outline(report / "index.html").text)


def test_writing_the_report_again_gives_the_same_bytes(
    report: Path, finished_run: tuple[Path, Dataset]
) -> None:
    before = {file.name: file.read_bytes() for file in report.iterdir()}
    render_report(*finished_run, subjects=[NASTY_SUBJECT, 1999], n_highest=3, n_lowest=2)
    assert {file.name: file.read_bytes() for file in report.iterdir()} == before


def test_an_unfinished_run_is_refused_with_the_next_step(
    tmp_path: Path, finished_run: tuple[Path, Dataset]
) -> None:
    with pytest.raises(InputError, match="goes on where it stood"):
        render_report(tmp_path, finished_run[1])
