"""All shipped definitions over 5,000,000 events: how long and how much memory, in a fresh process.

The events are those of a simulated hospital, its patients copied under new numbers until there are enough:
every copy has its own subjects, contacts and lineage. The time runs from opening the dataset to
phenotypes.parquet on disk, reading the definitions and the ontology among it. Processor seconds stand beside
it, because they hardly change when the machine is busy.
"""

from __future__ import annotations

from pathlib import Path

from harness import finish
from large_dataset import N_EVENTS, measured_apart

from phenotype.definitions.text import load_definitions
from phenotype.phenotypes import write_phenotypes
from phenotype.trajectory import open_dataset

SECONDS, MEGABYTES = 60, 4096


def derive_all(folder: Path) -> tuple[float, ...]:
    """All shipped definitions; how many there are, and how many rows they gave."""
    definitions = load_definitions()
    rows = write_phenotypes(folder / "phenotypes.parquet", open_dataset(folder), definitions)
    return len(definitions), rows.height


def main() -> None:
    done = measured_apart(__doc__, __file__, derive_all)
    n_definitions, n_rows = done.told
    is_shown = done.n_events >= N_EVENTS and done.seconds < SECONDS and done.peak_mb < MEGABYTES
    finish(
        is_shown=is_shown, figures=f"{n_definitions:.0f} definitions {done.words}, {n_rows:,.0f} phenotypes"
    )


if __name__ == "__main__":
    main()
