"""Example folders in tests/examples/coding_rules: contacts that break each rule, and contacts that do not.

A folder bears the id of a rule. expected.csv was written by hand: for each contact its kind (breaks,
looks_alike, before_start, after_end, not_judged), what the rule says of it (broken, judged, outside: the rule
is not about it, not_judgeable), the codes at fault, what is suggested, which innocent explanation makes it
less probable, and why. All examples are judged at once, as if they were one region's hospitals.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest

from ontology.building import build_ontology
from ontology.configuration import find_config
from phenotype.coding.coded_record import ContactFacts, read_coded_record
from phenotype.coding.rules.judging import Judgement, judge_rules
from phenotype.coding.rules.rules import load_rules
from phenotype.trajectory import BIRTH_CODE, CODINGS, CONTACTS, EVENTS, Dataset

FOLDER = Path(__file__).parent / "coding_rules"
LISTS = Path(__file__).parent / "coding_lists" / "ontology.yaml"
RULES = {rule.id: rule for rule in load_rules()}
FACTS = ContactFacts.load(find_config("coding", "contact_facts"))
EACH = 1_000
"""Each example has so many numbers of contacts and subjects."""
INSTANTS = {"start_time", "end_time", "coded_time", "time", "birth_date"}


def table(folder: Path, name: str) -> pl.DataFrame:
    """A text table, empty cells null, instants read."""
    file = folder / f"{name}.csv"
    if not file.exists():
        return pl.DataFrame()
    texts = pl.read_csv(file, infer_schema=False)
    return texts.with_columns(
        pl.col(column).str.replace("^(.{10})$", "$1 00:00").str.to_datetime("%Y-%m-%d %H:%M", time_unit="us")
        for column in texts.columns
        if column in INSTANTS
    )


def as_schema(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Rows with the columns of a schema, those that are not there null."""
    return rows.select(
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )


