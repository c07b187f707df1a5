"""Example folders in tests/examples/phenotypes: small records, and what each shipped definition makes of it.

A folder bears the name of a definition file in configs/phenotypes. Its README.md tells the cases in words;
expected.csv was written by hand from them, and its evidence column names lines of events.csv by lineage_id.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenotype.definitions.text import Definition, definition_files, load_definitions, read_definitions
from phenotype.phenotypes import PHENOTYPES, derive_phenotypes
from phenotype.trajectory import CODINGS, CONTACTS, EVENTS, Dataset

FOLDER = Path(__file__).parent / "phenotypes"
EXAMPLES = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
CATALOGUE = Path(__file__).parents[2] / "docs" / "phenotype-catalogue.md"
KEYS = ["phenotype", "subject_id", "start_time", "end_time", "state"]


def read(file: Path, schema: pl.Schema) -> pl.DataFrame:
    """A text table with the columns of a schema; those that the file lacks are null."""
    texts = pl.read_csv(file, infer_schema=False)
    return texts.select(
        pl.lit(None, dtype=dtype).alias(name)
        if name not in texts.columns
        else pl.col(name).str.to_datetime("%Y-%m-%d %H:%M", time_unit="us")
        if dtype == pl.Datetime
        else pl.col(name).fill_null("").str.extract_all(r"\d+").cast(dtype)
        if dtype == pl.List
        else pl.col(name).cast(dtype)
        for name, dtype in schema.items()
    )


def write_dataset(folder: Path, out: Path, n_shards: int, seed: int | None) -> Dataset:
    """The example's tables as a dataset; with a seed, rows shuffled and spread over shards."""
    schemas = {"events": EVENTS, "contacts": CONTACTS, "codings": CODINGS}
    tables = {
        name: read(folder / f"{name}.csv", schema)
        for name, schema in schemas.items()
        if (folder / f"{name}.csv").exists()
    }
    if seed is not None:
        tables = {name: table.sample(fraction=1, shuffle=True, seed=seed) for name, table in tables.items()}
    (out / "data").mkdir(parents=True)
    for shard in range(n_shards):
        mine = tables["events"].filter(pl.col("subject_id") % n_shards == shard)
        mine.write_parquet(out / "data" / f"{shard}.parquet")
    for name in tables.keys() - {"events"}:
        tables[name].write_parquet(out / f"{name}.parquet")
    return Dataset(out)


def definitions_of(name: str) -> list[Definition]:
    """The definitions that one shipped file holds."""
    return read_definitions([file for file in definition_files() if file.stem == name])


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(("n_shards", "seed"), [(1, None), (3, 3)], ids=["as written", "shuffled, 3 shards"])
def test_an_example_comes_out_as_worked_out_by_hand(
    name: str, n_shards: int, seed: int | None, tmp_path: Path
) -> None:
    dataset = write_dataset(FOLDER / name, tmp_path / "d", n_shards, seed)
    found = derive_phenotypes(dataset, definitions_of(name))
    file = FOLDER / name / "expected.csv"
    columns = [column for column in pl.read_csv(file, n_rows=0).columns if column in PHENOTYPES]
    expected = read(file, pl.Schema({column: PHENOTYPES[column] for column in columns}))
    assert_frame_equal(found.select(columns).sort(KEYS), expected.sort(KEYS), rel_tol=1e-6, abs_tol=1e-6)


def test_every_definition_that_ships_has_an_example_in_which_it_comes_out() -> None:
    shown = {
        name: set(pl.read_csv(FOLDER / name / "expected.csv", infer_schema=False)["phenotype"])
        for name in EXAMPLES
    }
    missing = [
        definition.name
        for file in definition_files()
        for definition in read_definitions([file])
        if definition.name not in shown.get(file.stem, set())
    ]
    assert missing == []


def test_every_definition_that_ships_says_where_it_comes_from_and_who_should_check_it() -> None:
    for definition in load_definitions():
        assert definition.version, definition.name
        assert definition.sources, definition.name
        assert definition.review.strip(), definition.name


def tables(file: Path) -> str:
    """What the catalogue must say about one definition file: its definitions, sources and review note."""
    rows = [
        f"| `{definition.name}` | {definition.version} | {definition.title} | {definition.per} |"
        for definition in read_definitions([file])
    ]
    first = read_definitions([file])[0]
    sources = "\n".join(f"- {source.strip()}" for source in first.sources)
    return "\n".join(
        [
            "| name | version | what | one row a |",
            "|---|---|---|---|",
            *rows,
            "",
            "Sources:",
            "",
            sources,
            "",
            f"To be reviewed: {first.review.strip()}",
        ]
    )


@pytest.mark.parametrize("file", definition_files(), ids=lambda file: file.stem)
def test_the_catalogue_tells_of_every_definition_what_its_file_says(file: Path) -> None:
    catalogue = CATALOGUE.read_text("utf-8")
    assert f"## {file.stem}\n" in catalogue
    assert tables(file) in catalogue


def test_the_catalogue_lists_no_definition_that_does_not_ship() -> None:
    listed = set(re.findall(r"^\| `([^`]+)` \|", CATALOGUE.read_text("utf-8"), flags=re.MULTILINE))
    assert listed == {definition.name for definition in load_definitions()}
