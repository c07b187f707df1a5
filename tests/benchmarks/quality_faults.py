"""Every kind of fault planted into a simulated hospital's dataset is found by exactly the checks that should.

Each fault of quality_planted_form.py and quality_planted_facts.py goes into a fresh copy of the dataset; all
shipped checks are asked, and the
groups that fail there and did not before must belong to the checks that the fault names. Every shipped check
is named by a fault, but the one that needs dated code lists. The untouched dataset fails no fatal check.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import finish, simulated_dataset
from quality_planted_facts import FACTS
from quality_planted_form import FORM
from quality_planting import TIME, Fault, Hospital, read_hospital, without, write_hospital

from phenotype.trajectory import open_dataset
from pipelines.quality.checking import judge
from pipelines.quality.model import Check, load_checks

N_PATIENTS, SEED = 400, 7
NOT_PLANTED = frozenset({"codes-outside-years"})
"""Needs an ontology with lists of several years; its unit test has one."""
Group = tuple[str, str | None, str | None, str | None]


def faults() -> Iterator[Fault]:
    """All faults: those of the lists, and one that is there from the beginning and must cease."""
    for name, plant, *found in (*FORM, *FACTS):
        yield Fault(name, plant, frozenset(found))
    in_the_gap = (
        (TIME.dt.month() == 3) & (TIME.dt.day() >= 25) & (TIME.dt.weekday() == 7) & (TIME.dt.hour() == 2)
    )
    mended = without("events", in_the_gap)
    yield Fault(
        "times in the hour of summer time taken out", mended, frozenset(), frozenset({"summer-time-gap"})
    )


def failed_groups(hospital: Hospital, folder: Path, checks: Sequence[Check]) -> set[Group]:
    """Check, concept, unit and period of every group that fails."""
    write_hospital(hospital, folder)
    failed = judge(open_dataset(folder), checks).results.filter("is_failed")
    return set(failed.select("check_id", "concept", "unit_id", "period").iter_rows())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the datasets; kept")
    parser.add_argument("--only", help="faults whose name holds this text")
    given = parser.parse_args()
    checks = load_checks()
    hospital = read_hospital(simulated_dataset(given.out, n_patients=N_PATIENTS, seed=SEED))
    folder = given.out / "planted"
    before = failed_groups(hospital, folder, checks)
    severity = {check.id: check.severity for check in checks}
    n_fatal = sum(severity[check_id] == "fatal" for check_id, *_ in before)
    n_right, named = 0, set(NOT_PLANTED)
    all_faults = [fault for fault in faults() if not given.only or given.only in fault.name]
    started = time.perf_counter()
    for fault in all_faults:
        after = failed_groups(fault.plant(hospital), folder, checks)
        found, ceased = (
            {group[0] for group in one - other} for one, other in ((after, before), (before, after))
        )
        named |= fault.found | fault.ceased
        if found == fault.found and fault.ceased <= ceased:
            n_right += 1
        else:
            missed, surplus = sorted(fault.found - found), sorted(found - fault.found)
            print(
                f"{fault.name}: missed {missed}, surplus {surplus}, ceased {sorted(ceased)}", file=sys.stderr
            )
    unnamed = sorted(set(severity) - named) if not given.only else []
    seconds = time.perf_counter() - started
    n_shown = len(checks) - len(NOT_PLANTED) - len(unnamed)
    shown = "" if given.only else f"{n_shown} of {len(checks)} checks shown to fail; "
    figures = (
        f"{n_right} of {len(all_faults)} faults found by exactly the checks that should, {shown}"
        f"untouched: {n_fatal} fatal failures, others: {', '.join(sorted({g[0] for g in before})) or 'none'} "
        f"({seconds:.0f} s)"
    )
    if unnamed:
        figures += f"; never planted: {', '.join(unnamed)}"
    finish(is_shown=n_right == len(all_faults) and not unnamed and n_fatal == 0, figures=figures)


if __name__ == "__main__":
    main()
