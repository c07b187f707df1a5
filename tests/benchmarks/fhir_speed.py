"""Laboratory Observations of 1 kB become a dataset 14 times as fast as fhir.resources parses them alone.

Whole processes of `pesta ingest fhir-r4` are timed, from a million Observations in 100 NDJSON files (with the
patients and encounters that they name) to a sorted dataset with lineage and account. fhir.resources' R4B
class parses Observations of the same files in one process, in the same run, from bytes in memory. With two
workers it must be 24 times. Memory (of all processes together) must not grow by more than a seventh from 10
to 100 files. Seconds of processor time, which neighbours on the machine change least, are told as well.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from harness import finish

N_FILES = 100
N_FEW_FILES = 10
N_A_FILE = 10_000
N_PATIENTS = 5_000
N_ENCOUNTERS = 20_000
N_PARSED = 5_000
TIMES_ALONE, TIMES_BY_TWO = 14, 24
MOST_GROWTH = 1.15
N_RUNS = 3
FIRST_SECOND = 1_420_070_400  # 2015-01-01
ANALYTES = [
    (
        "2951-2",
        "NPU03429",
        "Sodium [Moles/volume] in Serum or Plasma",
        "P-Natrium",
        "mmol/L",
        137,
        145,
        141,
        4,
    ),
    (
        "2823-3",
        "NPU03230",
        "Potassium [Moles/volume] in Serum or Plasma",
        "P-Kalium",
        "mmol/L",
        3.5,
        4.4,
        4.0,
        0.5,
    ),
    (
        "14682-9",
        "NPU18016",
        "Creatinine [Moles/volume] in Serum or Plasma",
        "P-Kreatinin",
        "umol/L",
        60,
        105,
        85,
        30,
    ),
    ("1988-5", "NPU19748", "C reactive protein [Mass/volume] in Serum", "P-CRP", "mg/L", 0, 5, 40, 50),
    ("718-7", "NPU02319", "Hemoglobin [Mass/volume] in Blood", "B-Hemoglobin", "g/dL", 13.4, 17.0, 13.5, 1.8),
    ("6690-2", "NPU02593", "Leukocytes [#/volume] in Blood", "B-Leukocytter", "10*9/L", 3.5, 11.0, 8.5, 3.5),
    ("777-3", "NPU03568", "Platelets [#/volume] in Blood", "B-Trombocytter", "10*9/L", 145, 390, 240, 80),
    (
        "2524-7",
        "NPU03943",
        "Lactate [Moles/volume] in Serum or Plasma",
        "P-Laktat",
        "mmol/L",
        0.5,
        2.2,
        1.6,
        1.2,
    ),
]
"""LOINC, NPU, LOINC's name, Norwegian name, UCUM unit, reference range, mean and spread of the values."""


def observation(number: int, rng: random.Random) -> bytes:
    """One result as a laboratory sends it, about 1 kB."""
    loinc, npu, name, norwegian, unit, low, high, mean, spread = ANALYTES[int(rng.random() * len(ANALYTES))]
    value = max(0.1, round(rng.gauss(mean, spread), 1))
    encounter = int(rng.random() * N_ENCOUNTERS)
    sampled = FIRST_SECOND + int(rng.random() * 10 * 365 * 86_400)
    flag = "N" if low <= value <= high else ("L" if value < low else "H")
    effective = time.strftime("%Y-%m-%dT%H:%M:%S+01:00", time.gmtime(sampled))
    issued = time.strftime("%Y-%m-%dT%H:%M:%S.000+01:00", time.gmtime(sampled + 3_600))
    return (
        f'{{"resourceType":"Observation","id":"obs-{number:09d}",'
        f'"meta":{{"versionId":"1","lastUpdated":"{issued}"}},'
        f'"identifier":[{{"system":"urn:oid:2.16.578.1.34.1000.7","value":"{number * 7919:012d}"}}],'
        '"status":"final",'
        '"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category",'
        '"code":"laboratory","display":"Laboratory"}]}],'
        f'"code":{{"coding":[{{"system":"urn:oid:2.16.578.1.12.4.1.1.7280",'
        f'"code":"{npu}","display":"{norwegian}"}},'
        f'{{"system":"http://loinc.org","code":"{loinc}","display":"{name}"}}],"text":"{norwegian}"}},'
        f'"subject":{{"reference":"Patient/{encounter % N_PATIENTS}"}},'
        f'"encounter":{{"reference":"Encounter/{encounter}"}},'
        f'"effectiveDateTime":"{effective}","issued":"{issued}",'
        '"performer":[{"reference":"Organization/lab-1","display":"Medisinsk biokjemi"}],'
        f'"valueQuantity":{{"value":{value},'
        f'"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}},'
        '"interpretation":[{"coding":[{'
        '"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",'
        f'"code":"{flag}"}}]}}],"referenceRange":[{{"low":{{"value":{low},"unit":"{unit}"}},'
        f'"high":{{"value":{high},"unit":"{unit}"}}}}]}}\n'
    ).encode()


def patient(number: int) -> bytes:
    content = {
        "resourceType": "Patient",
        "id": str(number),
        "gender": "female" if number % 2 else "male",
        "birthDate": f"{1930 + number % 80}-{1 + number % 12:02d}-{1 + number % 28:02d}",
    }
    return json.dumps(content).encode() + b"\n"


def encounter(number: int) -> bytes:
    content = {
        "resourceType": "Encounter",
        "id": str(number),
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": f"Patient/{number % N_PATIENTS}"},
        "period": {"start": "2015-01-01T00:00:00+01:00", "end": "2025-01-01T00:00:00+01:00"},
    }
    return json.dumps(content).encode() + b"\n"


