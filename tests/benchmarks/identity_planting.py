"""Synthetic person numbers planted wherever a source has words, and the search for them afterwards."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

SEED = 20261122
FORMS = ("{}", "{}", "ref {}, sett", "{}x", "({})")
"""How a number stands in a text: alone, or among words."""
TABLE_FIELDS = {
    "contact id": "contact",
    "referral period": "referral",
    "care level": "level",
    "urgency": "urgency",
    "unit of the hospital": "place",
    "hospital": "hospital",
    "admitted from": "came_from",
    "discharged to": "went_to",
    "code": "code",
    "description of a code": "means",
    "text value": "words",
    "free text": "note",
    "value that is a number": "number",
    "value that should be a number": "not_number",
    "value or text": "either",
    "unit": "unit",
    "unit as sent": "unit_sent",
    "alternates": "alternates",
    "code system of a coding": "system",
    "version of a coding": "version",
    "code of a coding": "icd",
    "role of a coding": "role",
    "time": "bad_time",
    "known time": "bad_known",
    "end reason": "why",
    "part of a cell": "list",
    "melted cell": "melted",
    "joined column": "joined",
}
"""What the field is in the dataset, and the column of the source; beside them: patient id, file, folder."""
MAPPING = """
name: planted
title: numbers planted everywhere
id_space: planted
max_reject_share: 1.0
tables:
  more:
    files: more.csv
  rows:
    files: "**/rows*.csv"
    joins: [{table: more, by: key, take: joined}]
    subject: "{person}"
    contact: "{contact}"
    contacts:
      - {id: "{contact}", referral_period: "{referral}", start: time, end: end, care_level: "{level}",
         urgency: "{urgency}", unit: "{place}", hospital: "{hospital}", admitted_from: "{came_from}",
         discharged_to: "{went_to}"}
    observation: [{start: time, end: end, end_reason: "{why}"}]
    codings:
      - {system: "{system}", version: "{version}", code: "{icd}", role: "{role}", coded_time: time}
    events:
      - {time: time, code: "X//{code}", description: "{means}", keep_empty: true}
      - {time: time, code: WORDS, text: "{words}"}
      - {time: time, code: NOTE, text: "{note}", free_text: true}
      - {time: time, code: NUMBER, value: number}
      - {time: time, code: NOT_NUMBER, value: not_number}
      - {time: time, code: EITHER, value_or_text: either}
      - {time: time, code: UNITS, value: one, unit: "{unit}", sent_unit: "{unit_sent}",
         alternates: "{alternates}"}
      - {time: bad_time, code: TIMES, keep_empty: true}
      - {time: time, known_time: bad_known, code: KNOWN, keep_empty: true}
      - {time: time, code: "JOINED//{joined}", keep_empty: true}
      - {time: time, code: "PART//{_cell}", split: {column: list, separator: ";"}, keep_empty: true}
      - {time: time, code: "MELT//{_cell}", melt: [melted], keep_empty: true}
