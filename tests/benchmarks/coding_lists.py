"""Rules on code lists by the real Norwegian lists: no code of a year is called invalid in it, all others are.

Every code of every list is coded once on the first and once on the last day of each year from 2023 to 2026,
each as a contact of its own. Expected are the differences between the JSON files, compared here as Python
sets.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
from code_lists import COMES_AND_GOES, COUNTS, YEARS, build, code_lists
from harness import arguments, finish

from ontology.release import Ontology, embedded_ontology, load_ontology
from phenotype.coding.coded_record import CODED_CONTACTS, CODES, FACTS, CodedRecord
from phenotype.coding.rules.judging import Judgement, judge_rules
from phenotype.coding.rules.rules import load_rules
from phenotype.contacts import stays
from phenotype.trajectory import CONTACTS

RULES = {"ICD10-NO": "kv_valid", "ICPC2": "kv_valid_icpc2"}
N_UNCERTAIN_TUMOURS_WITHOUT_FIFTH = 26


def main() -> None:
    out = arguments(__doc__ or "").out
    lists = code_lists("navikt-diagnosekoder")
    held = {(system, year): codes_of(lists, system, year) for system in RULES for year in YEARS}
    build(lists, out / "ontology")
    ontology = load_ontology(out / "ontology")
    coded = every_code_of_every_year(held)
    judgement = judge_rules(load_rules(list(RULES.values())), None, record_of(coded), ontology)
    called = called_invalid(judgement)
    false, missed = compared(coded, called, held)
    wrong = [*wrong_counts(held), *wrong_differences(coded, called, held), *wrong_tumours(held, ontology)]
    without = judge_rules(load_rules(["kv_valid"]), None, record_of(coded), embedded_ontology()).coverage
    by_embedded = without["judged"].sum(), without["not_judgeable"].sum()
    n_diagnoses = sum(system == "ICD10-NO" for _, system, *_ in coded)
    as_published = f"NOT as published: {'; '.join(wrong)}" if wrong else "as published"
    finish(
        is_shown=not false and not missed and not wrong and by_embedded == (0, n_diagnoses),
        figures=f"{len(coded):,} codings on the first and last days of 2023-2026; called invalid in their "
        f"year: {false}; outside their year and not found: {missed} of {len(called):,}; differences between "
        f"years and D37-D48 {as_published}; without the lists {by_embedded[1]:,} codings are told as not "
        f"judgeable, {by_embedded[0]} judged",
    )


def codes_of(lists: Path, system: str, year: int) -> set[str]:
    """The codes of one list as the file writes them, without dots."""
    name = {"ICD10-NO": "ICD10", "ICPC2": "ICPC2"}[system]
    return {row["code"] for row in json.loads((lists / f"{name}_{year}.json").read_text("utf-8"))}


def every_code_of_every_year(
    held: dict[tuple[str, int], set[str]],
) -> list[tuple[int, str, str, date]]:
    """Contact number, system, code and day: every code of any list, on two days of each year."""
    every = {system: sorted(set().union(*(held[system, year] for year in YEARS))) for system in RULES}
    rows = [
        (system, code, day)
        for system, codes in every.items()
        for code in codes
        for year in YEARS
        for day in (date(year, 1, 1), date(year, 12, 31))
    ]
    return [(number, *row) for number, row in enumerate(rows)]


def record_of(coded: list[tuple[int, str, str, date]]) -> CodedRecord:
    """Each coding as the main condition of a contact that ended on its day."""
    rows = pl.DataFrame(
        [(number, f"{system}//{written(system, code)}", day) for number, system, code, day in coded],
        schema={"contact_id": pl.Int64, "code": pl.String, "day": pl.Date},
        orient="row",
    )
    end = pl.col("day").cast(pl.Datetime("us")) + pl.duration(hours=10)
    own = {
        "subject_id": pl.col("contact_id"), "stay_id": pl.col("contact_id"), "end_time": end,
        "start_time": end - pl.duration(hours=1), "judged_time": end, "year": pl.col("day").dt.year(),
        "unit": pl.lit("H/U"), "hospital_id": pl.lit("H"), "unit_id": pl.lit("U"),
    }  # fmt: skip
    contacts = filled(rows.with_columns(**own), CODED_CONTACTS)
    coding = {
        "stay_id": pl.col("contact_id"), "group_no": pl.lit(1), "code_no": pl.lit(1), "role": pl.lit("main"),
        "sent": pl.col("code"), "is_own_code": pl.lit(value=True), "condition_group_no": pl.lit(1),
    }  # fmt: skip
    codes = filled(rows.with_columns(**coding), CODES)
    return CodedRecord(
        contacts, stays(contacts.select(list(CONTACTS))), codes, pl.DataFrame(schema=FACTS), frozenset()
    )


def written(system: str, code: str) -> str:
    """As records write a code: ICD-10 with its dot."""
    return f"{code[:3]}.{code[3:]}" if system == "ICD10-NO" and len(code) > 3 else code


def filled(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The columns of a schema, those that are not there null."""
    return rows.select(
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )


def called_invalid(judgement: Judgement) -> set[int]:
    """The numbers of the codings that a rule calls invalid."""
    return set(judgement.found.items["contact_id"].to_list())


def compared(
    coded: list[tuple[int, str, str, date]], called: set[int], held: dict[tuple[str, int], set[str]]
) -> tuple[int, int]:
    """How many codings are falsely called invalid, and how many that are outside their year are not."""
    outside = {number for number, system, code, day in coded if code not in held[system, day.year]}
    return len(called - outside), len(outside - called)


def wrong_counts(held: dict[tuple[str, int], set[str]]) -> list[str]:
    return [
        f"{system} {year}: {len(codes):,} codes"
        for (system, year), codes in held.items()
        if len(codes) != COUNTS[system][year]
    ]


def wrong_differences(
    coded: list[tuple[int, str, str, date]], called: set[int], held: dict[tuple[str, int], set[str]]
) -> list[str]:
    """Years for which the codes called invalid are not those that the published differences leave out."""
    invalid: dict[tuple[str, int], set[str]] = {(system, year): set() for system, year in held}
    for number, system, code, day in coded:
        if number in called:
            invalid[system, day.year].add(written(system, code))
    wrong = []
    for system in RULES:
        for year in list(YEARS)[:-1]:
            published = {"new": set(), "gone": set()} | COMES_AND_GOES.get((system, year), {})
            told = {
                "new": invalid[system, year] - invalid[system, year + 1],
                "gone": invalid[system, year + 1] - invalid[system, year],
            }
            wrong += [f"{system} {year} -> {year + 1}"] if told != published else []
    return wrong


def wrong_tumours(held: dict[tuple[str, int], set[str]], ontology: Ontology) -> list[str]:
    """D37-D48 of 2026: four characters are a missing fifth where the list has five, and nowhere else."""
    block = {code for code in held["ICD10-NO", 2026] if "D37" <= code[:3] <= "D48"}
    four = sorted({code[:4] for code in block if len(code) > 3})
    coded = [(number, "ICD10-NO", code, date(2026, 6, 30)) for number, code in enumerate(four)]
    judgement = judge_rules(load_rules(["kv_d37_fifth_missing"]), None, record_of(coded), ontology)
    called = {four[number] for number in judgement.found.items["contact_id"].to_list()}
    whole = {code for code in block if len(code) == 4}
    if called == set(four) - whole and len(whole) == N_UNCERTAIN_TUMOURS_WITHOUT_FIFTH:
        return []
    return [f"D37-D48: {len(called)} without their fifth character, {len(whole)} that have none"]


if __name__ == "__main__":
    main()
