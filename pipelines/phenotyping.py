"""Phenotypes of a dataset as a file, and how many patients have each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ontology.errors import Problem, StorageError
from ontology.in_use import ontology_in_use
from phenotype.definitions.text import load_definitions
from phenotype.phenotypes import definitions_of, write_phenotypes
from phenotype.report.phenotypes import STATES, PhenotypeCount, not_judged_sentences, phenotype_counts
from phenotype.trajectory import open_dataset


def phenotype_dataset(
    dataset_folder: Path, out: Path, names: Sequence[str] | None = None, ontology: Path | None = None
) -> list[PhenotypeCount]:
    """Write the phenotypes of a dataset.

    Args:
        dataset_folder: whose.
        out: the Parquet file to write, columns of PHENOTYPES.
        names: shipped definition files or paths; None = all that come with Pesta.
        ontology: a release's folder; None = the ontology in use.

    Returns:
        How many patients have each phenotype, small counts hidden.

    Raises:
        ConfigurationError: faults of definitions, all of them.
        InputError: no dataset or no ontology there.
        StorageError: `out` is a folder, or cannot be written.
    """
    if out.is_dir():
        raise StorageError(
            Problem(
                "a folder is in the place of the file to write",
                where=str(out),
                next_step="give --out a file's name, such as phenotypes.parquet",
            )
        )
    dataset = open_dataset(dataset_folder)
    with ontology_in_use(ontology) as in_use:
        definitions = load_definitions(names)
        _make_folder(out.parent)
        phenotypes = write_phenotypes(out, dataset, definitions, in_use)
    return phenotype_counts(phenotypes, definitions_of(out))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            Problem(
                "the folder of the file to write cannot be made",
                where=str(folder),
                found=error.strerror or "",
                next_step="give --out a file in a folder that can be written",
            )
        ) from None


def count_lines(counts: Sequence[PhenotypeCount]) -> list[str]:
    """The counts as lines of a table: patients confirmed, suspected and excluded, and rows.

    Definitions that the dataset cannot answer say so instead of a number, and lines below the table say why.
    """
    heads = [("phenotype", "version", *STATES, "rows")]
    cells = [
        (one.name, one.version, *(one.patients.get(state, "-") for state in STATES), _rows(one))
        for one in counts
    ]
    table = heads + cells
    widths = [max(len(row[column]) for row in table) for column in range(len(heads[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return lines + not_judged_sentences(counts)


def _rows(one: PhenotypeCount) -> str:
    return "not judged" if one.not_judged else one.rows
