"""MEDS both ways: a published dataset in and out, a simulated hospital out and in, nothing lost."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from phenotype.checking import check_dataset
from phenotype.trajectory import frame_digest, open_dataset
from pipelines.export.meds import export_meds
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

DEMO = Path(__file__).resolve().parents[3] / "shared" / "data" / "mimic-iv-demo-meds"


def test_the_mimic_iv_demo_comes_back_with_every_row_and_column(tmp_path: Path) -> None:
    if not DEMO.exists():
        pytest.skip(f"{DEMO} is absent")
    account = ingest(load_mapping("mimic-iv-demo-meds"), DEMO, tmp_path / "ours", keep_ids=True)
    assert (account.n_read, account.n_rejected) == (
        916_166,
        0,
    )  # as the data set's own description counts them
    export_meds(tmp_path / "ours", tmp_path / "back")
    assert check_dataset(tmp_path / "back") == []
    sent = pl.read_parquet(DEMO / "mimic_iv_demo_meds_events.parquet")
    back = pl.read_parquet(tmp_path / "back" / "data" / "*.parquet").select(sent.columns)
    assert back.schema == sent.schema
    assert frame_digest(back) == frame_digest(sent)


def test_a_simulated_hospital_goes_out_and_in(small_hospital: Path, tmp_path: Path) -> None:
    export_meds(small_hospital, tmp_path / "meds")
    assert check_dataset(tmp_path / "meds") == []
    account = ingest(load_mapping("meds"), tmp_path / "meds", tmp_path / "again", keep_ids=True, n_shards=3)
    assert account.is_closed
    assert account.n_rejected == 0
    ours, again = open_dataset(small_hospital), open_dataset(tmp_path / "again")
    assert again.digest == ours.digest
    assert frame_digest(again.contacts()) == frame_digest(ours.contacts())
    codings = [frame_digest(dataset.codings().drop("lineage_id")) for dataset in (ours, again)]
    assert codings[0] == codings[1]
