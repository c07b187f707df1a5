"""Progress of long work: a live line on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Progress:
    """Says what is being done and how long it took.

    Attributes:
        is_quiet: say nothing.
    """

    is_quiet: bool = False
    _started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line on standard error, without national numbers."""
        if not self.is_quiet:
            from pipelines.identity.scrubbing import scrub_text

            sys.stderr.write(f"{scrub_text(text)}\n")
            sys.stderr.flush()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A named step, with a spinner on a terminal and its duration at the end."""
        started = time.monotonic()
        if self.is_quiet:
            yield
        elif sys.stderr.isatty():
            from rich.console import Console

            with Console(stderr=True).status(name):
                yield
            self.say(f"  {name}: {time.monotonic() - started:.1f} s")
        else:
            yield
            self.say(f"  {name}: {time.monotonic() - started:.1f} s")

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since this progress began."""
        return time.monotonic() - self._started
