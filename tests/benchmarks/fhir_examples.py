"""Every example and open export of FHIR R4: accounting closed, nothing unnamed, no crash, letters kept.

HL7's 457 examples, 15 Norwegian XML examples, 77 Synthea Bundles (as Bundles and as the same resources in
lines) and a bulk export. How many records a file holds is counted here with Python's json alone.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from fhir_equals_slow import NAME, POLICY, Slow, differences
from harness import arguments, finish, open_data, open_key, pesta

from ontology.configuration import read_yaml
from phenotype.trajectory import open_dataset

Resource = dict[str, Any]
READ = frozenset(
    (
        *(
            "Patient",
            "Encounter",
            "EpisodeOfCare",
            "Condition",
            "Observation",
            "DiagnosticReport",
            "Procedure",
        ),
        *("MedicationRequest", "MedicationAdministration", "MedicationStatement", "Immunization", "Specimen"),
        *("AllergyIntolerance", "Location", "Organization", "ServiceRequest", "RiskAssessment", "Flag"),
        *("DocumentReference", "Medication"),
    )
)
"""The types that the page of FHIR R4 names."""
HL7 = "hl7-fhir-r4-examples/hl7.fhir.r4.examples-4.0.1-clinical.zip"
SYNTHEA = "synthea-fhir-r4/synthea_r4_bundles_with_inpatient.tar.xz"


def n_records(resource: Resource) -> int:
    """How many records a resource is: the entries of a Bundle, and types contained in what is read."""
    if resource["resourceType"] == "Bundle":
        entries = resource.get("entry") or [{}]
        return sum(n_records(entry["resource"]) if "resource" in entry else 1 for entry in entries)
    kind = resource["resourceType"]
    contained = {one["resourceType"] for one in resource.get("contained", ())} if kind in READ else set()
    return 1 + len((contained & READ) - {kind})


def told(dataset: Path) -> dict[str, Any]:
    """The account of a dataset."""
    return dict(json.loads((dataset / "ingest.json").read_text("utf-8")))


def accounted(dataset: Path) -> Counter[str]:
    """By file: records used, ignored and rejected, by the account; every one under a name."""
    found: Counter[str] = Counter()
    for one in told(dataset)["files"]:
        fates = {**one["rows_ignored"], **one["rows_rejected"]}
        found[one["file"]] += one["rows_used"] + sum(fates.values()) if all(fates) else -1
    return found


def by_type(dataset: Path) -> dict[str, Counter[str]]:
    """By table: how many records were used, and how many ignored or rejected under which name."""
    found: dict[str, Counter[str]] = {}
    for one in told(dataset)["files"]:
        table = found.setdefault(one["table"], Counter())
        table.update({"used": one["rows_used"], **one["rows_ignored"], **one["rows_rejected"]})
    return found


NAMED = """\
extends: fhir-r4
name: fhir-r4
title: Examples, whose files are not named after patients
options: {keep_file_names: true}
"""


def ingested(source: Path, dataset: Path, mapping: Path | None = None, *more: str | Path) -> Path:
    """A dataset of a folder; rejects do not stop it, for examples lack times and subjects."""
    shutil.rmtree(dataset, ignore_errors=True)
    if mapping is None:
        mapping = dataset.with_name(f"{dataset.name}.yaml")
        mapping.write_text(NAMED, "utf-8")
    options = ("--out", dataset, "--key", open_key(dataset), "--max-reject-share", "1", "--quiet")
    pesta("ingest", mapping, source, *options, *more)
    return dataset


def hl7_examples(archive: Path, out: Path) -> tuple[int, int]:
    """All examples as one source: files, and how many of them have an account that is not closed."""
    with zipfile.ZipFile(archive) as packed:
        names = [name for name in packed.namelist() if not name.endswith("package.json")]
        (out / "hl7").mkdir(exist_ok=True)
        for name in names:
            (out / "hl7" / Path(name).name).write_bytes(packed.read(name))
    found = accounted(ingested(out / "hl7", out / "hl7-dataset"))
    files = list((out / "hl7").glob("*.json"))
    wrong = [file for file in files if found[file.name] != n_records(json.loads(file.read_text("utf-8")))]
    return len(files), len(wrong)


def hl7_against_slow(out: Path) -> tuple[int, int]:
    """The single examples (no Bundles) against the slow path: events, and how many things differ."""
    single, made = out / "hl7-single", []
    single.mkdir(exist_ok=True)
    for file in sorted((out / "hl7").glob("*.json")):
        resource = json.loads(file.read_text("utf-8"))
        if resource["resourceType"] != "Bundle":
            made.append(resource)
            shutil.copy(file, single)
    options = read_yaml(Path(__file__).parents[2] / "configs/sources/fhir-r4.yaml")["options"]
    (out / "mapping.yaml").write_text(f"extends: fhir-r4\nname: {NAME}\ntitle: HL7's examples\n", "utf-8")
    (out / "policy.yaml").write_text(POLICY, "utf-8")
    slow = Slow(made, options["preferred_systems"], options["subject_identifiers"], [], {})
    slow.run()
    policy = ("--identity", out / "policy.yaml")
    dataset = ingested(single, out / "hl7-single-dataset", out / "mapping.yaml", *policy)
    found = differences(dataset, slow)
    return len(slow.facts), sum(part.total() for parts in found.values() for part in parts)


def norwegian_examples(folder: Path, out: Path) -> Counter[str]:
    """The 15 XML examples: what became of them, by type and name."""
    (out / "norwegian").mkdir(exist_ok=True)
    for file in folder.glob("*.xml"):
        shutil.copy(file, out / "norwegian")
    dataset = ingested(out / "norwegian", out / "norwegian-dataset")
    return Counter(
        {f"{table}: {name}": n for table, one in by_type(dataset).items() for name, n in one.items() if n}
    )


def synthea_both_ways(archive: Path, out: Path, n_bundles: int = 77) -> tuple[int, bool, bool]:
    """The smallest Bundles, and the same resources in lines by type.

    Returns:
        How many Bundles, whether both accounts are closed, and whether the datasets have one digest.
    """
    bundles, lines = out / "bundles", out / "lines"
    if not bundles.exists():
        bundles.mkdir()
        with tarfile.open(archive) as packed:
            held = sorted((member for member in packed if member.isfile()), key=lambda member: member.size)
            for member in held[:n_bundles]:
                content = packed.extractfile(member)
                (bundles / Path(member.name).name).write_bytes(content.read() if content else b"")
    files = sorted(bundles.rglob("*.json"))
    counts = as_lines(files, lines)
    one, other = ingested(bundles, out / "bundles-dataset"), ingested(lines, out / "lines-dataset")
    is_closed = sum(accounted(one).values()) == sum(accounted(other).values()) == counts.total()
    is_equal = open_dataset(one).digest == open_dataset(other).digest
    return len(files), is_closed, is_equal


def as_lines(bundles: list[Path], lines: Path) -> Counter[str]:
    """The entries of Bundles as a bulk export would write them: a file a type, references by type and id."""
    shutil.rmtree(lines, ignore_errors=True)
    lines.mkdir(parents=True)
    counts: Counter[str] = Counter()
    for file in bundles:
        bundle = json.loads(file.read_text("utf-8"))
        names = {
            f'"{entry["fullUrl"]}"': f'"{entry["resource"]["resourceType"]}/{entry["resource"]["id"]}"'
            for entry in bundle["entry"]
        }
        for entry in bundle["entry"]:
            kind = entry["resource"]["resourceType"]
            line = _renamed(json.dumps(entry["resource"], ensure_ascii=False), names)
            with (lines / f"{kind}.ndjson").open("a", encoding="utf-8") as written:
                written.write(f"{line}\n")
            counts[kind] += 1
    return counts


def _renamed(line: str, names: dict[str, str]) -> str:
    """A line whose references by fullUrl are references by type and id."""
    pieces = line.split('"urn:uuid:')
    found = [pieces[0]]
    for piece in pieces[1:]:
        address, _, rest = piece.partition('"')
        whole = f'"urn:uuid:{address}"'
        found.append(f"{names.get(whole, whole)}{rest}")
    return "".join(found)


def bulk_export(folder: Path, out: Path) -> tuple[int, bool]:
    """A bulk export of gzipped lines, without its log: lines, and whether each file's account is closed."""
    found = accounted(ingested(folder, out / "bulk-dataset"))
    files = [file for file in folder.glob("*.gz") if not file.name.startswith("log.")]
    lines = {file.name: len(gzip.decompress(file.read_bytes()).splitlines()) for file in files}
    return sum(lines.values()), all(found[name] == count for name, count in lines.items())


