"""One million mutated FHIR lines: no crash, no hang, every bad record quarantined, the account exact.

Lines are generated resources, mutated by a plain seeded mutator: in their bytes, in their values, in their
shape. What must be rejected, and how many records there are, is judged here with Python's json alone.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from fhir_resources import resources
from harness import arguments, finish, open_key, pesta

N_LINES, N_ROUNDS, LINES_A_FILE = 1_000_000, 10, 12_500
HANG_SECONDS = 1.0
MOST_BYTES = 200_000
MAPPING = f"""\
extends: fhir-r4
name: fhir-mutated
title: Mutated resources
max_reject_share: 1.0
options: {{validate_share: 0.0, validate_at_least: 20, most_bytes: {MOST_BYTES}}}
"""
_ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1.5,
        10**30,
        -(10**400),
        1e308,
        "",
        " ",
        "\x00",
        "\u2028",
        "x" * 300,
        "-0",
        "NaN",
        "ÆØÅ",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        "Patient/",
        "#",
        "urn:uuid:",
        "Patient/p1/../../x",
        "http://[::1",
        "\ud800",
    ),
    *("2024-02-30", "0000", "9999-12-31T23:59:59.999999999Z", "2024-01-01T00:00:00+99:99", "24:00"),
    "1970-01-01T00:00:00",
)
_TYPES: tuple[Any, ...] = (
    *(
        "Pasient",
        "patient",
        "",
        None,
        7,
        ["Patient"],
        {},
        "Observation",
        "Encounter",
        "DomainResource",
        "Patient ",
    ),
    *("Element", "MedicationOrder", "Basic", "OperationOutcome", "Parameters", "__class__"),
)
_BYTES = (
    *(
        b"\x00",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\\ud800",
        b"\\u0000",
        b"NaN",
        b"Infinity",
    ),
    *(b"1" * 500, b"1e999", b"-", b"\r", b"\n", b"\n\n", b"{", b"}", b'"', b",", b"\\", b" " * 2_000),
)
Node = tuple[Any, Any]


def _nodes(value: Any) -> list[Node]:
    """Every place in a parsed resource that could be changed: (container, key)."""
    found: list[Node] = []
    pending = [value]
    while pending:
        one = pending.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            pending.append(one[key])
    return found


def _changed_tree(line: bytes, rng: random.Random) -> bytes:
    """A value replaced, dropped, wrapped or moved; a wrong type; deep nesting."""
    resource = json.loads(line)
    container, key = rng.choice(_nodes(resource))
    kind = rng.randrange(8)
    if kind <= 2:
        container[key] = rng.choice(_ODD)
    elif kind == 3:
        resource["resourceType"] = rng.choice(_TYPES)
    elif kind == 4:
        container[key] = [container[key]]
    elif kind == 5:
        del container[key]
    elif kind == 6:
        container[key] = {"extension": container[key]}
    else:
        resource[rng.choice(["id", "meta", "subject", "code", "period", "contained"])] = rng.choice(_ODD)
    return json.dumps(resource, ensure_ascii=rng.random() < 0.5, allow_nan=True).encode(
        "utf-8", "surrogatepass"
    )


def _nested(line: bytes, rng: random.Random) -> bytes:
    depth = rng.choice([20, 200, 2_000, 20_000])
    opened, closed = rng.choice([(b'{"extension":[', b"]}"), (b"[", b"]"), (b'{"a":', b"}")])
    inner = opened * depth + b"1" + closed * (depth if rng.random() < 0.8 else depth - 1)
    return line.rstrip()[:-1] + b',"extension":' + inner + b"}"


def _flipped(line: bytes, rng: random.Random) -> bytes:
    content = bytearray(line)
    for _ in range(rng.choice([1, 1, 2, 8])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _spliced(line: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(line) + 1) for _ in range(2))
    return rng.choice([line[:start] + line[end:], line[:end] + line[start:], line[:start], line[end:]])


def _inserted(line: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(line) + 1)
    odd = rng.choice(_BYTES)
    return line[:place] + odd + line[place:]


def _doubled(line: bytes, rng: random.Random) -> bytes:
    """A key that stands twice."""
    key = rng.choice([b"id", b"resourceType", b"status", b"subject", b"code"])
    return (
        line.rstrip()[:-1]
        + b',"'
        + key
        + b'":'
        + rng.choice([b'"x"', b"null", b"1", b"{}", b'"Patient"'])
        + b"}"
    )


def _numbers(line: bytes, rng: random.Random) -> bytes:
    places = [place for place, byte in enumerate(line) if 48 <= byte <= 57]
    if not places:
        return line
    place = rng.choice(places)
    number = rng.choice(
        [b"9" * 400, b"1e400", b"-", b"00", b".5", b"1e-400", b"0x1", b"18446744073709551616"]
    )
    return line[:place] + number + line[place + 1 :]


def _heavy(line: bytes, rng: random.Random) -> bytes:
    """Much of one thing."""
    text = rng.choice(
        [b'"' + b"a" * 100_000 + b'"', b"[" + b"{}," * 20_000 + b"{}]", b'"' + b"\\u00e5" * 20_000 + b'"']
    )
    return (
        line.rstrip()[:-1]
        + b',"'
        + rng.choice([b"note", b"component", b"text", b"language"])
        + b'":'
        + text
        + b"}"
    )


def _unchanged(line: bytes, rng: random.Random) -> bytes:
    return line


_MUTATORS: tuple[tuple[Callable[[bytes, random.Random], bytes], int], ...] = (
    (_changed_tree, 25),
    (_flipped, 29),
    (_spliced, 15),
    (_inserted, 15),
    (_numbers, 9),
    (_doubled, 4),
    (_nested, 1),
    (_unchanged, 2),
)


def mutated_lines(n: int, seed: int) -> Iterator[bytes]:
    """Mutated lines without line breaks at their ends; the same for the same seed.

    Args:
        n: how many; one in 5,000 is heavy (some 100 kB).
        seed: of resources and mutations.
    """
    rng = random.Random(seed)
    base = [
        json.dumps({**one, "id": "@id@"}, ensure_ascii=False).encode()
        for one in resources(min(n, 4_000), seed)
        if "contained" not in one
    ]
    mutators, weights = zip(*_MUTATORS, strict=True)
    chosen = rng.choices(mutators, weights, k=n)
    for number, mutate in enumerate(chosen):
        line = rng.choice(base).replace(b"@id@", b"m%d" % number)
        heavy = number % 5_000 == 4_999
        yield _heavy(line, rng) if heavy else mutate(line, rng)


@dataclass(frozen=True)
class Judged:
    """What a file holds, by Python's json: how many lines, and which of them are no resource."""

    n_records: int
    bad: Mapping[int, bytes]


