"""The seeded sample of records, and the rejected ones, that are held against all rules of R4."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping

from pipelines.sources.fhir.batch import Resource
from pipelines.sources.fhir.options import FhirOptions

VALIDATED = "validated"
FAULTS = "faults in validated records"
REJECTS = "faults of rejected records"
DECLARED = "declared FHIR version"
_MOST_REJECTS = 1_000
"""Rejected records of one type and file that are validated; those beyond have the reason alone."""


class Sampler:
    """Chooses and validates records of one file.

    The share is taken of every record by chance. What it falls short of "at least" is chosen from the first
    records of each type, so that a file is read once; "at least" is divided among the files that may hold the
    type.

    Args:
        options: share, at least, seed.
        file_number: of the file, so that files differ in what is chosen.
        n_files: files that may hold each type; "" for those that may hold any.
    """

    def __init__(self, options: FhirOptions, file_number: int, n_files: Mapping[str, int]) -> None:
        self._options = options
        self._n_files = n_files
        self._file_number = file_number
        self._left: dict[str, int] = {}
        self._n_seen: Counter[str] = Counter()
        self._n_rejects: Counter[str] = Counter()
        self.notes: Counter[tuple[str, str]] = Counter()

    def look_at(self, resource_type: str, n_records: int, record: Callable[[int], Resource]) -> None:
        """Validate a sample of neighbouring records of one type and count the faults.

        Args:
            resource_type: of all of them.
            n_records: how many there are.
            record: gives one of them by its place.
        """
        for place in self._chosen(resource_type, n_records):
            self.notes[VALIDATED, resource_type] += 1
            self._note(FAULTS, resource_type, record(place))

    def look_at_reject(self, resource_type: str, resource: Resource) -> list[str]:
        """The faults of a rejected record: "field: what is wrong", without values."""
        self._n_rejects[resource_type] += 1
        if self._n_rejects[resource_type] > _MOST_REJECTS:
            return []
        return self._note(REJECTS, resource_type, resource)

    def _chosen(self, resource_type: str, n_records: int) -> list[int]:
        if resource_type not in self._left:
            n_files = self._n_files.get(resource_type, 0) + self._n_files.get("", 0)
            self._left[resource_type] = -(-self._options.validate_at_least // max(1, n_files))
        seed = f"{self._options.seed}|{self._file_number}|{resource_type}|{self._n_seen[resource_type]}"
        self._n_seen[resource_type] += n_records
        chance = random.Random(seed)  # noqa: S311  # a sample, no secret
        by_share = self._options.validate_share * n_records
        wanted = int(by_share) + (chance.random() < by_share % 1)
        wanted = min(n_records, max(wanted, self._left[resource_type]))
        self._left[resource_type] = max(0, self._left[resource_type] - wanted)
        return sorted(chance.sample(range(n_records), wanted))

    def _note(self, topic: str, resource_type: str, resource: Resource) -> list[str]:
        from pipelines.sources.fhir.validation import faults
        from pipelines.sources.fhir.versions import declared_version

        found = faults(resource)
        self.notes.update((topic, f"{resource_type}: {fault}") for fault in found)
        version = declared_version(resource)
        if version:
            self.notes[DECLARED, version] += 1
        return found
