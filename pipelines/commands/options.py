"""The options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer
from typer.models import OptionInfo

Out = Annotated[Path, typer.Option("--out", help="The folder to write.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key: a.b=value; may be repeated.")
]
LARGEST_SEED = 2_000_000_000
"""What every library that is given a seed can take, and some added to it."""


def seed_option(words: str) -> OptionInfo:
    """The option of a seed, which is told in these words; one that no generator takes is refused."""
    return cast("OptionInfo", typer.Option(min=0, max=LARGEST_SEED, help=words))


Key = Annotated[
    Path | None,
    typer.Option("--key", help="The project's pseudonym key; made beside the dataset where absent."),
]
OntologyFolder = Annotated[
    Path | None,
    typer.Option("--ontology", help="A built ontology's folder; PESTA_ONTOLOGY or the embedded one without."),
]
DatasetFolder = Annotated[Path, typer.Argument(metavar="DATASET", help="A MEDS dataset's folder.")]
