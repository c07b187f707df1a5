"""`pesta audit`: the coding of a dataset against rules, rates, expectations and prices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import OntologyFolder, Out, Quiet
from pipelines.progress import Progress


def audit(
    *,
    data: Annotated[Path, typer.Option("--data", help="The dataset whose coding is audited.")],
    out: Out,
    config: Annotated[
        str, typer.Option("--config", help="An audit's YAML file or its name in configs/audits.")
    ] = "default",
    rules: Annotated[
        list[str] | None,
        typer.Option("--rules", help="A rule's id, a file in configs/coding_rules or a path; repeatable."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="The weight table of the groups: drg, year, weight.")
    ] = None,
    prices: Annotated[
        list[Path] | None, typer.Option("--prices", help="A file laid over the shipped prices; repeatable.")
    ] = None,
    reviews: Annotated[
        list[Path] | None, typer.Option("--reviews", help="A sheet that a reviewer has answered; repeatable.")
    ] = None,
    ontology: OntologyFolder = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key: a.b=value; may be repeated.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Hold coded diagnoses and procedures against rules, rates, expectations and prices; resumable."""
    from pipelines.audit_config import load_audit_config
    from pipelines.auditing import audit_dataset

    progress = Progress(quiet)
    settings = load_audit_config(config, overrides or []).with_options(
        rules=tuple(rules) if rules else None,
        weights=weights,
        prices=tuple(prices or ()),
        reviews=tuple(reviews or ()),
        ontology=ontology,
    )
    index = audit_dataset(settings, data, out, progress)
    progress.say(f"audit: {index}")
