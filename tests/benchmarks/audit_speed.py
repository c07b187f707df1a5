"""One million contacts audited by rules and rates: wall time and memory of the whole command.

Bars: under 3 minutes and 6 GB.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl
from audit_dataset import audit_dataset
from harness import finish, pesta

SECONDS_BAR, MEMORY_BAR_MB = 180.0, 6 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the dataset and audits; kept")
    parser.add_argument("--contacts", type=int, default=1_000_000)
    given = parser.parse_args()
    dataset = audit_dataset(given.out / f"dataset-{given.contacts}", given.contacts)
    audit = given.out / f"audit-{given.contacts}"
    if audit.exists():
        audit.rename(_free_name(audit))
    done = pesta("audit", "--data", dataset, "--out", audit, "--set", "expected=null")
    n_findings = pl.scan_parquet(audit / "findings.parquet").select(pl.len()).collect().item()
    n_rates = pl.scan_parquet(audit / "units.parquet").select(pl.len()).collect().item()
    is_shown = done.wall_seconds <= SECONDS_BAR and done.peak_mb <= MEMORY_BAR_MB
    finish(
        is_shown=is_shown if given.contacts >= 1_000_000 else None,
        figures=f"{given.contacts:,} contacts: {done.wall_seconds:.1f} s, {done.peak_mb:.0f} MB, "
        f"{n_findings:,} findings, {n_rates:,} rates of units\n{done.output}".replace("\n", "; "),
    )


def _free_name(folder: Path) -> Path:
    """A name beside a folder that is not taken."""
    number = 1
    while (place := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return place


if __name__ == "__main__":
    main()