def main() -> None:
    """All of it, in some minutes."""
    out = arguments(__doc__ or "").out
    out.mkdir(parents=True, exist_ok=True)
    data = open_data("hl7-fhir-r4-examples").parent
    n_files, n_open = hl7_examples(data / HL7, out)
    n_events, n_different = hl7_against_slow(out)
    norwegian = norwegian_examples(data / "hl7norway-no-basis/examples", out)
    n_bundles, is_closed, is_equal = synthea_both_ways(data / SYNTHEA, out)
    n_lines, is_bulk_closed = bulk_export(data / "synthea-fhir-r4/bulk-10-patients", out)
    n_norwegian = norwegian.total()
    shown = (n_files, n_open, n_different, n_norwegian, n_bundles) == (457, 0, 0, 15, 77)
    sides = "as" if is_equal else "NOT as", "closed" if is_closed else "OPEN"
    finish(
        is_shown=shown and is_closed and is_equal and is_bulk_closed,
        figures=f"{n_files} HL7 examples, {n_open} accounts open; of the single ones {n_events} events, "
        f"{n_different} differences from the slow path; {n_norwegian} Norwegian ones; {n_bundles} Bundles: "
        f"digest {sides[0]} in lines, accounts {sides[1]}; "
        f"bulk export of {n_lines:,} lines {'closed' if is_bulk_closed else 'OPEN'}",
    )


if __name__ == "__main__":
    main()
