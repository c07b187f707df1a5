"""Work spread over threads, results in order: for array code, which lets other threads run meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from phenotype.threads import thread_count

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 4
"""More would mostly wait for memory."""


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results of `work` in the order of the items, whatever the number of threads.

    At most one result more than there are threads is kept waiting, so that memory stays bounded.
    """
    n_threads = min(thread_count(), MOST_THREADS)
    with ThreadPoolExecutor(n_threads) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > n_threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
