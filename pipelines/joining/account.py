"""What became of every fact of the datasets that were joined; the sums close."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class JoinAccount:
    """Counts of one join.

    Attributes:
        sources: of each dataset, by name: its events, contacts, codings, lineage rows and subjects.
        n_events: events written.
        n_same_events: events that were one with another source's.
        n_dropped_lives: births and deaths that contradict the one kept.
        n_contacts, n_same_contacts, n_left_out_contacts: written, one with another's, id of another subject.
        n_codings, n_same_codings, n_left_out_codings: written, one with another's, of contacts left out.
        n_windows, n_lineage: observation windows and lineage rows written.
        n_subjects, n_subjects_of_several: written, and those that more than one source knows.
        n_unlinked: events that named a contact that is not there.
        conflicts: by kind.
    """

    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    n_events: int = 0
    n_same_events: int = 0
    n_dropped_lives: int = 0
    n_contacts: int = 0
    n_same_contacts: int = 0
    n_left_out_contacts: int = 0
    n_codings: int = 0
    n_same_codings: int = 0
    n_left_out_codings: int = 0
    n_windows: int = 0
    n_lineage: int = 0
    n_subjects: int = 0
    n_subjects_of_several: int = 0
    n_unlinked: int = 0
    conflicts: Counter[str] = field(default_factory=Counter)

    @property
    def is_closed(self) -> bool:
        """Whether every event, contact, coding and lineage row of every source is accounted for."""
        given = Counter[str]()
        for counts in self.sources.values():
            given.update(counts)
        return (
            given["events"] == self.n_events + self.n_same_events + self.n_dropped_lives
            and given["contacts"] == self.n_contacts + self.n_same_contacts + self.n_left_out_contacts
            and given["codings"] == self.n_codings + self.n_same_codings + self.n_left_out_codings
            and given["lineage_rows"] == self.n_lineage
        )

    def content(self) -> dict[str, Any]:
        """The account as join.json has it."""
        return {
            "sources": self.sources,
            "events": {"written": self.n_events, "same": self.n_same_events, "dropped": self.n_dropped_lives},
            "contacts": {
                "written": self.n_contacts,
                "same": self.n_same_contacts,
                "left_out": self.n_left_out_contacts,
            },
            "codings": {
                "written": self.n_codings,
                "same": self.n_same_codings,
                "left_out": self.n_left_out_codings,
            },
            "subjects": {"written": self.n_subjects, "of_several_sources": self.n_subjects_of_several},
            "observation_windows": self.n_windows,
            "lineage_rows": self.n_lineage,
            "events_without_their_contact": self.n_unlinked,
            "conflicts": dict(sorted(self.conflicts.items())),
        }

    def as_json(self) -> str:
        """The text of join.json."""
        return json.dumps(self.content(), indent=1, ensure_ascii=False) + "\n"

    def lines(self) -> list[str]:
        """What a person is told."""
        told = [
            f"{name}: " + ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in counts.items())
            for name, counts in self.sources.items()
        ]
        told.append(
            f"{self.n_events:,} events written; {self.n_same_events:,} more were theirs, told again; "
            f"{self.n_subjects_of_several:,} of {self.n_subjects:,} subjects are in several sources; "
            f"{self.n_same_contacts:,} contacts and {self.n_same_codings:,} codings were one with another's"
        )
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.conflicts.items())) or "none"
        told.append(f"contradictions, kept and listed in conflicts.parquet: {kinds}")
        return told
