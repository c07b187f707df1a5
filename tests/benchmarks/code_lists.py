"""The Norwegian lists give their published counts and differences, and all codes find a chapter; ICD-9 too.

Expected counts and differences were found by comparing the JSON files as Python sets.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import polars as pl
import yaml
from harness import arguments, finish, open_data, pesta

from ontology.release import Ontology, embedded_ontology, load_ontology

LISTS_VARIABLE = "PESTA_CODE_LISTS"
"""The folder of code lists; by default the folder shared/kodeverk beside the checkout."""

YEARS = range(2023, 2027)
COUNTS = {
    "ICD10-NO": {2023: 19_637, 2024: 19_637, 2025: 19_639, 2026: 19_634},
    "ICPC2": {2023: 690, 2024: 707, 2025: 708, 2026: 708},
}
_EXTRA = {f"D99{n}" for n in range(1, 10)} | {f"R99{n}" for n in range(3, 10)}
COMES_AND_GOES = {
    ("ICD10-NO", 2024): {"new": {"K63.80", "K63.81"}},
    ("ICD10-NO", 2025): {"gone": {"M19.06", "M19.16", "M19.26", "M19.86", "M19.96"}},
    ("ICPC2", 2023): {"new": {"A191"} | _EXTRA},
    ("ICPC2", 2024): {"new": {"U891"}},
}
TEXTS = {("ICD10-NO", 2023): 176, ("ICD10-NO", 2024): 8, ("ICD10-NO", 2025): 0}
TEXTS_OF_2025 = {"B04", "E05.4", "H93.1", "O26.4", "T70.3", "Z88.8", "Z88.9", "Z91.0"}
N_ICD9 = 1761


def code_lists(name: str) -> Path:
    """The folder of one set of lists; ends the benchmark, saying so, where it is absent."""
    default = Path(__file__).resolve().parents[3] / "shared" / "kodeverk"
    folder = Path(os.environ.get(LISTS_VARIABLE, default)) / name
    if not folder.is_dir():
        finish(is_shown=None, figures=f"not run: {folder} is absent (set {LISTS_VARIABLE})")
    return folder


def main() -> None:
    out = arguments(__doc__ or "").out
    lists, mimic = code_lists("navikt-diagnosekoder"), open_data("mimic-iii-demo")
    built = out / "ontology"
    seconds = build(lists, built)
    ontology = load_ontology(built)
    wrong = [*wrong_counts(ontology), *wrong_differences(built)]
    national = listed_codes(ontology, "ICD10-NO")
    without = chapterless(ontology, national, "ICD10//chapter")
    codes = pl.read_csv(mimic / "DIAGNOSES_ICD.csv", schema_overrides={"icd9_code": pl.String})["icd9_code"]
    icd9 = "ICD9CM//" + codes.drop_nulls()
    without_icd9 = chapterless(embedded_ontology(), icd9, "ICD9CM//chapter")
    counts = " / ".join(f"{COUNTS['ICD10-NO'][year]:,}" for year in YEARS)
    shown = f"all differences, ICPC-2 too{' EXCEPT ' + '; '.join(wrong) if wrong else ''}"
    finish(
        is_shown=not wrong and not without and not without_icd9 and len(icd9) == N_ICD9,
        figures=f"built in {seconds:.1f} s; ICD-10 {counts} codes and {shown}; a chapter for "
        f"{len(national) - without:,} of {len(national):,} Norwegian codes, {len(icd9) - without_icd9:,} of "
        f"{len(icd9):,} ICD-9 codes ({icd9.n_unique()} different)",
    )


def build(lists: Path, built: Path) -> float:
    """Build the ontology of the eight lists by the command line; the seconds that it took."""
    systems = [
        {"reader": reader, "paths": {year: str(lists / f"{name}_{year}.json") for year in YEARS}}
        for reader, name in (("icd10_no", "ICD10"), ("icpc2", "ICPC2"))
    ]
    built.parent.mkdir(parents=True, exist_ok=True)
    config = built.with_suffix(".yaml")
    config.write_text(yaml.safe_dump({"name": "norway", "systems": systems}), "utf-8")
    return pesta("ontology", "build", config, "--out", built, "--quiet").wall_seconds


def wrong_counts(ontology: Ontology) -> list[str]:
    """Years whose number of codes is not the published one."""
    groupings = pl.col("flags").list.contains("abstract")
    wrong = []
    for system, years in COUNTS.items():
        rows = ontology.system.concepts.filter((pl.col("system") == system) & ~groupings)
        for year, expected in years.items():
            first = pl.date(year, 1, 1)
            held = rows.filter((pl.col("valid_from") <= first) & (pl.col("valid_to") >= first))
            if held["concept"].n_unique() != expected:
                wrong.append(f"{system} {year}: {held['concept'].n_unique():,} codes")
    return wrong


def wrong_differences(built: Path) -> list[str]:
    """Pairs of years for which `pesta ontology diff` does not tell exactly what came, went and changed."""
    wrong = []
    for system in COUNTS:
        for year in list(YEARS)[:-1]:
            told = pesta(
                "ontology", "diff", str(year), str(year + 1), "--system", system, "--ontology", built
            )
            found: dict[str, set[str]] = {"new": set(), "gone": set(), "text": set()}
            for change, code in re.findall(r"^(new|gone|text) +(\S+)", told.output, re.MULTILINE):
                found[change].add(code)
            expected = {"new": set(), "gone": set()} | COMES_AND_GOES.get((system, year), {})
            is_right = all(found[change] == expected[change] for change in expected)
            is_right &= len(found["text"]) == TEXTS.get((system, year), len(found["text"]))
            if (system, year) == ("ICD10-NO", 2024):
                is_right &= found["text"] == TEXTS_OF_2025
            if not is_right:
                wrong.append(f"{system} {year} -> {year + 1}")
    return wrong


def listed_codes(ontology: Ontology, system: str) -> pl.Series:
    return ontology.system.concepts.filter(pl.col("system") == system)["concept"].unique().sort()


def chapterless(ontology: Ontology, codes: pl.Series, level: str) -> int:
    """How many codes have no chapter above them."""
    return ontology.roll_up(codes, level).null_count()


if __name__ == "__main__":
    main()
