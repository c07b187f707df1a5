"""Ontologies in OWL/XML (CIIO, AAENOTE and the like): classes, properties, individuals, what is said of them.

Only what is asserted is read; nothing is inferred. A file with a document type declaration is refused before
anything in it is expanded, so it can neither name entities nor reach outside itself.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.parsers import expat

import polars as pl

from ontology.codesystems.list_columns import table_of
from ontology.concepts import CONCEPTS, EDGES, PROPERTIES, CodeSystem, concept_rows
from ontology.errors import InputError, Problem

OWL = "{http://www.w3.org/2002/07/owl#}"

KINDS = {
    "Class": "class",
    "ObjectProperty": "object_property",
    "DataProperty": "data_property",
    "NamedIndividual": "individual",
}
"""What an OWL file declares -> the level of its concept.

**Source:** W3C, OWL 2 Web Ontology Language XML Serialization (2012), section 3.
"""

_IS_A = {"SubClassOf", "SubObjectPropertyOf", "SubDataPropertyOf", "ClassAssertion"}
_LABEL = "rdfs:label"
_COMMENT = "rdfs:comment"
_VOCABULARIES = {
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_TOP = ("owl:Thing", "owl:topObjectProperty", "owl:topDataProperty")
_LANGUAGES = {"no": "nb"}
"""Norwegian without a written form is Bokmål here, as in every other system's labels."""


def read_owl(path: Path, system: str) -> CodeSystem:
    """One ontology.

    Args:
        path: a file in OWL/XML.
        system: the name that its concepts get: CIIO, AAENOTE.

    Returns:
        Concepts: everything declared, its code the name within the ontology (`insertion_site`), level class,
        object_property, data_property or individual; one row for each label (rdfs:label; a label without a
        language counts as English), one row without label where there is none. Individuals are listed even
        where no axiom names them.
        Edges is_a: sub-classes, sub-properties, and an individual's classes, as far as they are named.
        Properties: `comment`, `label` twins beyond the first of a language (property `synonym`), object
        property assertions (value: the other individual as concept) and data property assertions (value: the
        literal), the property's own name as property; `domain`, `range` (concepts or datatypes); `negative:`
        before the name of a negative assertion.

    Raises:
        InputError: no such file, not OWL/XML, a document type declaration, names that nothing declares.
    """
    root = safe_xml(path)
    if root.tag != f"{OWL}Ontology":
        told = Problem("not an ontology in OWL/XML", str(path), root.tag, "Ontology", "save it as OWL/XML")
        raise InputError(told)
    prefixes = {part.get("name", ""): part.get("IRI", "") for part in root.iter(f"{OWL}Prefix")}
    reader = _Reader(system, root.get("ontologyIRI", ""), prefixes)
    declared = dict(reader.declarations(root))
    unknown = sorted({name for axiom in root for name in reader.names(axiom)} - set(declared))
    if unknown:
        raise InputError(
            Problem(
                "names that nothing declares",
                str(path),
                ", ".join(unknown[:20]) + (f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""),
                "names with a Declaration in the same file",
                "declare them, or give the file that is whole",
            )
        )
    return CodeSystem(
        table_of(CONCEPTS, reader.concepts(root, declared)),
        table_of(EDGES, pl.DataFrame(list(reader.edges(root)), EDGES, orient="row")),
        table_of(PROPERTIES, pl.DataFrame(list(reader.properties(root)), PROPERTIES, orient="row")),
    )


def safe_xml(path: Path) -> ET.Element:
    """The root of an XML file without document type declaration.

    Raises:
        InputError: no such file, not well formed, or a document type declaration in it.
    """
    if not path.is_file():
        raise InputError(Problem("no such file", str(path), next_step="check the path"))
    content = path.read_bytes()
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        """Stop at the first declaration."""
        raise InputError(
            Problem(
                "a document type declaration is not read",
                f"{path}, line {parser.CurrentLineNumber}",
                "<!DOCTYPE",
                "XML without one",
                "save the ontology again without entities",
            )
        )

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)  # noqa: FBT003 - expat's own signature
    except expat.ExpatError as error:
        where = f"{path}, line {error.lineno}, column {error.offset}"
        raise InputError(Problem("not well-formed XML", where, expat.ErrorString(error.code))) from None
    return ET.fromstring(content)  # noqa: S314 - a document type declaration was refused above