"""


def person_numbers(n: int) -> list[str]:
    """Different valid numbers of synthetic persons, half of them D-numbers: month + 80, as in Tenor."""
    chance = random.Random(SEED)
    made: dict[str, None] = {}
    while len(made) < n:
        day, month = chance.randint(1, 28), chance.randint(1, 12)
        year, individual = chance.randint(40, 99), chance.randint(0, 499)
        day += 40 if len(made) % 2 else 0
        number = _with_control_digits(f"{day:02d}{month + 80:02d}{year:02d}{individual:03d}")
        if number:
            made[number] = None
    return list(made)


def _with_control_digits(nine: str) -> str | None:
    """Both control digits by the rule as the tax administration prints it; null where one would be ten."""
    for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)):
        total = sum(weight * int(digit) for weight, digit in zip(weights, nine, strict=True))
        control = -total % 11
        if control == 10:
            return None
        nine += str(control)
    return nine


def in_words(number: str, place: int) -> str:
    """The number as it may stand in a text; every third is spaced."""
    text = f"{number[:6]}{' -.'[place % 9 // 3]}{number[6:]}" if place % 3 == 0 else number
    return FORMS[place % len(FORMS)].format(text)


def plant_tables(numbers: list[str], folder: Path, n_files: int) -> Path:
    """Tables of CSV with a number in every field of every row, in the names of files and of a folder.

    Returns:
        The mapping.
    """
    folder.mkdir(parents=True)
    columns = list(TABLE_FIELDS.values())
    rows = [
        {
            "person": number,
            "key": str(place),
            "time": "2024-01-01 10:00",
            "end": "2024-01-02 10:00",
            "one": "1",
            **{column: in_words(number, place + at) for at, column in enumerate(columns)},
            "number": number,
            "list": f"{in_words(number, place)};{number}",
        }
        for place, number in enumerate(numbers)
    ]
    rows += [{**row, "person": ""} for row in rows[::97]]
    table = pl.DataFrame(rows)
    table.select("key", "joined").write_csv(folder / "more.csv")
    for place in range(n_files):
        inner = folder / f"sak-{numbers[place]}"
        inner.mkdir()
        table.drop("joined")[place::n_files].write_csv(inner / f"rows-{numbers[place + 1]}.csv")
        (inner / f"unread-{numbers[place + 2]}.txt").write_text(numbers[place + 3], "utf-8")
    mapping = folder.with_name("planted.yaml")
    mapping.write_text(MAPPING, "utf-8")
    return mapping


def plant_ndjson(numbers: list[str], source: Path, folder: Path) -> int:
    """A copy of FHIR resources in which one text of each holds a number; files named by numbers.

    Returns:
        How many kinds of place (path of keys by resource type) hold numbers.
    """
    folder.mkdir(parents=True)
    places: set[str] = set()
    turn: dict[str, int] = {}
    count = 0
    for file_number, file in enumerate(sorted(source.glob("*.ndjson"))):
        target = folder / f"{file.stem}-{numbers[file_number]}.ndjson"
        with target.open("w", encoding="utf-8") as out:
            for line in file.read_text("utf-8").splitlines():
                resource = json.loads(line)
                kind = str(resource["resourceType"])
                texts = [path for path in _texts(resource, ()) if path != ("resourceType",)]
                turn[kind] = turn.get(kind, -1) + 1
                path = texts[turn[kind] % len(texts)]
                _set(resource, path, in_words(numbers[count % len(numbers)], count))
                places.add(f"{kind}." + ".".join(str(key) for key in path if isinstance(key, str)))
                count += 1
                out.write(json.dumps(resource, ensure_ascii=False) + "\n")
                if turn[kind] % 50 == 0:
                    out.write(line[: len(line) // 2] + numbers[count % len(numbers)] + "\n")
    return len(places)


def _texts(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """The paths of all texts in parsed JSON."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if isinstance(value, str):
            yield (*path, key)
        else:
            yield from _texts(value, (*path, key))


def _set(node: Any, path: tuple[str | int, ...], value: str) -> None:
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value


def plant_xml(numbers: list[str], source: Path, folder: Path, every: int = 5) -> int:
    """A copy of NPR messages in which every so many attributes hold a number; files named by numbers.

    Returns:
        How many kinds of attribute hold numbers.
    """
    folder.mkdir(parents=True)
    places: set[str] = set()
    count = 0

    def planted(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        if match[1].startswith(("xmlns", "versjon")) or count % every:
            return match[0]
        places.add(match[1])
        return f'{match[1]}="{in_words(numbers[count % len(numbers)], count)}"'

    for number, file in enumerate(sorted(source.glob("*.xml"))):
        text = re.sub(r'([A-Za-z]+)="([^"]*)"', planted, file.read_text("utf-8"))
        name = f"{file.stem}-{numbers[number]}.xml"
        (folder / name).write_text(text if number % 9 else text[: len(text) // 2], "utf-8")
    return len(places)


def leaks(planted: list[str], written: Path, told: list[str]) -> list[str]:
    """Where a planted number stands in what was written: bytes, table cells, names of files, and output.

    Args:
        planted: the numbers.
        written: a folder: every file of it is read, Parquet files cell by cell too.
        told: what commands printed.

    Returns:
        Places: a file and what of it; no numbers.
    """
    known = set(planted)
    found = [f"output {place}" for place, text in enumerate(told) if _holds(text, known)]
    for path in sorted(written.rglob("*")):
        name = path.relative_to(written).as_posix()
        if _holds(name, known):
            found.append(f"the name of a {'folder' if path.is_dir() else path.suffix}")
        if path.is_file():
            if _holds(path.read_bytes().decode("latin-1"), known):
                found.append(f"bytes of {path.name}")
            if path.suffix == ".parquet":
                found += [f"{path.name}: {column}" for column in _columns_with(path, known)]
    return found


def _columns_with(path: Path, known: set[str]) -> Iterator[str]:
    table = pl.read_parquet(path)
    for name in table.columns:
        cells = table[name].cast(pl.String, strict=False).drop_nulls().unique()
        if any(_holds(cell, known) for cell in cells):
            yield name


def _holds(text: str, known: set[str]) -> bool:
    """Whether a text holds one of the numbers, spaced or not."""
    return any(
        run in known or any(run[at : at + 11] in known for at in range(len(run) - 10))
        for run in re.findall(r"[0-9]{11,}", re.sub(r"(?<=[0-9]{6})[ .\u00a0-](?=[0-9]{5})", "", text))
    )
