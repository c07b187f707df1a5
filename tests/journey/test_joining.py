"""One hospital's record in two forms, joined: nothing twice, both sources named, everything counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl

from phenotype.checking import check_dataset
from phenotype.trajectory import Dataset, frame_digest
from pipelines.simulate.hospital import simulate
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

N_PATIENTS = 40


def test_an_extract_joined_with_the_reports_of_the_same_hospital_is_the_extract_told_twice(
    tmp_path: Path, pesta: Callable[..., int]
) -> None:
    simulate(N_PATIENTS, 5, tmp_path / "sim", forms=("extract", "npr"))
    datasets = []
    for name, form in (("simulated-hospital", "extract"), ("simulated-hospital-npr", "npr")):
        datasets.append(tmp_path / form)
        ingest(load_mapping(name), tmp_path / "sim" / form, datasets[-1], key_path=tmp_path / "key")
    out = tmp_path / "joined"
    assert pesta("join", *reversed(datasets), "--out", out, "--quiet") == 0
    assert check_dataset(out) == []
    extract, npr, joined = (Dataset(folder) for folder in (*datasets, out))
    told = json.loads((out / "join.json").read_text("utf-8"))
    # what a report to the register holds, the hospital's own extract holds too
    assert told["events"]["same"] == npr.events().collect().height
    assert told["conflicts"] == {}
    facts = [dataset.events().drop("lineage_id").collect() for dataset in (extract, joined)]
    assert frame_digest(facts[0]) == frame_digest(facts[1])
    assert frame_digest(extract.contacts()) == frame_digest(joined.contacts())
    codings = [dataset.codings().drop("lineage_id") for dataset in (extract, joined)]
    assert frame_digest(codings[0]) == frame_digest(codings[1])
    lineage = pl.read_parquet(out / "lineage.parquet")
    n_sources = lineage.group_by("lineage_id").agg(pl.col("source").n_unique())
    coded = joined.codings().join(n_sources, on="lineage_id")
    assert (coded["source"] == 2).all()
    ours, theirs = (pl.read_parquet(folder / "lineage.parquet").height for folder in datasets)
    assert lineage.height == ours + theirs
