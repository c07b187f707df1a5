"""`pesta ontology ...`: code lists built, compared, shown and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import OntologyFolder, Out, Quiet
from pipelines.progress import Progress

ontology_app = typer.Typer(
    help="Code lists: build a release, compare years, show a code, check lists or a dataset.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@ontology_app.command("build")
def ontology_build(
    config: Annotated[Path, typer.Argument(help="A YAML file that names the lists; see docs/ontology.md.")],
    *,
    out: Out,
    quiet: Quiet = False,
) -> None:
    """Read code lists, place them in one hierarchy and write it as a folder."""
    from pipelines.ontology import build

    progress = Progress(quiet)
    with progress.step(f"building {config}"):
        told = list(build(config, out))
    for line in told:
        progress.say(line)


@ontology_app.command("diff")
def ontology_diff(
    before: Annotated[int, typer.Argument(help="The earlier year.")],
    after: Annotated[int, typer.Argument(help="The later year.")],
    *,
    system: Annotated[str, typer.Option(help="The code system.")] = "ICD10-NO",
    ontology: OntologyFolder = None,
) -> None:
    """Say which codes came, went or changed their text between two years."""
    from pipelines.ontology import differences, opened

    for line in differences(opened(ontology), system, before, after):
        typer.echo(line)


@ontology_app.command("show")
def ontology_show(
    code: Annotated[str, typer.Argument(help="SYSTEM//code, or a code alone.")],
    *,
    ontology: OntologyFolder = None,
) -> None:
    """Say what the ontology knows of a code: texts, years, what is above and below, maps, flags."""
    from pipelines.code_sheet import shown
    from pipelines.ontology import opened

    for line in shown(opened(ontology), code):
        typer.echo(line)


@ontology_app.command("check")
def ontology_check(
    dataset: Annotated[
        Path | None, typer.Argument(help="A dataset whose codes are looked up; without it the lists.")
    ] = None,
    *,
    ontology: OntologyFolder = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A Parquet file of the dataset's codes and counts to write.")
    ] = None,
) -> None:
    """Say what is wrong with the lists, or how a dataset's codes are found in them; counts only."""
    from pipelines.ontology import check_lines, opened

    for line in check_lines(opened(ontology), dataset, out):
        typer.echo(line)
