"""Every promise in turn, each in a process of its own: resumable, and ending in a table."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Promise:
    """One line of what Pesta must show.

    Attributes:
        name: of its results in the output folder.
        text: what is promised.
        command: a script beside this file, or a pytest selection that begins with "tests/".
    """

    name: str
    text: str
    command: tuple[str, ...]


PROMISES = (
    Promise(
        "fresh-clone", "fresh clone: `make demo` under 5 minutes, `make test` under 8", ("fresh_clone.py",)
    ),
    Promise("help", "`pesta --help` in under 0.5 s", ("help_speed.py",)),
    Promise(
        "bad-input",
        "bad input: a message or a counted reason for each kind",
        ("tests/journey/test_bad_input.py",),
    ),
    Promise(
        "schemas",
        "events, labels, predictions pass the schema classes of meds and meds-evaluation",
        ("tests/journey/test_main_job.py",),
    ),
    Promise(
        "simulator",
        "3,000 patients in under 30 s, same bytes; logistic regression on counts 0.05 below Bayes",
        ("simulator.py",),
    ),
    Promise(
        "code-lists",
        "four Norwegian ICD-10 years: counts and differences as published; every Norwegian and MIMIC-III "
        "ICD-9 code finds a chapter",
        ("code_lists.py",),
    ),
    Promise(
        "ontology-scale",
        "400,000 concepts, 630,000 edges: closure < 20 s and 1 GB, ancestors < 5 us, "
        "5 M events rolled up < 2 s",
        ("ontology_scale.py",),
    ),
    Promise(
        "ontology-graph",
        "the graph equals networkx on 200 hierarchies; 50 corruptions told exactly",
        ("tests/unit/ontology/test_graph.py", "tests/unit/ontology/test_faults.py"),
    ),
    Promise(
        "snomed-loading",
        "a SNOMED CT release of 400,000 concepts is read in under 60 s and 2 GB",
        ("snomed_loading.py",),
    ),
    Promise(
        "competency",
        "CIIO's competency questions get a SPARQL engine's answers",
        ("tests/unit/ontology/indications/test_competency.py",),
    ),
    Promise(
        "comorbidity",
        "Charlson, Elixhauser and frailty equal pycomorb on 20,000 random code sets",
        ("tests/oracle/test_pycomorb.py",),
    ),
    Promise(
        "valueset-codes",
        "every code that a value set names is in its published list",
        ("tests/oracle/test_valueset_codes.py",),
    ),
    Promise(
        "phenotype-examples",
        "every shipped phenotype equals its hand-worked example, also shuffled and sharded",
        ("tests/examples/test_phenotypes.py",),
    ),
    Promise(
        "score-bands",
        "NEWS2, qSOFA and SOFA equal the published tables on both sides of every band edge",
        ("tests/unit/phenotype/scores",),
    ),
    Promise(
        "sepsis-trajectories",
        "SOFA and Sepsis-3 onset equal 135 hand-computed trajectories",
        ("tests/unit/phenotype/test_sepsis3.py",),
    ),
    Promise(
        "sepsis3",
        "coded sepsis on the simulated hospital comes out as told; Sepsis-3 beside truth and ricu is told",
        ("sepsis3.py",),
    ),
    Promise(
        "sepsis3-raw",
        "SOFA and Sepsis-3 equal a second implementation in plain loops over the simulated raw tables",
        ("sepsis3_raw.py",),
    ),
    Promise(
        "definitions",
        "5,000 random definitions equal a naive interpreter on random trajectories",
        ("tests/property/test_definitions.py",),
    ),
    Promise(
        "definition-faults",
        "all faults of definitions at once, with file and line",
        ("tests/unit/phenotype/definitions/test_text.py",),
    ),
    Promise(
        "phenotypes-speed",
        "all shipped definitions over 5 million events in under 60 s and 4 GB",
        ("phenotypes_speed.py",),
    ),
    Promise(
        "aces",
        "15 published ACES tasks and 400 random ones: label for label what ACES gives, in under a third of "
        "its time and memory",
        ("aces.py",),
    ),
    Promise("ingest-speed", "CSV at 390,000 rows/s or more", ("ingest_speed.py",)),
    Promise(
        "features-speed",
        "5 M events: four aggregations < 4 s and 1 GB, ten < 15 s and 2 GB, cells right",
        ("features_speed.py",),
    ),
    Promise("sources", "open data sets ingest, accounting closed, counts as published", ("sources.py",)),
    Promise(
        "forms",
        "the simulated hospital's four forms give the same trajectories, event for event; what a form cannot "
        "hold is listed",
        ("forms.py",),
    ),
    Promise(
        "fhir-examples",
        "457 HL7 R4 examples, 15 Norwegian XML examples, Synthea bundles and bulk: closed accounts; bundles "
        "= NDJSON",
        ("fhir_examples.py",),
    ),
    Promise(
        "fhir-equals-slow",
        "10,000 mixed resources: the bulk projection equals fhir.resources objects read one by one",
        ("fhir_equals_slow.py",),
    ),
    Promise(
        "fhir-speed",
        "laboratory Observations to a dataset: 14 times fhir.resources in one process, 24 with two; memory "
        "flat from 10 to 100 files",
        ("fhir_speed.py",),
    ),
    Promise("npr-speed", "NPR-melding: half the speed of a bare streaming lxml loop", ("npr_speed.py",)),
    Promise(
        "fhir-mutations",
        "1,000,000 mutated FHIR lines: no crash, no hang, conservation exact",
        ("fhir_mutations.py",),
    ),
    Promise(
        "npr-mutations",
        "100,000 mutated NPR-meldinger: no crash, no hang, conservation exact",
        ("npr_mutations.py",),
    ),
    Promise(
        "ingest-kill", "an ingest killed ten times goes on and ends with equal digests", ("ingest_kill.py",)
    ),
    Promise(
        "suggest",
        "suggested mappings load, ingest as they are, and find what the shipped ones say",
        ("suggest.py",),
    ),
    Promise("full-disk", "a full disk: one clear message, nothing half-written", ("full_disk.py",)),
    Promise(
        "identity",
        "10,000 national numbers planted in 30 fields: none is written; key holders re-identify",
        ("identity.py",),
    ),
    Promise(
        "joining",
        "extract, FHIR and NPR of one hospital join to the extract, every row kept",
        ("joining.py",),
    ),
    Promise(
        "omop-meds",
        "OMOP (Synthea, database) and MEDS (MIMIC-IV demo): every row accounted for and given back",
        ("tests/journey/test_omop.py", "tests/journey/test_meds.py"),
    ),
    Promise("round-trips", "OMOP and MEDS, out and in again, without loss", ("round_trips.py",)),
    Promise(
        "quality-faults",
        "each planted fault is found by the checks that should, and by no other",
        ("quality_faults.py",),
    ),
    Promise("quality-speed", "all quality checks over 5 M events under 60 s and 4 GB", ("quality_speed.py",)),
    Promise(
        "norwegian-letters",
        "the Norwegian patient examples keep æ, ø and å through everything",
        ("tests/journey/test_fhir.py",),
    ),
    Promise(
        "raw-equals-parquet",
        "one-file-a-patient folders and parquet give identical events",
        ("raw_equals_parquet.py",),
    ),
    Promise("meds-tools", "a tool of the MEDS ecosystem reads the dataset unchanged", ("meds_tools.py",)),
    Promise(
        "invariance",
        "future events change nothing; shuffled rows and 1, 2, 7 shards give equal digests",
        ("invariance.py",),
    ),
    Promise("resume", "killed five times, a run ends with the same predictions", ("resume_after_kill.py",)),
    Promise(
        "physionet-2012",
        "2012, five folds: best network >= 0.862 / 0.540, network and trees >= 0.873 / 0.565 and above trees",
        ("physionet_2012.py",),
    ),
    Promise(
        "physionet-2019",
        "2019: held-out utility >= 0.42 by the best of network, trees and both",
        ("physionet_2019.py",),
    ),
    Promise(
        "physionet-2019-transport",
        "2019: the configuration for another hospital keeps a utility of 0.38 at home",
        ("physionet_2019.py", "--transport"),
    ),
    Promise(
        "physionet-2019-units",
        "2019: medical, surgical and unknown units as one another's new hospital, mean utility >= 0.2, and "
        "more at the threshold for elsewhere than at the one best at home",
        ("physionet_2019_units.py",),
    ),
    Promise(
        "simulated-hospital",
        "20,000 patients trained, 50,000 fresh: within 0.015 of the Bayes optimum, slope 1 ± 0.05; "
        "a planted interaction found by the network and by no count",
        ("simulated_hospital.py",),
    ),
    Promise(
        "shuffled-labels", "20 shufflings of the answers: mean AUROC 0.50 ± 0.01", ("shuffled_labels.py",)
    ),
    Promise(
        "few-labels",
        "pretraining at 100, 1,000 and 10,000 labelled patients, paired with the untrained network and trees",
        ("few_labels.py",),
    ),
    Promise(
        "pretraining",
        "planted hazards found in one pass; same seed, same weights; nothing of held-out patients or past a "
        "date",
        ("tests/unit/experiments/test_pretraining.py",),
    ),
    Promise("twins", "planted twins are each other's nearest neighbours in 95 % of cases", ("twins.py",)),
    Promise(
        "similar-recall",
        "the index finds 95 % of the ten most similar of 120,000 states that looking at all of them finds",
        ("similar_recall.py",),
    ),
    Promise(
        "search",
        "a search in each fold, on its training and tuning rows alone; its best settings used, all in MLflow",
        ("tests/journey/test_search.py", "tests/unit/experiments/test_search.py"),
    ),
    Promise(
        "yaib-demo",
        "YAIB's demo cohorts: labels as published, nested folds, every model; no label leaks",
        ("yaib_demo.py",),
    ),
    Promise(
        "training-speed",
        "one core: 1.8 times (next event) and 2.3 times (risk) the real events of padding to 256",
        ("training_speed.py",),
    ),
    Promise(
        "loader-speed",
        "batches from the store at 1.5 M events/s or more in one process; memory flat in the patients",
        ("loader_speed.py",),
    ),
    Promise("gpu-speed", "a GPU's events/s, memory and model-FLOP utilisation", ("gpu_speed.py",)),
    Promise(
        "two-processes",
        "two processes (gloo) train to the loss of one within 1e-5, every kind of network",
        ("two_processes.py",),
    ),
    Promise(
        "training-repeats",
        "same seed, same weights; killed and taken up again, same loss, every kind of network",
        ("training_repeats.py",),
    ),
    Promise(
        "network-promises",
        "every kind: nothing from the future, deleted is never recorded, odd histories, packed as padded",
        (
            "tests/unit/phenotype/networks/test_promises.py",
            "tests/unit/phenotype/networks/test_packing.py",
            "tests/unit/phenotype/networks/test_batches.py",
            "tests/unit/phenotype/test_token_store.py",
            "tests/unit/experiments/test_network_kinds.py",
        ),
    ),
    Promise("leakage", "the four contrasts of leakage on the simulated hospital", ("leakage.py",)),
    Promise(
        "settlement",
        "public cases to the øre: 17/28390 and its parts, 21/4753 within rounding, 20,899.20 a point in 2024",
        (
            "tests/unit/phenotype/coding/money/test_settlement.py",
            "tests/unit/phenotype/coding/money/test_settling.py",
        ),
    ),
    Promise(
        "coding-rules",
        "every coding rule: contacts that break it, look-alikes that do not, before its start, after its end",
        ("tests/examples/test_coding_rules.py",),
    ),
    Promise(
        "coding-lists",
        "every code of the Norwegian lists of 2023-2026 on the first and last day of each year: none called "
        "invalid in its year, those outside their year found exactly",
        ("coding_lists.py",),
    ),
    Promise(
        "coding-control",
        "50,000 stays, planted errors at 1 and 5 %: precision in the first 200, average precision against "
        "baselines, calibration within 0.05",
        ("coding_control.py",),
    ),
    Promise(
        "clean-units",
        "clean data with real case-mix differences: units flagged at no more than the nominal rate",
        ("clean_units.py",),
    ),
    Promise(
        "drift-delay",
        "a unit that starts over-coding in a known month: found, median delay at a stated false-alarm rate",
        ("drift_delay.py",),
    ),
    Promise(
        "coding-mimic-iii",
        "MIMIC-III demo: out-of-fold AUROC by code group, ten strongest findings",
        ("coding_models.py", "--data", "mimic-iii"),
    ),
    Promise(
        "coding-diabetes-130",
        "diabetes-130: out-of-fold AUROC by code group, ten strongest findings",
        ("coding_models.py", "--data", "diabetes-130"),
    ),
    Promise(
        "eicu-funnel",
        "186 eICU hospitals on a funnel by APACHE, equal to another computation; none flagged for small size",
        ("eicu_funnel.py",),
    ),
    Promise(
        "sepsis-practice",
        "published sepsis coding practice by year and region, planted, recovered within sampling error",
        ("sepsis_practice.py",),
    ),
    Promise("audit-speed", "one million contacts audited in under 3 minutes and 6 GB", ("audit_speed.py",)),
    Promise("unit-rates", "5,000 rules x years x units in under 20 s", ("unit_rates.py",)),
    Promise(
        "coding-odd",
        "no conditions, an unknown system, a negative stay, a unit with one stay: counted and said",
        ("tests/journey/test_audit.py",),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("verify"))
    parser.add_argument("--only", nargs="*", help="names of promises; all without it")
    parser.add_argument("--again", action="store_true", help="run what was already shown, too")
    given = parser.parse_args()
    chosen = [promise for promise in PROMISES if not given.only or promise.name in given.only]
    for promise in chosen:
        record = given.out / f"{promise.name}.json"
        if record.exists() and json.loads(record.read_text())["is_shown"] and not given.again:
            continue
        print(f"{promise.name}: {promise.text} ...", flush=True)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(_run(promise, given.out)))
    sys.exit(_table(chosen, given.out))


def _run(promise: Promise, out: Path) -> dict[str, object]:
    started = time.perf_counter()
    if promise.command[0].startswith("tests/"):
        command = [sys.executable, "-m", "pytest", "-q", *promise.command]
    else:
        script, *rest = promise.command
        command = [sys.executable, str(HERE / script), "--out", str(out / promise.name), *rest]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=HERE.parents[1], check=False
    )
    lines = done.stdout.strip().splitlines() or [""]
    result: dict[str, object] = {"is_shown": done.returncode == 0, "figures": lines[-1]}
    if lines[-1].startswith("{"):
        result = json.loads(lines[-1])
    (out / f"{promise.name}.log").write_text(done.stdout)
    return result | {"seconds": round(time.perf_counter() - started, 1)}


def _table(chosen: list[Promise], out: Path) -> int:
    words = {True: "shown", False: "NOT SHOWN", None: "not run"}
    print("\n| promise | result | figures | s |\n|---|---|---|---|")
    is_good = True
    for promise in chosen:
        record = json.loads((out / f"{promise.name}.json").read_text())
        is_good &= record["is_shown"] is not False
        figures = str(record["figures"]).replace("\n", " ").replace("|", "/")
        print(f"| {promise.text} | {words[record['is_shown']]} | {figures} | {record['seconds']} |")
    return 0 if is_good else 1


if __name__ == "__main__":
    main()
