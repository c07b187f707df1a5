"""A made-up SNOMED CT release of real size is read within bounded time and memory, in a process of its own.

    python tests/benchmarks/snomed_loading.py --out FOLDER [--concepts 400000]

The release is synthetic (numbers and made-up words, the layout and proportions of the international edition:
3 descriptions and 5 language members a concept, 630,000 is-a among 1,300,000 relationships for 400,000
concepts, 200,000 map rows).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from harness import finish, run

READING = """
import sys
from pathlib import Path
from typing import Any
from ontology.codesystems.snomed import read_snomed
read = read_snomed(Path(sys.argv[1]))
print(read.concepts.height, read.edges.height, read.mappings.height)
"""
MAX_SECONDS = 60.0
MAX_MB = 2048.0


def main() -> None:
    """Make the release where it is not there, read it, print the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--concepts", type=int, default=400_000)
    chosen = parser.parse_args()
    release = chosen.out / f"release-{chosen.concepts}"
    if not (release / "done").exists():
        make_release(release, chosen.concepts)
    read = run([sys.executable, "-c", READING, str(release)])
    figures = (
        f"{read.output.split()} concepts, edges, mappings in {read.wall_seconds:.1f} s, {read.peak_mb:.0f} MB"
    )
    finish(is_shown=read.wall_seconds < MAX_SECONDS and read.peak_mb < MAX_MB, figures=figures)


def make_release(root: Path, n: int) -> None:
    """Write the snapshot files of a synthetic release with n concepts."""
    rng = np.random.default_rng(7)
    ids = 100_000_000 + 7 * np.arange(n)
    put(root, "sct2_Concept_Snapshot_INT_20250101", {"id": ids, **COMMON, "definitionStatusId": 1})
    put(
        root,
        "sct2_Description_Snapshot-en_INT_20250101",
        {
            "id": np.arange(3 * n),
            **COMMON,
            "conceptId": np.repeat(ids, 3),
            "languageCode": "en",
            "typeId": np.tile([900000000000003001, 900000000000013009, 900000000000013009], n),
            "term": [
                f"made-up clinical finding {number} of some length (finding)" for number in range(3 * n)
            ],
            "caseSignificanceId": 1,
        },
    )
    members = np.concatenate([np.arange(3 * n), np.arange(1, 3 * n, 3), np.arange(2, 3 * n, 3)])
    put(
        root,
        "der2_cRefset_LanguageSnapshot-en_INT_20250101",
        {
            "id": [f"00000000-0000-4000-8000-{number:012}" for number in range(len(members))],
            **COMMON,
            "refsetId": 900000000000509007,
            "referencedComponentId": members,
            "acceptabilityId": np.where(members % 3 == 1, 900000000000548007, 900000000000549004),
        },
    )
    n_edges, n_other = int(n * 1.575), int(n * 1.675)
    child = np.concatenate([np.arange(1, n), rng.integers(1, n, n_edges - n + 1)])
    parent = (child * rng.random(len(child))).astype(np.int64)
    source = np.concatenate([ids[child], ids[rng.integers(0, n, n_other)]])
    put(
        root,
        "sct2_Relationship_Snapshot_INT_20250101",
        {
            "id": np.arange(len(source)),
            **COMMON,
            "sourceId": source,
            "destinationId": np.concatenate([ids[parent], ids[rng.integers(0, n, n_other)]]),
            "relationshipGroup": 0,
            "typeId": np.concatenate([np.full(len(child), 116680003), np.full(n_other, 363698007)]),
            "characteristicTypeId": 1,
            "modifierId": 1,
        },
    )
    put(
        root,
        "der2_iisssccRefset_ExtendedMapSnapshot_INT_20250101",
        {
            "id": np.arange(n // 2),
            **COMMON,
            "refsetId": 447562003,
            "referencedComponentId": ids[: n // 2],
            "mapGroup": 1,
            "mapPriority": 1,
            "mapRule": "TRUE",
            "mapAdvice": "ALWAYS A41.9",
            "mapTarget": "A41.9",
            "correlationId": 447561005,
            "mapCategoryId": 447637006,
        },
    )
    (root / "done").touch()


COMMON: dict[str, Any] = {"effectiveTime": "20250101", "active": 1, "moduleId": 900000000000207008}


def put(root: Path, name: str, columns: dict[str, Any]) -> None:
    """Write one file; constants are repeated."""
    root.mkdir(parents=True, exist_ok=True)
    height = max(len(value) for value in columns.values() if isinstance(value, np.ndarray | list))
    repeated = {
        key: value if isinstance(value, np.ndarray | list) else pl.repeat(value, height, eager=True)
        for key, value in columns.items()
    }
    pl.DataFrame(repeated).write_csv(root / f"{name}.txt", separator="\t", quote_style="never")


if __name__ == "__main__":
    main()
