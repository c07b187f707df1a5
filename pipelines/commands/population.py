"""`pesta pretrain` and `pesta population ...`: the population-wide phenotype model, made and put to use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.commands.options import DatasetFolder, OntologyFolder, Out, Overrides, Quiet, seed_option
from pipelines.progress import Progress

population_app = typer.Typer(
    help="A pretrained population-wide model: risks, states, similar patients, clusters.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that `pesta pretrain` wrote.")]
States = Annotated[
    Path, typer.Argument(metavar="STATES", help="The file that `pesta population states` wrote.")
]
TaskRows = Annotated[
    str | None,
    typer.Option("--task", help="At a task's prediction times; without, where each record ends."),
]
OutFile = Annotated[Path, typer.Option("--out", help="The Parquet file to write.")]


def pretrain(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A YAML file, or its name in configs/pretraining.")
    ],
    *,
    out: Out,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Pretrain a population-wide phenotype model on whole trajectories; killed, it goes on where it stood."""
    from experiments.pretraining_config import load_pretraining_config
    from phenotype.trajectory import open_dataset

    progress = Progress(quiet)
    settings = load_pretraining_config(config, overrides or [])
    dataset = open_dataset(settings.dataset)
    # Torch takes seconds to come: faults of the configuration are told before.
    from experiments.pretraining import pretrain as make_model

    with progress.step(f"pretraining {settings.name}"):
        make_model(settings, dataset, out, progress.say)
    progress.say(f"model in {out}")


@population_app.command("query")
def query(
    model: ModelFolder,
    dataset: DatasetFolder,
    *,
    code: Annotated[list[str], typer.Option("--code", help="A code or a concept above codes; repeatable.")],
    horizon: Annotated[list[str], typer.Option("--horizon", help="24h, 30d, 4w, 5y; may be repeated.")],
    out: OutFile,
    task: TaskRows = None,
    quiet: Quiet = False,
) -> None:
    """Risks that a code or concept is recorded within a horizon, in one pass, without a task's training."""
    from pipelines.population import query_risks

    n_rows = query_risks(model, dataset, code, horizon, task, out)
    Progress(quiet).say(f"{n_rows:,} rows asked about {len(code)} x {len(horizon)} questions; risks in {out}")


@population_app.command("states")
def states(
    model: ModelFolder,
    dataset: DatasetFolder,
    *,
    out: OutFile = Path("deep_phenotypes.parquet"),
    task: TaskRows = None,
    quiet: Quiet = False,
) -> None:
    """Export deep phenotypes: the model's state of each subject at a time."""
    from pipelines.population import export_states

    n_rows = export_states(model, dataset, task, out)
    Progress(quiet).say(f"{n_rows:,} deep phenotypes in {out}")


@population_app.command("futures")
def futures(
    model: ModelFolder,
    dataset: DatasetFolder,
    *,
    out: OutFile,
    subjects: Annotated[list[int], typer.Option("--subject", help="Whose; may be repeated.")],
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, help="Futures of each subject.")] = 20,
    horizon: Annotated[str, typer.Option(help="24h, 30d, 4w, 5y.")] = "1y",
    seed: Annotated[int, seed_option("The same seed gives the same futures.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Sample possible futures from where records end; for risks ask `query`, which needs no chance."""
    from pipelines.population import export_futures

    n_events = export_futures(model, dataset, subjects, n, horizon, seed, out)
    Progress(quiet).say(f"{n} futures of each subject, {n_events:,} events, in {out}")


@population_app.command("similar")
def similar(
    states: States,
    *,
    out: OutFile,
    subjects: Annotated[
        list[int] | None, typer.Option("--subject", help="Whose; may be repeated; everybody's without.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many for each.")] = 10,
    method: Annotated[
        Literal["auto", "exact", "approximate"],
        typer.Option(help="auto: exact up to 100,000 states, an approximate index beyond."),
    ] = "auto",
    quiet: Quiet = False,
) -> None:
    """Find the patients whose histories resemble these."""
    from pipelines.population import find_similar

    n_rows = find_similar(states, subjects, k, method, out)
    Progress(quiet).say(f"the {k} most similar patients of {n_rows:,} states in {out}")


@population_app.command("clusters")
def clusters(
    states: States,
    dataset: DatasetFolder,
    *,
    out: Out,
    n_clusters: Annotated[int, typer.Option("-n", min=2, help="How many clusters.")] = 12,
    seed: Annotated[int, seed_option("The same seed gives the same clusters.")] = 0,
    ontology: OntologyFolder = None,
    quiet: Quiet = False,
) -> None:
    """Cluster deep phenotypes and describe each by the concepts that are over-represented in it."""
    from ontology.in_use import ontology_in_use
    from pipelines.population import make_clusters

    progress = Progress(quiet)
    with progress.step("clusters"), ontology_in_use(ontology):
        lines = make_clusters(states, dataset, n_clusters, seed, out)
    for line in lines:
        progress.say(line)
