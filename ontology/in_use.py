"""An ontology in use for a while: the release that a run or a command names; afterwards the one before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ontology.release import FOLDER_VARIABLE, Ontology, active_ontology, use_ontology


@contextmanager
def ontology_in_use(folder: Path | None) -> Iterator[Ontology]:
    """Within the block a release is in use, in this process and those that it starts.

    Args:
        folder: the release; None = the one in use already, the embedded one where there is none.

    Yields:
        The ontology in use.

    Raises:
        InputError: no whole release is there.
    """
    before = os.environ.get(FOLDER_VARIABLE)
    try:
        yield use_ontology(folder) if folder is not None else active_ontology()
    finally:
        if before is None:
            os.environ.pop(FOLDER_VARIABLE, None)
        else:
            os.environ[FOLDER_VARIABLE] = before