class _Reader:
    """Names of one ontology as concepts."""

    def __init__(self, system: str, base: str, prefixes: Mapping[str, str]) -> None:
        self.system = system
        self.base = base
        self.prefixes = {name: address for name, address in prefixes.items() if name not in _VOCABULARIES}

    def name(self, element: ET.Element) -> str:
        """The name of what an element refers to, within this ontology where it is its own."""
        short = element.get("abbreviatedIRI")
        if short is None and element.tag == f"{OWL}AbbreviatedIRI":
            short = (element.text or "").strip()
        if short is None:
            return self.own(element.get("IRI") or (element.text or "").strip())
        prefix, _, local = short.partition(":")
        return self.own(self.prefixes[prefix] + local) if prefix in self.prefixes else short

    def own(self, iri: str) -> str:
        """An address without the ontology's own beginning; those of OWL's vocabularies with their prefix."""
        if iri.startswith("#") or (self.base and iri.startswith(self.base)):
            return iri.removeprefix(self.base).lstrip("#/")
        for prefix, address in _VOCABULARIES.items():
            if iri.startswith(address):
                return f"{prefix}:{iri.removeprefix(address)}"
        return iri

    def concept(self, name: str) -> str:
        """The concept of a name in the file."""
        return f"{self.system}//{name}"

    def declarations(self, root: ET.Element) -> Iterator[tuple[str, str]]:
        """Name and level of everything declared."""
        for declaration in root.iter(f"{OWL}Declaration"):
            for entity in declaration:
                level = KINDS.get(entity.tag.removeprefix(OWL))
                if level is not None:
                    yield self.name(entity), level

    def names(self, axiom: ET.Element) -> Iterator[str]:
        """The names that an axiom uses, beyond OWL's own."""
        if axiom.tag == f"{OWL}Declaration":
            return
        for element in axiom.iter():
            if element.tag.removeprefix(OWL) in KINDS and self.name(element) not in _TOP:
                yield self.name(element)

    def concepts(self, root: ET.Element, declared: dict[str, str]) -> pl.DataFrame:
        """What is declared, with its labels: columns of CONCEPTS."""
        labels: dict[tuple[str, str], str] = {}
        for name, language, text in self._annotations(root, _LABEL):
            labels.setdefault((name, language), text)
        labelled = {name for name, _ in labels}
        rows: list[tuple[str, str | None, str | None, str]] = [
            (name, text, language, declared[name])
            for (name, language), text in labels.items()
            if name in declared
        ]
        rows += [(name, None, None, level) for name, level in declared.items() if name not in labelled]
        schema = dict.fromkeys(("code", "label", "language", "level"), pl.String())
        return concept_rows(self.system, pl.DataFrame(rows, schema, orient="row"))

    def edges(self, root: ET.Element) -> Iterator[tuple[str, str, str]]:
        """Child, parent and relation of each asserted axiom."""
        for axiom in root:
            kind = axiom.tag.removeprefix(OWL)
            parts = [part for part in axiom if part.tag.removeprefix(OWL) in KINDS]
            if kind in _IS_A and len(parts) == 2:
                child, parent = reversed(parts) if kind == "ClassAssertion" else parts
                if self.name(parent) not in _TOP:
                    yield self.concept(self.name(child)), self.concept(self.name(parent)), "is_a"

    def properties(self, root: ET.Element) -> Iterator[tuple[str, str, str]]:
        """Concept, property and value of all else that is asserted."""
        for name, _, text in self._annotations(root, _COMMENT):
            yield self.concept(name), "comment", text
        seen: set[tuple[str, str]] = set()
        for name, language, text in self._annotations(root, _LABEL):
            if (name, language) in seen:
                yield self.concept(name), "synonym", text
            seen.add((name, language))
        for axiom in root:
            yield from self._said(axiom)

    def _said(self, axiom: ET.Element) -> Iterator[tuple[str, str, str]]:
        kind = axiom.tag.removeprefix(OWL)
        if kind.endswith("PropertyAssertion"):
            relation, subject, value = (part for part in axiom if part.tag != f"{OWL}Annotation")
            told = ("negative:" if kind.startswith("Negative") else "") + self.name(relation)
            literal = value.tag == f"{OWL}Literal"
            text = (value.text or "") if literal else self.concept(self.name(value))
            yield self.concept(self.name(subject)), told, text
        elif kind.endswith(("PropertyDomain", "PropertyRange")):
            relation, *values = (part for part in axiom if part.tag != f"{OWL}Annotation")
            told = "domain" if kind.endswith("Domain") else "range"
            for value in (part for whole in values for part in whole.iter()):
                if value.tag == f"{OWL}Class":
                    yield self.concept(self.name(relation)), told, self.concept(self.name(value))
                elif value.tag == f"{OWL}Datatype":
                    yield self.concept(self.name(relation)), told, self.name(value)

    def _annotations(self, root: ET.Element, of: str) -> Iterator[tuple[str, str, str]]:
        """Name, language and text of the annotations of one kind, in the file's order."""
        for axiom in root.iter(f"{OWL}AnnotationAssertion"):
            relation = axiom.find(f"{OWL}AnnotationProperty")
            subject = axiom.find(f"{OWL}IRI")
            if subject is None:
                subject = axiom.find(f"{OWL}AbbreviatedIRI")
            literal = axiom.find(f"{OWL}Literal")
            if relation is None or subject is None or literal is None or not (literal.text or "").strip():
                continue
            if self.name(relation) == of:
                language = literal.get("{http://www.w3.org/XML/1998/namespace}lang") or "en"
                yield self.name(subject), _LANGUAGES.get(language, language), (literal.text or "").strip()
