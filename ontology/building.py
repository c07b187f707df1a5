"""The configuration of an ontology, and the ontology that its readers give."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import polars as pl
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
    validate_call,
)

from ontology.assembling import embedded_systems, ontology_of
from ontology.concepts import CONCEPTS, CodeSystem
from ontology.configuration import read_yaml, validate, validation_problems
from ontology.errors import ConfigurationError, Problem, gathered_problems
from ontology.terminology import LANGUAGES, Ontology, Source


@dataclass(frozen=True)
class Reader:
    """Where the functions of a reader are.

    Attributes:
        module: below ontology.
        of_path: the function for one file or folder; empty where there is none. It gives a CodeSystem, or
            MAPPINGS alone.
        of_paths: the function for a file of each year; empty where there is none.
    """

    module: str
    of_path: str = ""
    of_paths: str = ""


READERS: Mapping[str, Reader] = {
    "icd10_no": Reader("codesystems.icd10_no", "read_export", "read_year_lists"),
    "icd9cm": Reader("codesystems.icd9cm", "read_icd9cm"),
    "icd9pcs": Reader("codesystems.icd9cm", "read_icd9pcs"),
    "icpc2": Reader("codesystems.icpc2", "read_icpc2", "read_icpc2_years"),
    "icd11": Reader("codesystems.icd11", "read_icd11"),
    "nkpk": Reader("codesystems.nkpk", "read_procedures", "read_procedure_years"),
    "atc": Reader("codesystems.atc", "read_atc"),
    "nlk": Reader("codesystems.nlk", "read_nlk"),
    "loinc": Reader("codesystems.loinc", "read_loinc"),
    "snomed": Reader("codesystems.snomed", "read_snomed"),
    "fhir_code_system": Reader("codesystems.fhir", "read_code_system"),
    "fhir_concept_map": Reader("codesystems.fhir", "read_concept_map"),
    "owl": Reader("codesystems.owl", "read_owl"),
    "sssom": Reader("maps", "read_sssom"),
}
"""Every reader by the name that a configuration gives it."""


class SystemConfig(BaseModel):
    """One list, or the yearly lists of one system.

    Attributes:
        reader: a name of READERS.
        path: the file or folder, or several for readers that take several; relative to the configuration's
            own folder.
        paths: the file of each year, for readers of yearly lists.
        options: what else the reader takes (system, language, covered_to, ...); files among them likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reader: str
    path: Path | tuple[Path, ...] | None = None
    paths: dict[int, Path] | None = None
    options: dict[str, Any] = {}

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        again = sorted(_FILE_ARGUMENTS & options.keys())
        if again:
            raise ValueError(
                f"options name files as {', '.join(again)}, beside the entry's own path or paths"
            )
        for name in ("language", "languages"):
            _quoted(options.get(name))
        return options

    @model_validator(mode="after")
    def _check(self) -> SystemConfig:
        if self.reader not in READERS:
            raise ValueError(f"reader is none of {', '.join(sorted(READERS))}")
        reader = READERS[self.reader]
        if (self.path is None) == (self.paths is None):
            raise ValueError("name either path, or paths by year")
        if self.path is not None and not reader.of_path:
            raise ValueError(f"the reader {self.reader} takes paths by year")
        if self.paths is not None and not reader.of_paths:
            raise ValueError(f"the reader {self.reader} takes one path")
        return self


class OntologyConfig(BaseModel):
    """What an ontology is built of, beside WHO's ICD-10, which every ontology holds.

    Attributes:
        name: of the release.
        languages: the order in which labels are looked for.
        systems: the lists.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    languages: Annotated[tuple[str, ...], Field(min_length=1)] = LANGUAGES
    systems: tuple[SystemConfig, ...] = ()

    @field_validator("languages", mode="before")
    @classmethod
    def _check_languages(cls, languages: object) -> object:
        return _quoted(languages)


def _quoted(languages: object) -> object:
    """Languages as they stand in YAML, unless one is the truth value that YAML reads from a bare no."""
    if languages is False or (isinstance(languages, list | tuple) and False in languages):
        raise ValueError('YAML reads no as false: write the language "no" in quotes')
    return languages


def build_ontology(config: OntologyConfig | Path, *, folder: Path | None = None) -> Ontology:
    """The ontology that a configuration asks for.

    Args:
        config: the configuration, or its YAML file.
        folder: what relative paths are relative to; by default the YAML file's own folder, else the working
            folder.

    Raises:
        PestaError: everything that is wrong with the configuration; or, when it is right, everything that is
            wrong with the lists, of all readers at once; or, when all are read, every circle.
    """
    if isinstance(config, Path):
        folder = folder or config.parent
        config = validate(OntologyConfig, read_yaml(config), where=str(config))
    base = folder or Path()
    systems, sources = embedded_systems(), []
    with gathered_problems() as attempt:
        for place, entry in enumerate(config.systems):
            with attempt():
                asked = _asked(entry, base)
                systems.append(_read(entry, asked, where=f"systems.{place}"))
                sources += [_source(entry.reader, file) for file in _files(asked)]
    return ontology_of(systems, config.languages, tuple(sources))


def _asked(entry: SystemConfig, base: Path) -> dict[str, Any]:
    """The arguments of an entry's reader, with all paths whole."""
    function = _function(entry)
    hints = get_type_hints(function)
    argument = next(name for name in inspect.signature(function).parameters if name in _FILE_ARGUMENTS)
    given: Path | list[Path] | dict[int, Path]
    if isinstance(entry.path, Path):
        given = base / entry.path
    elif entry.path is not None:
        given = [base / path for path in entry.path]
    else:
        given = {year: base / path for year, path in sorted((entry.paths or {}).items())}
    return {argument: given} | {
        name: base / value if isinstance(value, str) and Path in get_args(hints.get(name)) else value
        for name, value in entry.options.items()
    }


def _read(entry: SystemConfig, asked: dict[str, Any], *, where: str) -> CodeSystem:
    """What the reader of one entry gives.

    Raises:
        ConfigurationError: files that are not there, options that the reader does not take or needs.
    """
    missing = [str(file) for file in _files(asked) if not file.exists()]
    if missing:
        raise ConfigurationError([Problem("no such file", where=f"{where}: {name}") for name in missing])
    try:
        read: CodeSystem | pl.DataFrame = validate_call(_function(entry))(**asked)
    except ValidationError as error:
        raise ConfigurationError(validation_problems(error, where=f"{where}.options")) from None
    if isinstance(read, CodeSystem):
        return read
    return CodeSystem(pl.DataFrame(schema=CONCEPTS), mappings=read)


def _function(entry: SystemConfig) -> Callable[..., CodeSystem | pl.DataFrame]:
    reader = READERS[entry.reader]
    name = reader.of_path if entry.path is not None else reader.of_paths
    function: Callable[..., CodeSystem | pl.DataFrame] = getattr(
        importlib.import_module(f"ontology.{reader.module}"), name
    )
    return function


_FILE_ARGUMENTS = frozenset({"path", "folder", "folders", "lists", "paths"})


def _files(asked: dict[str, Any]) -> list[Path]:
    """Every file and folder among the arguments."""
    found: list[Path] = []
    for value in asked.values():
        within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        found += [file for file in within if isinstance(file, Path)]
    return found


def _source(reader: str, path: Path) -> Source:
    """The name and digest of a file; of a folder, the digest over the names and bytes of its files."""
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            name = file.relative_to(path).as_posix() if path.is_dir() else ""
            with file.open("rb") as content:
                total.update(name.encode() + hashlib.file_digest(content, "sha256").digest())
    return Source(reader, path.name, total.hexdigest())
