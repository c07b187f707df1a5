"""400,000 concepts and 630,000 edges: closure, ancestors, five million events rolled up, 100,000 new codes.

The hierarchy is drawn with a fixed seed: 16 levels; every concept below the first has a parent or more, most
from the level right above; few concepts have most of the children. Each measurement is a process of its own
that begins with the written tables; processor seconds stand beside the time, because they hardly change when
the machine is busy. The ancestors of 500 concepts are compared with rustworkx's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from harness import finish, own_peak_mb, run

from ontology.assembling import ontology_of
from ontology.codesystems.who_icd10 import read_who_icd10
from ontology.concepts import CodeSystem, concept_rows
from ontology.graph import Graph, build_graph
from ontology.release import load_ontology, write_ontology

N_CONCEPTS, N_EDGES, N_EVENTS, N_LEVELS, N_CHECKED, N_NEW = 400_000, 630_000, 5_000_000, 16, 500, 100_000
BARS = {"closure_s": 20.0, "peak_mb": 1000.0, "ancestors_us": 5.0, "roll_up_s": 2.0}


def make_tables(folder: Path) -> dict[str, Any]:
    """Writes concepts.parquet, edges.parquet and events.parquet."""
    if (folder / "events.parquet").exists():
        return {}
    draw = np.random.default_rng(20260701)
    share = np.exp(-0.5 * ((np.arange(N_LEVELS) - 8) / 2.7) ** 2)
    share[0] = share.sum() * 20 / N_CONCEPTS
    level = np.sort(draw.choice(N_LEVELS, N_CONCEPTS, p=share / share.sum()))
    begins = np.searchsorted(level, np.arange(N_LEVELS + 1))
    more = draw.integers(begins[1], N_CONCEPTS, N_EDGES - (N_CONCEPTS - begins[1]))
    child = np.concatenate([np.arange(begins[1], N_CONCEPTS), more])
    any_above = (draw.random(len(child)) * level[child]).astype(np.int64)
    above = np.where(draw.random(len(child)) < 0.75, level[child] - 1, any_above)
    width = begins[above + 1] - begins[above]
    parent = begins[above] + (draw.random(len(child)) ** 3 * width).astype(np.int64)
    codes = np.array([f"{n:09d}" for n in draw.permutation(N_CONCEPTS)])
    names = np.char.add("SCT//", codes)
    folder.mkdir(parents=True, exist_ok=True)
    concepts = pl.DataFrame(
        {"code": codes, "label": codes, "level": np.char.add("level ", level.astype(str))}
    )
    concept_rows("SCT", concepts, language="en").write_parquet(folder / "concepts.parquet")
    edges = pl.DataFrame({"child": names[child], "parent": names[parent], "relation": "is_a"})
    edges.write_parquet(folder / "edges.parquet")
    # Some 20,000 codes are in use, as often as Zipf's law says.
    used = names[draw.choice(N_CONCEPTS, 20_000, replace=False)]
    weights = 1 / np.arange(1, len(used) + 1)
    drawn = used[draw.choice(len(used), N_EVENTS, p=weights / weights.sum())]
    pl.DataFrame({"code": drawn}).write_parquet(folder / "events.parquet")
    return {}


def closure(folder: Path) -> dict[str, Any]:
    """Seconds and memory of the graph with its closure, and whether it is rustworkx's."""
    edges = pl.read_parquet(folder / "edges.parquet")
    names = pl.read_parquet(folder / "concepts.parquet", columns=["concept"])["concept"].sort().to_list()
    before_mb, spent, started = own_peak_mb(), time.process_time(), time.perf_counter()
    graph = build_graph(names, edges)
    figures = {
        "closure_s": time.perf_counter() - started,
        "closure_cpu_s": time.process_time() - spent,
        "before_mb": before_mb,
        "peak_mb": own_peak_mb(),
        "pairs": len(graph.above_values),
    }
    nodes = np.random.default_rng(1).integers(0, N_CONCEPTS, 200_000).tolist()
    started = time.perf_counter()
    for node in nodes:
        graph.ancestors(node)
    figures["ancestors_us"] = (time.perf_counter() - started) / len(nodes) * 1e6
    started = time.perf_counter()
    graph.descendants(0)
    figures["descendants_first_s"] = time.perf_counter() - started
    return {**figures, "wrong": _n_wrong(graph, edges)}


