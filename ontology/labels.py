"""What codes are called: plain labels, domains, units and usual bands, read from configs/labels/*.yaml.

A code that no file lists is called what the ontology in use calls it; then it borrows the label of the
nearest listed code above it (A41 for A41.9), then the words in the code itself. Its domain is that of the
longest listed prefix. So every code has both.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources.abc import Traversable
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ontology.errors import ConfigurationError, Problem
from ontology.systems import SYSTEMS, compact

DOMAINS = (
    "Demographics",
    "Contacts",
    "Diagnoses",
    "Vital signs",
    "Laboratory",
    "Microbiology",
    "Scores",
    "Drugs",
    "Procedures",
    "Orders and treatments",
    "Outcomes",
    "Other",
)
"""The rooms that codes are shown in, in the order in which a report shows them."""

CARE_DOMAINS = frozenset({"Drugs", "Procedures", "Orders and treatments"})
"""What the hospital did rather than what the patient has: shown as care already given, never as a cause."""


class Label(BaseModel):
    """What one code is called and how its values read.

    Attributes:
        label: the name in plain words, as it stands inside a sentence's beginning ("Heart rate").
        domain: one of DOMAINS; empty = as the longest listed prefix says.
        unit: the unit of the values where events carry none.
        low: lower end of the usual adult band, null = none known.
        high: upper end of the usual adult band.
        reference: which of the file's references the band comes from; needed wherever there is a band.
        values: names of coded values, keyed by the number as text ("1": "Coronary care unit").
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str, Field(min_length=1)]
    domain: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    reference: str = ""
    values: dict[str, str] = {}

    @model_validator(mode="after")
    def _check(self) -> Label:
        if self.domain and self.domain not in DOMAINS:
            raise ValueError(f"domain {self.domain!r} is not one of {', '.join(DOMAINS)}")
        if (self.low is not None or self.high is not None) and not self.reference:
            raise ValueError("a band needs a reference")
        return self


class LabelFile(BaseModel):
    """One YAML file of labels.

    Attributes:
        source: where the labels come from, one sentence.
        references: what each reference named by a band is.
        prefixes: domain by beginning of code ("ATC//": Drugs), for codes that are not listed.
        codes: labels by full code, or by the beginning of a hierarchical code ("ICD10-NO//A41").
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    references: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    codes: dict[str, Label] = {}

    @model_validator(mode="after")
    def _check(self) -> LabelFile:
        wrong = sorted(set(self.prefixes.values()) - set(DOMAINS))
        if wrong:
            raise ValueError(f"prefixes name unknown domains {wrong}")
        missing = sorted({entry.reference for entry in self.codes.values()} - {"", *self.references})
        if missing:
            raise ValueError(f"bands name references that the file does not list: {missing}")
        return self


def label_of(code: str) -> str:
    """The plain-language name of a code, as the files have it, else the ontology in use; never empty."""
    if code in _tables()[0]:
        return _tables()[0][code].label
    if (named := _ontology_label(code)) is not None:
        return named
    entry = entry_of(code)
    if entry is None:
        words = _words(code)
        is_bare = any(letter.isdigit() for letter in words) and " " not in words
        return f"{_KIND_OF_FACT.get(_prefix_domain(code), '')} {words}".strip() if is_bare else words
    return f"{entry.label} ({code.rsplit('//', 1)[-1]})"


def _ontology_label(code: str) -> str | None:
    """The label of a code of a code system, from the ontology in use; None for all other codes."""
    from ontology.release import active_ontology

    ontology = active_ontology()
    system, separator, bare = code.partition("//")
    if not separator or system not in SYSTEMS:
        return None
    concept = code if code in ontology else ontology.listed.find(code)[0]
    text = None if concept is None else ontology.label(concept)
    is_same = concept is not None and compact(concept.partition("//")[2]) == compact(bare)
    return text if is_same or text is None else f"{text} ({bare})"


_KIND_OF_FACT = {"Diagnoses": "Diagnosis", "Drugs": "Drug", "Procedures": "Procedure"}


def domain_of(code: str) -> str:
    """The domain of a code, one of DOMAINS; "Other" where no file knows it."""
    entry = entry_of(code)
    return entry.domain if entry is not None and entry.domain else _prefix_domain(code)


def parent_chain(code: str) -> tuple[str, ...]:
    """The nodes above a code, nearest first: the listed codes that it begins with, then its domain."""
    return (*_listed_above(code), domain_of(code))


def is_care(code: str) -> bool:
    """Whether a code is something the hospital did (CARE_DOMAINS) rather than something the patient has."""
    return domain_of(code) in CARE_DOMAINS


@lru_cache(maxsize=65_536)
def entry_of(code: str) -> Label | None:
    """The entry of a code, or of the nearest listed code above it, if any."""
    codes = _tables()[0]
    return codes.get(code) or next((codes[above] for above in _listed_above(code)), None)


def reference_of(code: str) -> str:
    """What the usual band of a code comes from, in words; empty where no band is known."""
    entry = entry_of(code)
    return _tables()[2].get(entry.reference, "") if entry is not None and entry.reference else ""


@lru_cache(maxsize=1)
def labels_digest() -> str:
    """The sha256 of all label files, names and bytes, in name order."""
    total = hashlib.sha256()
    for file in _files():
        total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def read_label_file(text: str, name: str) -> LabelFile:
    """One label file, checked.

    Args:
        text: the YAML.
        name: the file's name, for messages.

    Raises:
        ConfigurationError: the YAML cannot be read, or entries are wrong; all of them at once.
    """
    try:
        return LabelFile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigurationError(Problem("a label file is not YAML", where=name, found=str(error))) from error
    except ValidationError as error:
        problems = [
            Problem(
                "a label entry is wrong",
                where=f"{name}: {'.'.join(map(str, fault['loc']))}",
                found=fault["msg"],
                allowed="source, references, prefixes and codes; see configs/labels/common.yaml",
                next_step="mend the entry",
            )
            for fault in error.errors()
        ]
        raise ConfigurationError(problems) from error


def _prefix_domain(code: str) -> str:
    """The domain of the longest listed prefix."""
    prefixes = _tables()[1]
    return next((prefixes[code[:n]] for n in range(len(code), 0, -1) if code[:n] in prefixes), "Other")


def _listed_above(code: str) -> list[str]:
    """The listed codes above a code, nearest first: it continues them by a separator, or its system nests."""
    is_nested = _prefix_domain(code) in {"Diagnoses", "Drugs", "Procedures"}
    codes = _tables()[0]
    return [
        code[:n] for n in range(len(code) - 1, 0, -1) if code[:n] in codes and (is_nested or code[n] in "/.")
    ]


@lru_cache(maxsize=1)
def _tables() -> tuple[Mapping[str, Label], Mapping[str, str], Mapping[str, str]]:
    """Codes, prefixes and references of all files; a later file name wins where two list the same code."""
    codes: dict[str, Label] = {}
    prefixes: dict[str, str] = {}
    references: dict[str, str] = {}
    for file in _files():
        content = read_label_file(file.read_text("utf-8"), file.name)
        codes |= content.codes
        prefixes |= content.prefixes
        references |= content.references
    return codes, prefixes, references


def _files() -> list[Traversable]:
    folder = importlib.resources.files("configs") / "labels"
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name
    )


def _words(code: str) -> str:
    """The words in a code that no file lists: its parts after the system, underscores as spaces."""
    parts = [part.replace("_", " ").strip() for part in code.split("//") if part.strip()]
    words = " · ".join(parts[1:] or parts)
    return words[:1].upper() + words[1:] if words else (code or "(no code)")
