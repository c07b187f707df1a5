"""The options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="The folder to write.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key: a.b=value; may be repeated.")
]
Key = Annotated[
    Path | None,
    typer.Option("--key", help="The project's pseudonym key; made beside the dataset where absent."),
]
OntologyFolder = Annotated[
    Path | None,
    typer.Option("--ontology", help="A built ontology's folder; PESTA_ONTOLOGY or the embedded one without."),
]
DatasetFolder = Annotated[Path, typer.Argument(metavar="DATASET", help="A MEDS dataset's folder.")]
