"""A simulated hospital's extract, FHIR export and reports to the register, joined: the extract, told thrice.

Every event, contact and coding of the joined dataset is one of the extract's; the lineage holds every row of
all three; nothing contradicts; the order of the datasets and the number of shards change nothing.
"""

from __future__ import annotations

import json
import shutil

import polars as pl
from harness import arguments, finish, open_key, pesta

from phenotype.checking import check_dataset
from phenotype.trajectory import Dataset, frame_digest

N_PATIENTS = 500
FORMS = {
    "extract": "simulated-hospital",
    "fhir": "simulated-hospital-fhir",
    "npr": "simulated-hospital-npr",
}


def main() -> None:
    out = arguments(__doc__ or "").out / "joining"
    shutil.rmtree(out, ignore_errors=True)
    hospital, key = out / "hospital", open_key(out / "joined")
    forms = [word for form in FORMS for word in ("--form", form)]
    pesta("simulate", "--patients", str(N_PATIENTS), "--seed", "11", "--out", hospital, "--quiet", *forms)
    for form, mapping in FORMS.items():
        pesta("ingest", mapping, hospital / form, "--out", out / form, "--key", key, "--quiet")
    datasets = [out / form for form in FORMS]
    once = pesta("join", *datasets, "--out", out / "joined", "--quiet")
    again = pesta("join", *reversed(datasets), "--out", out / "again", "--shards", "7", "--quiet")
    extract, joined, other = (Dataset(out / name) for name in ("extract", "joined", "again"))
    told = json.loads((out / "joined" / "join.json").read_text("utf-8"))
    lineages = [pl.scan_parquet(folder / "lineage.parquet") for folder in datasets]
    n_rows = [lineage.select(pl.len()).collect().item() for lineage in lineages]
    shown = {
        "the events are the extract's": facts(joined) == facts(extract),
        "the contacts are the extract's": joined.contacts().equals(extract.contacts()),
        "the codings are the extract's": codings(joined) == codings(extract),
        "every lineage row is there": told["lineage_rows"] == sum(n_rows),
        "nothing contradicts": not told["conflicts"],
        "order and shards change nothing": joined.digest == other.digest
        and codings(joined) == codings(other),
        "the dataset is sound": not check_dataset(out / "joined"),
    }
    n_events = sum(source["events"] for source in told["sources"].values())
    wrong = [what for what, holds in shown.items() if not holds]
    figures = (
        f"{n_events:,} events of {len(FORMS)} sources became {told['events']['written']:,}; "
        + ("all hold" if not wrong else "NOT: " + "; ".join(wrong))
        + f"; {n_events / once.wall_seconds:,.0f} events/s by the clock, "
        + f"no command took over {again.peak_mb:,.0f} MB"
    )
    finish(is_shown=not wrong, figures=figures)


def facts(dataset: Dataset) -> str:
    """The digest of events without their lineage ids."""
    return frame_digest(dataset.events().drop("lineage_id").collect())


def codings(dataset: Dataset) -> str:
    """The digest of codings without their lineage ids."""
    return frame_digest(dataset.codings().drop("lineage_id"))


if __name__ == "__main__":
    main()
