"""A fresh clone, a fresh environment: `make demo` (the job under 5 minutes), `make test` (under 8)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from harness import arguments, finish, run

DEMO_SECONDS, TEST_SECONDS = 300, 480


def main() -> None:
    clone = arguments(__doc__ or "").out.resolve() / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    run(["git", "clone", "--quiet", str(Path(__file__).resolve().parents[2]), str(clone)])
    demo = run(["make", "demo"], cwd=clone)
    test = run(["make", "test"], cwd=clone)
    job_seconds = float(re.findall(r"Done in (\d+) s", demo.output)[0])
    tested = re.findall(r"\d+ passed.* in ([\d.]+)s", test.output)
    finish(
        is_shown=job_seconds < DEMO_SECONDS and bool(tested) and float(tested[0]) < TEST_SECONDS,
        figures=f"make demo: the job {job_seconds:.0f} s, with installation {demo.wall_seconds:.0f} s; "
        f"make test: {test.output.strip().splitlines()[-1]}",
    )


if __name__ == "__main__":
    main()
