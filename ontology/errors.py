"""The one error family: what is wrong, where, what was found, what is allowed, and the next step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, never quoting a patient's value.

    Attributes:
        what: what is wrong, one sentence without a full stop.
        where: file, row and field, or the key path of a configuration.
        found: what stood there: a column name, a type or a count, never a clinical value or an identifier.
        allowed: what may stand there.
        next_step: what the reader should do.
    """

    what: str
    where: str = ""
    found: str = ""
    allowed: str = ""
    next_step: str = ""

    def __str__(self) -> str:
        """The problem as indented lines, empty parts left out."""
        parts = [
            ("where", self.where),
            ("found", self.found),
            ("allowed", self.allowed),
            ("do", self.next_step),
        ]
        return "\n".join([self.what, *(f"  {name}: {text}" for name, text in parts if text)])


class PestaError(Exception):
    """Something that the user can mend; carries every problem found, not the first only.

    Attributes:
        exit_status: what the command line returns; each subclass has its own.
        problems: all problems found, in the order in which a reader would meet them.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[PestaError], tuple[tuple[Problem, ...]]]:
        """Made again from its problems, so that an error in a worker process arrives whole."""
        return type(self), (self.problems,)


class ConfigurationError(PestaError):
    """A configuration, mapping, task or argument that cannot be used."""

    exit_status = 2


class InputError(PestaError):
    """Source files or a dataset that cannot be read or break the format."""

    exit_status = 3


class RejectsError(PestaError):
    """More rows were rejected than the mapping allows."""

    exit_status = 4


class TaskError(PestaError):
    """A task that these data cannot answer: no rows, or no positives."""

    exit_status = 5


class BundleError(PestaError):
    """A model folder that is damaged, too new, or not a bundle."""

    exit_status = 6


class MissingExtraError(PestaError):
    """An optional dependency that the asked-for work needs is not installed."""

    exit_status = 7


class StorageError(PestaError):
    """A folder or file that cannot be read or written: a missing right, a full disk, a file in the way."""

    exit_status = 8


@contextmanager
def gathered_problems() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Several attempts whose problems are raised together when all have been made.

    Yields:
        A maker of contexts, one for each attempt.

    Raises:
        PestaError: of the kind that the first failed attempt raised, with the problems of all.
    """
    caught: list[PestaError] = []

    @contextmanager
    def attempt() -> Iterator[None]:
        """One attempt, whose problems are kept."""
        try:
            yield
        except PestaError as error:
            caught.append(error)

    yield attempt
    if caught:
        problems = [problem for error in caught for problem in error.problems]
        raise type(caught[0])(problems) from None
