"""The command line: one verb for each thing that Pesta does."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ontology.errors import PestaError, Problem, StorageError
from pipelines.commands.audit import audit
from pipelines.commands.data import check, export, ingest, join, reidentify, simulate
from pipelines.commands.ontology import ontology_app
from pipelines.commands.options import OntologyFolder, Out, Overrides, Quiet, seed_option
from pipelines.commands.population import population_app, pretrain
from pipelines.progress import Progress

UNEXPECTED_STATUS = 70
INTERRUPTED_STATUS = 130

app = typer.Typer(
    name="pesta",
    help="Clinical phenotyping and risk prediction on patients' whole recorded histories.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Subjects = Annotated[
    list[int] | None, typer.Option("--subject", help="A subject to report on; may be repeated.")
]

app.add_typer(ontology_app, name="ontology")
app.add_typer(population_app, name="population")
for verb in (simulate, ingest, join, export, reidentify, check, pretrain, audit):
    app.command()(verb)


@app.callback()
def _options(
    context: typer.Context,
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj = {"verbose": verbose}


@app.command()
def demo(
    *,
    out: Out = Path("demo"),
    patients: Annotated[int, typer.Option(min=100, help="Simulated patients.")] = 3000,
    seed: Annotated[int, seed_option("Seed of the simulation and the run.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Simulate a Norwegian hospital, ingest it, predict, explain and write the report."""
    from pipelines.demo import run_demo

    run_demo(out, n_patients=patients, seed=seed, progress=Progress(quiet))


@app.command()
def run(
    config: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's YAML file or its name in configs/runs.")
    ],
    *,
    out: Out,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """From a dataset to predictions, reasons and a report; a run that was killed goes on where it stood."""
    from experiments.config import load_run_config
    from pipelines.run import run_experiment

    progress = Progress(quiet)
    report = run_experiment(load_run_config(config, overrides or []), out, progress)
    progress.say(f"report: {report}")


@app.command()
def score(
    *,
    bundle: Annotated[Path, typer.Option(help="A model's folder: RUN/bundle/TASK/MODEL.")],
    data: Annotated[Path, typer.Option(help="The dataset to apply it to.")],
    out: Annotated[Path, typer.Option("--out", help="The Parquet file of risks to write.")],
    quiet: Quiet = False,
) -> None:
    """Apply a bundle to a dataset: one calibrated risk for every prediction row of its task."""
    from pipelines.score import score_dataset

    n_rows = score_dataset(bundle, data, out)
    Progress(quiet).say(f"{n_rows} risks in {out}")


@app.command()
def report(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="A finished run.")],
    *,
    subjects: Subjects = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="A PDF beside each page; needs the pdf extra.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write the report of a finished run again, with pages for further subjects."""
    from pipelines.run import report_again

    path = report_again(run_folder, tuple(subjects or ()))
    if pdf:
        from pipelines.render.pdf import write_pdfs

        write_pdfs(sorted(path.parent.glob("*.html")))
    Progress(quiet).say(f"report: {path}")


@app.command()
def phenotype(
    dataset: Annotated[Path, typer.Argument(help="A MEDS dataset's folder.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="The Parquet file of phenotypes to write.")],
    definitions: Annotated[
        list[str] | None,
        typer.Option("--definition", help="A file's name in configs/phenotypes or its path; all without."),
    ] = None,
    ontology: OntologyFolder = None,
    quiet: Quiet = False,
) -> None:
    """Derive named, dated phenotypes with their evidence from a dataset, and count the patients of each."""
    from pipelines.phenotyping import count_lines, phenotype_dataset

    progress = Progress(quiet)
    with progress.step(f"phenotypes of {dataset}"):
        counts = phenotype_dataset(dataset, out, definitions, ontology)
    for line in count_lines(counts):
        progress.say(line)


def storage_problem(error: OSError) -> Problem:
    """What the system said, with the folder only: a file's name may be a patient's number."""
    place = Path(str(error.filename)).parent if error.filename else None
    return Problem(
        "a file or folder cannot be read or written",
        where=str(place) if place else "",
        found=error.strerror or type(error).__name__,
        allowed="paths that are there, with the right to read and write them, and room on the disk",
        next_step="check the paths, the rights and the disk, then give the same command again",
    )


def system_error(error: BaseException) -> OSError | None:
    """What the system refused, where polars tells of it in words only: "... (os error 28)"."""
    found = (
        re.search(r"\(os error (\d+)\)", str(error)) if type(error).__module__.startswith("polars") else None
    )
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else None


def tell(problems: Sequence[Problem], exit_status: int) -> NoReturn:
    """Write problems to standard error, without national numbers, and end.

    Args:
        problems: at least one.
        exit_status: of their kind.
    """
    from pipelines.identity.scrubbing import scrub_text

    noun = "problem" if len(problems) == 1 else "problems"
    text = f"pesta: {len(problems)} {noun}\n\n" + "\n\n".join(map(str, problems)) + "\n"
    sys.stderr.write(scrub_text(text))
    sys.exit(exit_status)


_WITHIN_MARKS = re.compile(r"(?<=\[).*(?=\])|(?<=\")[^\"]*(?=\")", re.DOTALL)


def show_traceback(error: BaseException) -> NoReturn:
    """Write where an error came from, without national numbers, and end."""
    from pipelines.identity.scrubbing import scrub_text

    told = "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        if type(link).__module__.startswith(
            "polars"
        ):  # polars shows cells: conversion failed for ["...", ...]
            told = told.replace(str(link), _WITHIN_MARKS.sub("...", str(link)))
        link = link.__cause__ or link.__context__
    sys.stderr.write(scrub_text(told))
    sys.exit(error.exit_status if isinstance(error, PestaError) else UNEXPECTED_STATUS)


def _without_numbers(record: logging.LogRecord) -> bool:
    """Let a log line pass without national numbers."""
    from pipelines.identity.scrubbing import ScrubbedLogs

    return ScrubbedLogs().filter(record)


def main() -> None:
    """Run the command line; problems go to standard error with the exit status of their kind."""
    # OpenMP workers that spin while they wait cost several times the work on a machine that others use too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    is_verbose = "--verbose" in sys.argv
    if logging.lastResort is not None:
        logging.lastResort.addFilter(_without_numbers)
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        if ended.code == INTERRUPTED_STATUS:
            sys.stderr.write("pesta: interrupted; the same command goes on where it stood\n")
        raise
    except Exception as error:  # noqa: BLE001 the outermost door: whatever it is, it is told
        if is_verbose:
            show_traceback(error)
        if isinstance(error, PestaError):
            tell(error.problems, error.exit_status)
        refused = error if isinstance(error, OSError) else system_error(error)
        if refused is not None:
            tell([storage_problem(refused)], StorageError.exit_status)
        sys.stderr.write(
            f"pesta: an unexpected fault ({type(error).__name__}); this is a defect in pesta\n"
            "  do: run the command again as `pesta --verbose ...` and report the traceback\n"
        )
        sys.exit(UNEXPECTED_STATUS)
