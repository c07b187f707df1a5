"""The verbs that make datasets and look at them: simulate, ingest, join, export, reidentify, check."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from ontology.errors import ConfigurationError, InputError, Problem
from pipelines.commands.options import DatasetFolder, Key, Out, Quiet, seed_option
from pipelines.progress import Progress


class Form(StrEnum):
    """What the simulated hospital can write."""

    EXTRACT = "extract"
    NPR = "npr"
    FHIR = "fhir"
    OMOP = "omop"


def simulate(
    *,
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")],
    out: Out,
    seed: Annotated[int, seed_option("The same seed gives the same bytes.")] = 1,
    scenario: Annotated[str | None, typer.Option(help="A scenario's name or file.")] = None,
    form: Annotated[
        list[Form] | None, typer.Option("--form", help="What to write; may be repeated; extract without.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write the records of a synthetic Norwegian hospital, 2016-2025, with its truth apart."""
    from pipelines.simulate.forms import FORMS
    from pipelines.simulate.hospital import simulate as write_hospital
    from pipelines.simulate.scenario import load_scenario

    progress = Progress(quiet)
    wishes = {str(wish) for wish in form or [Form.EXTRACT]}
    forms = tuple(name for name in FORMS if name in wishes)
    with progress.step(f"simulating {patients} patients"):
        write_hospital(patients, seed, out, load_scenario(scenario) if scenario else None, forms=forms)
    progress.say(f"{', '.join(str(out / name) for name in forms)}; the truth is in {out / 'truth'}")


Identity = Annotated[
    str | None, typer.Option(help="An identity policy (configs/identity): dates, ages, free text.")
]
KeepIds = Annotated[
    bool, typer.Option("--keep-ids", help="Keep ids that are pseudonyms already (whole numbers).")
]
QuarantineFolder = Annotated[
    Path | None,
    typer.Option(help="A folder for the rejected records as sent (mode 700); not kept without it."),
]
MaxRejectShare = Annotated[
    float | None, typer.Option(min=0.0, max=1.0, help="Stop above this share of rejected records.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes that read records; by size and CPUs where not given.")
]
Shards = Annotated[
    int | None, typer.Option("--shards", min=1, help="Event files to write; by size where not given.")
]


def ingest(
    mapping: Annotated[
        str, typer.Argument(help="A mapping's name (configs/sources) or its YAML file; INPUT with --suggest.")
    ],
    source: Annotated[
        str | None,
        typer.Argument(metavar="INPUT", help="The folder, file or database that holds the source."),
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write.")] = None,
    shards: Shards = None,
    key: Key = None,
    identity: Identity = None,
    keep_ids: KeepIds = False,
    quarantine: QuarantineFolder = None,
    max_reject_share: MaxRejectShare = None,
    workers: Workers = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Write a mapping for the tables of INPUT, to be corrected.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Turn a source into a MEDS dataset by a mapping, accounting for every record."""
    from pipelines.ingesting import ingest_source, suggest_file, told_account

    progress = Progress(quiet)
    if suggest:
        _refuse(source is not None, "--suggest takes INPUT alone")
        text = suggest_file(Path(mapping), out)
        if text:
            typer.echo(text, nl=False)
        return
    if source is None or out is None:
        missing = "INPUT" if source is None else "--out"
        raise ConfigurationError(
            Problem(
                f"{missing} is not given",
                allowed="pesta ingest MAPPING INPUT --out FOLDER",
                next_step="say what to read and where the dataset shall lie",
            )
        )
    account = ingest_source(
        mapping,
        source,
        out,
        progress,
        n_shards=shards,
        key_path=key,
        identity=identity,
        keep_ids=keep_ids,
        quarantine=quarantine,
        max_reject_share=max_reject_share,
        n_workers=workers,
    )
    progress.say(told_account(account, out))


def _refuse(is_wrong: bool, what: str) -> None:  # noqa: FBT001 a condition, not a flag
    if is_wrong:
        raise ConfigurationError(Problem(what, next_step="see `pesta ingest --help`"))


def join(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Datasets under one key.")],
    *,
    out: Out,
    rule: Annotated[
        str | None, typer.Option(help="When two facts are one (configs/joining, or a YAML file).")
    ] = None,
    shards: Shards = None,
    quiet: Quiet = False,
) -> None:
    """Join datasets of the same people: one fact from two sources is one event with two provenances."""
    from pipelines.joining import join_datasets, load_rule

    progress = Progress(quiet)
    with progress.step(f"joining {len(datasets)} datasets"):
        account = join_datasets(datasets, out, load_rule(rule), n_shards=shards)
    for line in account.lines():
        progress.say(line)


def export(
    form: Annotated[Literal["omop", "meds"], typer.Argument(help="omop or meds.")],
    dataset: DatasetFolder,
    *,
    out: Out,
    quiet: Quiet = False,
) -> None:
    """Write a dataset as OMOP CDM 5.4 tables or as plain MEDS."""
    progress = Progress(quiet)
    with progress.step(f"writing {dataset} as {form}"):
        if form == "omop":
            from pipelines.export.omop import export_omop

            export_omop(dataset, out)
        else:
            from pipelines.export.meds import export_meds

            export_meds(dataset, out)
    progress.say(f"{form} in {out}")


def reidentify(
    dataset: DatasetFolder,
    *,
    key: Annotated[Path, typer.Option("--key", help="The project's pseudonym key.")],
    ids: Annotated[Path, typer.Option("--ids", help="A text file of source ids, one a line.")],
    out: Annotated[Path, typer.Option("--out", help="The CSV file to write, mode 600.")],
    id_space: Annotated[
        str | None, typer.Option(help="The mapping's id space; not needed for national numbers.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Tell which subjects the given source ids are; only with the project's key."""
    from pipelines.identity.reidentify import reidentify as find_subjects

    n_found = find_subjects(dataset, key, ids, out, id_space=id_space)
    Progress(quiet).say(f"{n_found:,} subjects found; they are in {out}: keep it as safe as the key")


def check(
    dataset: DatasetFolder,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for the page and tables of the quality checks.")
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option("--quality", help="A file of checks (configs/quality) or a check's id; all without."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Validate a dataset's form and say all that is wrong with it; then check the quality of its contents."""
    from phenotype.checking import check_dataset

    problems = check_dataset(dataset)
    if problems:
        raise InputError(problems)
    progress = Progress(quiet)
    progress.say(f"{dataset}: nothing wrong found in its form")
    from pipelines.quality.checking import check_quality
    from pipelines.quality.lines import quality_lines

    with progress.step(f"quality checks of {dataset}"):
        result = check_quality(dataset, quality, out)
    for line in quality_lines(result):
        progress.say(line)