def write_export(folder: Path, n_files: int) -> None:
    """A bulk export: Observations in files of equal size, one file of patients, one of encounters."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Patient.ndjson").write_bytes(b"".join(patient(number) for number in range(N_PATIENTS)))
    (folder / "Encounter.ndjson").write_bytes(b"".join(encounter(number) for number in range(N_ENCOUNTERS)))
    for file in range(n_files):
        rng = random.Random(file)
        numbers = range(file * N_A_FILE, (file + 1) * N_A_FILE)
        made = b"".join(observation(number, rng) for number in numbers)
        (folder / f"Observation.{file:03d}.ndjson").write_bytes(made)


@dataclass(frozen=True)
class Measured:
    """One run of the command: seconds on the wall and of processors, and what its processes held at most."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def ingest(export: Path, dataset: Path, *, n_workers: int) -> Measured:
    """`pesta ingest` in processes of its own; memory is looked at twenty times a second."""
    program = Path(sys.executable).with_name("pesta")
    command = [str(program), "ingest", "fhir-r4", str(export), "--out", str(dataset), "--quiet"]
    command += ["--workers", str(n_workers)]
    threads = {"PESTA_THREADS": str(n_workers), "POLARS_MAX_THREADS": str(n_workers)}
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        command, env=os.environ | threads, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    peaks = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        finish(
            is_shown=False, figures=f"pesta ingest ended with {process.returncode}\n{output.decode()[-3000:]}"
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu_seconds, max(peaks))


def _watch(process: subprocess.Popen[bytes], peaks: list[float]) -> None:
    while process.poll() is None:
        peaks.append(sum(_resident_mb(pid) for pid in _family(process.pid)))
        time.sleep(0.05)


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in _family(int(child)))]


def _resident_mb(pid: int) -> float:
    """What a process holds of its own: shared pages of libraries are counted once a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def parsed_a_second(export: Path) -> tuple[float, float]:
    """Observations that fhir.resources parses here, a second on the wall and one of processor time."""
    from fhir.resources.R4B.observation import Observation

    lines = (export / "Observation.000.ndjson").read_bytes().splitlines()[:N_PARSED]
    Observation.model_validate_json(lines[0])
    started, cpu_started = time.perf_counter(), time.process_time()
    for line in lines:
        Observation.model_validate_json(line)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return len(lines) / seconds, len(lines) / cpu_seconds


def is_right(dataset: Path, n_files: int) -> bool:
    """Whether every Observation is one event, the events are sorted, and the account closes."""
    events = pl.scan_parquet(dataset / "data" / "*.parquet")
    n_values = events.filter(pl.col("numeric_value").is_not_null()).select(pl.len()).collect().item()
    shards = [pl.read_parquet(path) for path in sorted((dataset / "data").glob("*.parquet"))]
    is_sorted = all(
        shard.select("subject_id", "time").equals(
            shard.select("subject_id", "time").sort("subject_id", "time")
        )
        for shard in shards
    )
    files = json.loads((dataset / "ingest.json").read_text("utf-8"))["files"]
    told = [file for file in files if file["table"] == "Observation"]
    n_used = sum(file["rows_used"] for file in told)
    return is_sorted and n_values == n_used == n_files * N_A_FILE and len(told) == n_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for exports and datasets; kept")
    parser.add_argument("--runs", type=int, default=N_RUNS, help="how often each is timed")
    given = parser.parse_args()
    exports = {n_files: given.out / f"export-{n_files}" for n_files in (N_FEW_FILES, N_FILES)}
    for n_files, export in exports.items():
        if not (export / f"Observation.{n_files - 1:03d}.ndjson").exists():
            write_export(export, n_files)
    rates, times = [], {}
    for workers in (1, 2):
        for _ in range(given.runs):
            rates.append(parsed_a_second(exports[N_FILES]))
            measured = ingest(exports[N_FILES], given.out / f"dataset-{workers}", n_workers=workers)
            times.setdefault(workers, []).append(measured)
    few = {workers: ingest(exports[N_FEW_FILES], given.out / "few", n_workers=workers) for workers in (1, 2)}
    n_all = N_FILES * N_A_FILE
    rate, cpu_rate = (statistics.median(one[place] for one in rates) for place in (0, 1))
    speeds = {w: n_all / statistics.median(one.seconds for one in runs) / rate for w, runs in times.items()}
    cpu = n_all / statistics.median(one.cpu_seconds for one in times[1]) / cpu_rate
    growth = {w: max(one.peak_mb for one in runs) / few[w].peak_mb for w, runs in times.items()}
    are_right = all(is_right(given.out / f"dataset-{workers}", N_FILES) for workers in (1, 2))
    figures = (
        f"fhir.resources {rate:,.0f}/s; one process {speeds[1]:.1f} times (at least {TIMES_ALONE}; "
        f"by processor time {cpu:.1f}), two {speeds[2]:.1f} times (at least {TIMES_BY_TWO}); memory "
        f"{few[1].peak_mb:,.0f} MB at {N_FEW_FILES} files, x{growth[1]:.2f} at {N_FILES}; "
        f"two processes {few[2].peak_mb:,.0f} MB, "
        f"x{growth[2]:.2f}; what was written is {'right' if are_right else 'WRONG'}"
    )
    is_fast = speeds[1] >= TIMES_ALONE and speeds[2] >= TIMES_BY_TWO
    finish(is_shown=is_fast and are_right and max(growth.values()) <= MOST_GROWTH, figures=figures)


if __name__ == "__main__":
    main()
