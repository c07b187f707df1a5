"""How much of the mappings that we ship `pesta ingest --suggest` finds by itself on their own sources.

Run: python tests/benchmarks/suggest.py --out FOLDER

For every event of a shipped mapping whose table has files, the most alike event suggested for the same
files is taken, and it is asked of each: is the table read, is it the same time column, the same code column
(of a constant code the column that its value comes from, else the same code), the same value column, the same
subject and contact? Columns are compared where they come from: through derived texts and joins. A value or a
contact counts where the shipped event has one. Every suggestion must load, and the source ingest by it as it
is (not tried of those never seen, which are shown without a bar).

Bars, over all other sources: tables 0.95, times 0.75, codes 0.65, values 0.75, subjects 0.60, contacts 0.95.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness import finish, open_data, open_key, pesta

from pipelines.sources.fields import Text, Time, template_columns
from pipelines.sources.mapping import Event, Mapping, Table, load_mapping
from pipelines.sources.suggesting import suggest_mapping
from pipelines.sources.tables import find_files

ASKED = ("table", "time", "code", "value", "subject", "contact")
SOURCES = {
    "mimic-iii": "mimic-iii-demo",
    "mimic-iv": "mimic-iv-ed-demo",
    "eicu": "eicu-demo",
    "diabetes-130": "diabetes130",
}
NEVER_SEEN = {
    "physionet-2012": "challenge-2012",
    "physionet-2019": "challenge-2019",
    "norway-sepsis": "sepsis-survival-norway",
}
"""Sources whose names of columns were not at hand when the lists of names were written."""
PSEUDO = {"_cell", "_name", "_row", "_no", "_file"}
BARS = {"table": 0.95, "time": 0.75, "code": 0.65, "value": 0.75, "subject": 0.60, "contact": 0.95}


def origins(names: set[str], table: Table) -> frozenset[str]:
    """Where columns come from: derived texts are followed to their columns, joined ones to their names."""
    taken = {here: there for join in table.joins for there, here in join.take.items()}
    found: set[str] = set()
    waiting, seen = set(names), set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        if name in table.derive:
            waiting |= text_columns(table.derive[name]) - seen
        else:
            found.add(taken.get(name, name).lower())
    return frozenset(found - PSEUDO)


def text_columns(cases: Text | None) -> set[str]:
    """The columns that a text is made of, without those that only decide."""
    return {
        name
        for case in cases or ()
        for name in (*template_columns(case.text), *template_columns(case.otherwise or ""))
    }


def told(event: Event, table: Table) -> dict[str, object]:
    """What an event says of each thing that is asked; None where it says nothing."""
    melted = set(event.melt or ()) | ({event.split.column} if event.split else set())
    code = text_columns(event.code)
    is_melted = bool(code & {"_cell", "_name"})
    columns = origins((code - PSEUDO) | (melted if is_melted else set()), table)
    constant = "|".join(sorted(case.text for case in event.code))
    value = event.value.column if event.value else event.value_or_text
    values = melted if value == "_cell" else {value} if value else set()
    contact = text_columns(event.contact or table.contact)
    named = values or text_columns(event.text) - PSEUDO
    columns = columns or origins(named, table)  # a constant code names the column that its value comes from
    return {
        "time": origins(set(time_columns(event.time)), table) or "static",
        "code": columns or constant,
        "value": origins(values, table) or None,
        "subject": origins(text_columns(event.subject or table.subject), table),
        "contact": origins(contact, table) or None,
    }


def time_columns(time: Time) -> tuple[str, ...]:
    return time.columns


def is_right(shipped: object, suggested: object) -> bool:
    """Whether two share a column, or say the same constant."""
    if isinstance(shipped, frozenset) and isinstance(suggested, frozenset):
        return bool(shipped & suggested)
    return shipped == suggested


def files_of(mapping: Mapping, folder: Path) -> dict[str, frozenset[Path]]:
    return {name: frozenset(find_files(table, folder)) for name, table in mapping.tables.items()}


def judged(shipped: Mapping, suggested: Mapping, folder: Path) -> Iterator[dict[str, bool]]:
    """Of each shipped event, what is suggested rightly."""
    suggested_files = files_of(suggested, folder)
    for name, files in files_of(shipped, folder).items():
        table = shipped.tables[name]
        candidates = [
            told(event, suggested.tables[other])
            for other, found in suggested_files.items()
            if files & found
            for event in suggested.tables[other].events
        ]
        for event in table.events if files else ():
            wanted = told(event, table)
            asked = {key: value for key, value in wanted.items() if value is not None}
            judgements = [
                {key: is_right(value, candidate[key]) for key, value in asked.items()}
                for candidate in candidates
            ]
            best = max(judgements, key=lambda one: sum(one.values()), default=dict.fromkeys(asked, False))
            yield {"table": bool(candidates), **best}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets; kept")
    out = parser.parse_args().out
    hospital = out / "hospital"
    pesta("simulate", "--patients", "200", "--seed", "1", "--out", hospital, "--quiet")
    sources = {"simulated-hospital": hospital / "extract"}
    sources |= {name: open_data(folder) for name, folder in (SOURCES | NEVER_SEEN).items()}
    n_right, n_asked, lines, is_shown = Counter[str](), Counter[str](), [], True
    for name, folder in sources.items():
        file = out / f"{name}.yaml"
        file.write_text(suggest_mapping(folder), "utf-8")
        if name not in NEVER_SEEN and not (out / name / "ingest.json").exists():
            pesta("ingest", file, folder, "--out", out / name, "--key", open_key(out / name), "--quiet")
        right, asked = Counter[str](), Counter[str]()
        for one in judged(load_mapping(name), load_mapping(file), folder):
            asked.update({**dict.fromkeys(one, 1), "everything": 1})
            right.update({**one, "everything": all(one.values())})
        if name not in NEVER_SEEN:
            n_right += right
            n_asked += asked
        lines.append(f"{name}: {line(right, asked)}")
    lines.append(f"all but {', '.join(NEVER_SEEN)}: {line(n_right, n_asked)}")
    is_shown = all(n_right[key] >= bar * n_asked[key] for key, bar in BARS.items())
    finish(is_shown=is_shown, figures="\n".join(lines))


def line(right: Counter[str], asked: Counter[str]) -> str:
    """The shares in words."""
    parts = ", ".join(f"{key} {right[key]}/{asked[key]}" for key in (*ASKED, "everything"))
    return f"{asked['everything']} events: {parts}"


if __name__ == "__main__":
    main()