def judged(content: bytes) -> Judged:
    """The lines of a file that ends with a line feed, numbered from 1.

    A line is one record, for no resource here contains another; a blank line is one that is ignored.
    """
    bad = {}
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            resource = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            bad[number] = line
            continue
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            bad[number] = line
    return Judged(len(lines), bad)


def faults_of_round(lines: Iterator[bytes], out: Path, lines_a_file: int) -> tuple[Counter[str], list[str]]:
    """Ingest lines; counts of what became of them, and what broke a promise.

    Args:
        lines: without line breaks.
        out: a folder, emptied.
        lines_a_file: how many go into one file.
    """
    shutil.rmtree(out, ignore_errors=True)
    (out / "fhir").mkdir(parents=True)
    (out / "mapping.yaml").write_text(MAPPING, "utf-8")
    truth: dict[str, Judged] = {}
    held = list(lines)
    for number, start in enumerate(range(0, len(held), lines_a_file)):
        content = b"\n".join(held[start : start + lines_a_file]) + b"\n"
        name = f"mutated.{number:03}.ndjson"
        (out / "fhir" / name).write_bytes(content)
        truth[name] = judged(content)
    dataset = out / "dataset"
    paths = ("--out", dataset, "--key", open_key(dataset), "--quarantine", out / "quarantine")
    pesta("ingest", out / "mapping.yaml", out / "fhir", *paths, "--quiet")
    return _account(dataset, truth)


def _account(dataset: Path, truth: dict[str, Judged]) -> tuple[Counter[str], list[str]]:
    told = json.loads((dataset / "ingest.json").read_text("utf-8"))
    counts: Counter[str] = Counter()
    by_file: Counter[str] = Counter()
    for one in told["files"]:
        parts = one["rows_used"], sum(one["rows_ignored"].values()), sum(one["rows_rejected"].values())
        counts.update({"used": parts[0], "ignored": parts[1], "rejected": parts[2]})
        by_file[one["file"]] += sum(parts)
    rejected = pl.read_parquet(dataset / "rejected.parquet")
    broken = [
        f"{name}: {by_file[name]} records in the account, {truth[name].n_records} in the file"
        for name in truth
        if by_file[name] != truth[name].n_records
    ]
    for (name,), rows in rejected.partition_by("file", as_dict=True).items():
        missing = truth[str(name)].bad.keys() - set(rows.filter(pl.col("reason").str.len_chars() > 0)["row"])
        if missing:
            broken.append(f"{name}: {len(missing)} bad lines not rejected, first {min(missing)}")
    kept = pl.read_parquet(dataset.with_name("quarantine") / "records-*.parquet")
    sent = {(file, row): raw for file, row, raw in kept.select("file", "row", "raw").iter_rows()}
    lost = [
        f"{name}, line {number}: not in the quarantine as it was sent"
        for name, told_of in truth.items()
        for number, line in told_of.bad.items()
        if len(line) <= MOST_BYTES and sent.get((name, number), b"").strip() != line.strip()
    ]
    return counts, broken + lost


def slowest_record(n: int, seed: int, folder: Path) -> float:
    """Seconds that the slowest of n mutated lines takes alone, from bytes to rows; one in 50 is heavy."""
    from pipelines.sources.records import InputFile, record_reader

    options = {"validate_at_least": 10, "most_bytes": MOST_BYTES}
    reader = record_reader("fhir", options, where="mutations")
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    worst = 0.0
    path = folder / "one.ndjson"
    for number, line in enumerate(mutated_lines(n, seed)):
        path.write_bytes(_heavy(line, rng) if number % 50 == 49 and line.startswith(b"{") else line)
        begun = time.perf_counter()
        for _ in reader.read(InputFile(path, path.name, 0)):
            pass
        worst = max(worst, time.perf_counter() - begun)
    return worst


def main() -> None:
    """The million, in rounds that can each be thrown away."""
    out = arguments(__doc__ or "").out
    counts: Counter[str] = Counter()
    broken: list[str] = []
    begun = time.perf_counter()
    for number in range(N_ROUNDS):
        lines = mutated_lines(N_LINES // N_ROUNDS, number)
        found, wrong = faults_of_round(lines, out / "round", LINES_A_FILE)
        counts += found
        broken += [f"round {number}: {one}" for one in wrong]
    seconds = time.perf_counter() - begun
    worst = slowest_record(5_000, N_ROUNDS, out)
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    finish(
        is_shown=not broken and worst < HANG_SECONDS,
        figures=f"{N_LINES:,} mutated lines: {told}; {len(broken)} promises broken {broken[:3] or ''}; "
        f"{seconds:.0f} s; slowest of 5,000 lines alone {worst:.2f} s",
    )


if __name__ == "__main__":
    main()