def moved(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    """An example's rows with contact and subject numbers that no other example has."""
    names = [name for name in ("contact_id", "subject_id") if name in rows.columns]
    return rows.with_columns(pl.col(name).cast(pl.Int64) + EACH * number for name in names)


def tables() -> dict[str, pl.DataFrame]:
    """All examples as one hospital: contacts, codings and events."""
    contacts, codings, events = [], [], []
    for number, name in enumerate(sorted(RULES)):
        folder = FOLDER / name
        contacts.append(
            moved(table(folder, "contacts"), number).with_columns(
                hospital_id=pl.lit(f"{name}:") + pl.col("hospital_id")
            )
        )
        codings.append(moved(table(folder, "codings"), number))
        owner = contacts[-1].select("contact_id", "subject_id", time="start_time")
        births = contacts[-1].select("subject_id", time="birth_date").drop_nulls().unique("subject_id")
        events.append(as_schema(births.with_columns(code=pl.lit(BIRTH_CODE)), EVENTS))
        events.append(
            as_schema(facts(moved(table(folder, "facts"), number)).join(owner, on="contact_id"), EVENTS)
        )
        if (grown := table(folder, "events")).height:
            told = moved(grown, number).rename({"text": "text_value"})
            events.append(as_schema(told.join(owner.drop("time"), on="contact_id"), EVENTS))
    numbered = pl.concat(codings).with_row_index("lineage_id")
    return {
        "contacts": as_schema(pl.concat(contacts), CONTACTS),
        "codings": as_schema(numbered, CODINGS),
        "events": pl.concat(events).sort("subject_id", "time", "code"),
    }


def facts(rows: pl.DataFrame) -> pl.DataFrame:
    """What is told of contacts as events."""
    begins = {name: fact.codes[0] for name, fact in FACTS.facts.items()}
    begin = pl.col("fact").replace_strict(begins, return_dtype=pl.String)
    is_rest = begin.str.ends_with("//")
    return rows.with_columns(
        code=pl.when(is_rest).then(begin + pl.col("value").fill_null("")).otherwise(begin),
        numeric_value="number",
        text_value=pl.when(~is_rest).then("value"),
    )


@cache
def judged(seed: int | None) -> Judgement:
    """What all rules say of all examples; with a seed, rows shuffled."""
    with TemporaryDirectory() as folder:
        out = Path(folder)
        (out / "data").mkdir()
        for name, rows in tables().items():
            file = out / "data" / "0.parquet" if name == "events" else out / f"{name}.parquet"
            is_mixed = seed is not None and name != "events"
            (rows.sample(fraction=1, shuffle=True, seed=seed) if is_mixed else rows).write_parquet(file)
        ontology = build_ontology(LISTS)
        record = read_coded_record(Dataset(out), ontology, FACTS)
        return judge_rules(list(RULES.values()), Dataset(out), record, ontology)


def mine(name: str, seed: int | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Findings of a rule about the contacts of its own example, and their items."""
    number = sorted(RULES).index(name)
    judgement = judged(seed)
    items = judgement.found.items.with_columns(number=pl.col("contact_id") // EACH).filter(
        pl.col("number") == number
    )
    findings = judgement.found.findings.filter(
        (pl.col("rule_id") == name) & pl.col("finding_id").is_in(items["finding_id"].implode())
    )
    own = items.filter(pl.col("finding_id").is_in(findings["finding_id"].implode()))
    return findings, own.with_columns(pl.col("contact_id") - EACH * number)


def expected(name: str) -> pl.DataFrame:
    """What was worked out by hand."""
    return table(FOLDER / name, "expected").with_columns(pl.col("contact_id").cast(pl.Int64))


def broken_contacts(name: str, seed: int | None) -> dict[int, tuple[str, str, str]]:
    """Codes at fault, suggested codes and explanations of each contact that breaks a rule."""
    findings, items = mine(name, seed)
    own = items.join(findings.select("finding_id", "innocent_explanations"), on="finding_id")
    breaks = set(expected(name).filter(pl.col("outcome") == "broken")["contact_id"])
    found: dict[int, tuple[str, str, str]] = {}
    for (finding, contact), rows in own.group_by("finding_id", "contact_id", maintain_order=True):
        others = own.filter((pl.col("finding_id") == finding) & (pl.col("contact_id") != contact))
        if rows["code"].null_count() == rows.height and contact not in breaks and others.height:
            continue
        codes, suggested, held = found.get(int(contact), ("", "", ""))
        codes = " ".join(filter(None, [codes, *rows["code"].drop_nulls().str.split("//").list.last()]))
        suggested = " ".join(filter(None, [suggested, *rows["suggested_code"].drop_nulls()]))
        held = " ".join(dict.fromkeys([*held.split(), *rows["innocent_explanations"].explode().drop_nulls()]))
        found[int(contact)] = (" ".join(sorted(codes.split())), suggested, held)
    return found


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("seed", [None, 5], ids=["as written", "shuffled"])
def test_an_example_comes_out_as_worked_out_by_hand(name: str, seed: int | None) -> None:
    wanted = {
        int(row["contact_id"]): (
            " ".join(sorted((row["codes"] or "").split())),
            row["suggested"] or "",
            row["explanations"] or "",
        )
        for row in expected(name).filter(pl.col("outcome") == "broken").iter_rows(named=True)
    }
    assert broken_contacts(name, seed) == wanted


@pytest.mark.parametrize("name", sorted(RULES))
def test_what_could_be_judged_and_what_could_not_adds_up(name: str) -> None:
    is_mine = (pl.col("rule_id") == name) & pl.col("unit_id").str.starts_with(f"{name}:")
    coverage = judged(None).coverage.filter(is_mine)
    outcomes = dict(expected(name).group_by("outcome").agg(pl.len()).iter_rows())
    assert coverage["broken"].sum() == outcomes["broken"]
    assert coverage["judged"].sum() == outcomes["broken"] + outcomes.get("judged", 0)
    assert coverage["not_judgeable"].sum() == outcomes.get("not_judgeable", 0)
    told = coverage.filter(pl.col("not_judgeable") > 0)
    wanted = expected(name).filter(pl.col("outcome") == "not_judgeable").group_by("reason").agg(pl.len())
    assert dict(told.group_by("reason").agg(pl.col("not_judgeable").sum()).iter_rows()) == dict(
        wanted.iter_rows()
    )


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_shows_contacts_that_break_it_look_alike_and_lie_outside_its_days(name: str) -> None:
    rule, kinds = RULES[name], set(expected(name)["kind"])
    assert {"breaks", "looks_alike"} <= kinds
    assert ("before_start" in kinds) == (rule.valid_from is not None)
    assert ("after_end" in kinds) == (rule.valid_to is not None)
    outside = expected(name).filter(pl.col("kind").is_in(["before_start", "after_end"]))
    assert set(outside["outcome"]) <= {"outside"}
    assert expected(name)["why"].null_count() == 0


def test_there_is_no_example_of_a_rule_that_does_not_ship() -> None:
    assert {folder.name for folder in FOLDER.iterdir() if folder.is_dir()} == set(RULES)


def test_every_rule_that_ships_says_in_both_languages_what_it_says_and_where_it_is_written() -> None:
    for rule in RULES.values():
        assert rule.title != rule.title_nb, rule.id
        assert rule.says != rule.says_nb, rule.id
        assert rule.suggestion.text != rule.suggestion.text_nb, rule.id
        assert all(source.strip() for source in rule.sources), rule.id


def test_a_finding_about_lists_tells_when_the_list_holds_the_code() -> None:
    findings, items = mine("kv_valid")
    told = judged(None).found.reasons.filter(pl.col("rank") == 3).join(items, on="finding_id")
    assert set(told.select("code", "text").iter_rows()) == {
        ("ICD10-NO//K63.80", "The list holds the code from 2025-01-01 to 2026-12-31, not on this day."),
        ("ICD10-NO//M19.06", "The list holds the code from 2023-01-01 to 2025-12-31, not on this day."),
        ("ICD10-NO//K91.20", "No list of the system holds the code; nearest above it is ICD10//K91.2."),
    }
    assert findings.height == 3
