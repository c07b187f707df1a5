"""Makes the executor that runs the fits: this process, worker processes, a Dask cluster, or Slurm arrays.

The seam is Python's own `concurrent.futures.Executor`; a job is a pure function of paths and configuration
that
writes its files beside their place and moves them in, so any of them may die and be run again.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ontology.errors import MissingExtraError, Problem

if TYPE_CHECKING:
    from experiments.config import EngineConfig

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class InlineExecutor(Executor):
    """Runs each job when it is submitted, in this process."""

    def submit(
        self, job: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """A finished future of the job; its exception, if any, is raised by `result()`."""
        future: Future[Result] = Future()
        try:
            future.set_result(job(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 the future carries it to whoever asks for the result
            future.set_exception(error)
        return future


class SlurmExecutor(Executor):
    """Slurm jobs by submitit behind the same seam.

    Args:
        folder: where submitit keeps its scripts and logs: the run folder, which holds no patient's name.
        options: keyword arguments of submitit's `update_parameters`.
    """

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self._executor = _extra("submitit", "slurm").AutoExecutor(folder=str(folder))
        self._executor.update_parameters(**({"name": "pesta"} | options))

    def submit(
        self, job: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """The submitted job; `result()` waits for it."""
        submitted: Future[Result] = self._executor.submit(job, *args, **kwargs)
        return submitted


@contextmanager
def make_executor(config: EngineConfig, folder: Path) -> Iterator[Executor]:
    """The executor that a configuration names, closed at the end.

    Args:
        config: kind, workers, address and options.
        folder: for the logs of engines that keep any.

    Raises:
        MissingExtraError: the engine's library is not installed.
    """
    if config.kind == "inline":
        yield InlineExecutor()
    elif config.kind == "local":
        # A forked child would inherit the threads of polars and OpenMP in a state that can deadlock.
        with ProcessPoolExecutor(config.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool
    elif config.kind == "dask":
        distributed = _extra("distributed", "dask")
        with distributed.Client(config.address or None, n_workers=config.workers) as client:
            yield client.get_executor()
    else:
        yield SlurmExecutor(folder / "slurm", dict(config.options))


def _extra(module: str, extra: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise MissingExtraError(
            Problem(
                f"the engine needs {module}, which is not installed",
                where="engine.kind",
                next_step=f"pip install 'pesta[{extra}]'",
            )
        ) from None
