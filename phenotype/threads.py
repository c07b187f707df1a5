"""How many threads numerical work may use: what this process was given, not what the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ontology.errors import ConfigurationError, Problem

KNOB = "PESTA_THREADS"
_CGROUP = Path("/sys/fs/cgroup")


def thread_count(cgroup: Path = _CGROUP) -> int:
    """Threads to use: PESTA_THREADS where set, else the CPUs that affinity and the cgroup quota allow.

    Args:
        cgroup: where the control group's files are mounted.

    Raises:
        ConfigurationError: PESTA_THREADS is not a whole number above 0.

    **Source:** Linux control groups, cpu.max (v2) and cpu.cfs_quota_us, cpu.cfs_period_us (v1).
    """
    wish = os.environ.get(KNOB)
    if wish is not None:
        if not wish.isdecimal() or int(wish) < 1:
            raise ConfigurationError(
                Problem(
                    f"{KNOB} is not a number of threads",
                    where=f"environment variable {KNOB}",
                    found=repr(wish),
                    allowed="a whole number above 0",
                    next_step=f"set {KNOB}=2, or unset it to use the CPUs that this process was given",
                )
            )
        return int(wish)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


@contextmanager
def torch_threads(at_most: int) -> Iterator[None]:
    """Inside it torch uses thread_count() threads, at most `at_most`; outside, what it used before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(min(thread_count(), at_most))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_algebra_thread() -> Iterator[None]:
    """Inside it, or in a function that it decorates, numpy's and scipy's linear algebra uses one thread.

    Threads that share a small matrix only wait for each other (a regression takes twenty times as long on a
    busy machine), and their number changes the last bits of a sum.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1, user_api="blas"):
        yield


def _quota(cgroup: Path) -> float | None:
    """CPUs by quota, null where there is no limit or no control group."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if limit == "max" or int(limit) <= 0 or int(period) <= 0:
        return None
    return int(limit) / int(period)