def rolled(folder: Path) -> dict[str, Any]:
    """Seconds of a release written, loaded, rolled up, and extended."""
    ontology = load_ontology(folder / "release")
    codes = pl.read_parquet(folder / "events.parquet")["code"]
    ontology.levels("SCT")
    spent, started = time.process_time(), time.perf_counter()
    above = ontology.roll_up(codes, "level 3")
    figures = {"roll_up_s": time.perf_counter() - started, "roll_up_cpu_s": time.process_time() - spent}
    draw = np.random.default_rng(2)
    number = draw.permutation(1_000_000)[:N_NEW]
    letter = np.array(list("ABCDEFGHIJKLM"))[number % 13]
    pairs = zip(letter, number, strict=True)
    new = [f"ICD10CM//{a}{n:06d}" if n % 2 else f"ICD9CM//{n // 10:05d}" for a, n in pairs]
    spent, started = time.process_time(), time.perf_counter()
    n_concepts = len(ontology.with_codes(new).graph)
    figures |= {"new_codes_s": time.perf_counter() - started, "new_codes_cpu_s": time.process_time() - spent}
    return {**figures, "n_rolled": above.len() - above.null_count(), "n_concepts": n_concepts}


def loaded(folder: Path) -> dict[str, Any]:
    """Seconds of loading a release, memory with it."""
    started = time.perf_counter()
    load_ontology(folder / "release")
    return {"load_s": time.perf_counter() - started, "load_peak_mb": own_peak_mb()}


def written(folder: Path) -> dict[str, Any]:
    """Seconds of a release made and written, and its size."""
    sct = CodeSystem(pl.read_parquet(folder / "concepts.parquet"), pl.read_parquet(folder / "edges.parquet"))
    started = time.perf_counter()
    write_ontology(ontology_of([sct, read_who_icd10()]), folder / "release")
    size = sum(file.stat().st_size for file in (folder / "release").iterdir())
    return {"write_s": time.perf_counter() - started, "release_mb": size / 1e6}


PARTS = {"tables": make_tables, "closure": closure, "written": written, "loaded": loaded, "rolled": rolled}


def _n_wrong(graph: Graph, edges: pl.DataFrame) -> int:
    import rustworkx

    other = rustworkx.PyDiGraph(multigraph=False)
    other.add_nodes_from(range(len(graph)))
    ends = [[graph.index[name] for name in edges[end]] for end in ("parent", "child")]
    other.add_edges_from_no_data(list(zip(*ends, strict=True)))
    checked = np.random.default_rng(3).integers(0, len(graph), N_CHECKED).tolist()
    return sum(set(graph.ancestors(node).tolist()) != rustworkx.ancestors(other, node) for node in checked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the tables; kept")
    parser.add_argument("--part", choices=PARTS, help="one measurement, in this process")
    asked = parser.parse_args()
    folder = asked.out / "ontology-scale"
    if asked.part:
        print(json.dumps(PARTS[asked.part](folder)))
        return
    figures: dict[str, float] = {}
    for part in PARTS:
        done = run([sys.executable, __file__, "--out", str(asked.out), "--part", part])
        figures |= json.loads(done.output.splitlines()[-1])
    is_shown = all(figures[name] < bar for name, bar in BARS.items()) and figures["wrong"] == 0
    finish(
        is_shown=is_shown,
        figures=", ".join(f"{name} {value:,.2f}".removesuffix(".00") for name, value in figures.items()),
    )


if __name__ == "__main__":
    main()
