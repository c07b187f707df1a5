"""Random value sets hold what a naive reading of their rules says, code by code and year by year."""

from __future__ import annotations

import re
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ontology.valuesets.sets import Resolver, in_set, load_valueset

CODES = [
    "ICD10//A40.0",
    "ICD10-NO//A41.9",
    "ICD10CM//A419",
    "ICD10//B37.7",
    "ATC//J01CF05",
    "ATC//J02AC01",
    "X//1",
]
ABOVE = {
    "ICD10//A40": ["ICD10//A40.0"],
    "ICD10//A40-A41": ["ICD10//A40.0", "ICD10-NO//A41.9", "ICD10CM//A419"],
    "ICD10//I": CODES[:4],
    "ICD10//A41.9": ["ICD10-NO//A41.9", "ICD10CM//A419"],
    "ATC//J01": ["ATC//J01CF05"],
    "ATC//J": ["ATC//J01CF05", "ATC//J02AC01"],
}
"""What stands under each concept, written down by hand."""
YEARS = range(2008, 2014)

ENTRIES = {
    "under": st.sampled_from(sorted(ABOVE)),
    "codes": st.sampled_from(CODES),
    "pattern": st.sampled_from([r"ICD10.*", r".*//[AJ].*\d", r"X//\d", r"ATC//J0[12]"]),
}
YEAR = st.none() | st.integers(min(YEARS), max(YEARS))


@st.composite
def rules(draw: st.DrawFn, references: list[str]) -> dict[str, Any]:
    kinds = [*ENTRIES, *(["value_set"] if references else [])]
    kind = draw(st.sampled_from(kinds))
    entry = st.sampled_from(references) if kind == "value_set" else ENTRIES[kind]
    rule: dict[str, Any] = {kind: draw(st.lists(entry, min_size=1, max_size=2, unique=True))}
    first, last = draw(YEAR), draw(YEAR)
    if first is not None and last is not None and first > last:
        first, last = last, first
    return rule | {key: year for key, year in (("from_year", first), ("to_year", last)) if year is not None}


@st.composite
def folders(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Three sets, each of which may refer to those before it."""
    sets: dict[str, dict[str, Any]] = {}
    for name in ("first", "second", "third"):
        some = rules(list(sets))
        sets[name] = {
            "include": draw(st.lists(some, min_size=1, max_size=3)),
            "exclude": draw(st.lists(some, max_size=2)),
        }
    return sets


def is_in(sets: dict[str, dict[str, Any]], name: str, code: str, year: int) -> bool:
    """The meaning of the rules, as docs/valuesets.md says it."""

    def holds(rule: dict[str, Any]) -> bool:
        if not rule.get("from_year", 0) <= year <= rule.get("to_year", 9999):
            return False
        return (
            code in rule.get("codes", [])
            or any(re.fullmatch(pattern, code) for pattern in rule.get("pattern", []))
            or any(code in ABOVE[concept] for concept in rule.get("under", []))
            or any(is_in(sets, other, code, year) for other in rule.get("value_set", []))
        )

    return any(map(holds, sets[name]["include"])) and not any(map(holds, sets[name]["exclude"]))


@settings(max_examples=150, deadline=None)
@given(folders())
def test_a_set_holds_what_its_rules_say_in_every_year(sets: dict[str, dict[str, Any]]) -> None:
    told = {"title": "A set", "version": "1", "sources": ["ours"], "review": "nobody"}
    events = pl.DataFrame(
        [(code, datetime(year, month, 1)) for code in CODES for year in YEARS for month in (1, 12)],
        schema={"code": pl.String, "time": pl.Datetime("us")},
        orient="row",
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, body in sets.items():
            (Path(folder) / f"{name}.yaml").write_text(
                yaml.safe_dump({"name": name, **told, **body}), "utf-8"
            )
        resolver = Resolver(CODES)
        for name in sets:
            resolved = resolver.resolve(load_valueset(Path(folder) / f"{name}.yaml"))
            found = events.select(in_set(resolved)).to_series().to_list()
            assert found == [is_in(sets, name, code, time.year) for code, time in events.rows()]
