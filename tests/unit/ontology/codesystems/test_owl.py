"""OWL/XML comes in as it is asserted, in both languages; a file that could reach outside itself does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.codesystems.owl import read_owl
from ontology.errors import InputError

FOLDER = Path(__file__).parents[4] / ".." / "shared" / "kodeverk" / "aaenote-ciio"

HEAD = '<Ontology xmlns="http://www.w3.org/2002/07/owl#" ontologyIRI="http://example.org/tiny">'
TINY = f"""<?xml version="1.0"?>
{HEAD}
  <Declaration><Class IRI="#sign"/></Declaration>
  <Declaration><Class IRI="http://example.org/tiny#red"/></Declaration>
  <Declaration><ObjectProperty IRI="#located"/></Declaration>
  <Declaration><DataProperty IRI="#side"/></Declaration>
  <Declaration><NamedIndividual IRI="#red.1"/></Declaration>
  <Declaration><NamedIndividual IRI="#arm.1"/></Declaration>
  <SubClassOf><Class IRI="#red"/><Class IRI="#sign"/></SubClassOf>
  <SubClassOf><Class IRI="#sign"/><Class abbreviatedIRI="owl:Thing"/></SubClassOf>
  <SubClassOf><Class IRI="#red"/><ObjectSomeValuesFrom><ObjectProperty IRI="#located"/><Class IRI="#sign"/>
    </ObjectSomeValuesFrom></SubClassOf>
  <ClassAssertion><Class IRI="#red"/><NamedIndividual IRI="#red.1"/></ClassAssertion>
  <ObjectPropertyAssertion><ObjectProperty IRI="#located"/><NamedIndividual IRI="#red.1"/>
    <NamedIndividual IRI="#arm.1"/></ObjectPropertyAssertion>
  <NegativeObjectPropertyAssertion><ObjectProperty IRI="#located"/><NamedIndividual IRI="#arm.1"/>
    <NamedIndividual IRI="#red.1"/></NegativeObjectPropertyAssertion>
  <DataPropertyAssertion><DataProperty IRI="#side"/><NamedIndividual IRI="#arm.1"/><Literal>Left</Literal>
    </DataPropertyAssertion>
  <DataPropertyRange><DataProperty IRI="#side"/><Datatype abbreviatedIRI="xsd:string"/></DataPropertyRange>
  <AnnotationAssertion><AnnotationProperty abbreviatedIRI="rdfs:label"/><IRI>#red</IRI>
    <Literal xml:lang="en">Red</Literal></AnnotationAssertion>
  <AnnotationAssertion><AnnotationProperty abbreviatedIRI="rdfs:label"/><IRI>#red</IRI>
    <Literal xml:lang="no">Rød</Literal></AnnotationAssertion>
  <AnnotationAssertion><AnnotationProperty abbreviatedIRI="rdfs:label"/><IRI>#red</IRI>
    <Literal xml:lang="no">Rødme</Literal></AnnotationAssertion>
</Ontology>
"""


def put(folder: Path, text: str) -> Path:
    file = folder / "tiny.owl"
    file.write_text(text, "utf-8")
    return file


def test_what_is_asserted_is_read(tmp_path: Path) -> None:
    read = read_owl(put(tmp_path, TINY), "TINY")
    assert read.concepts.select("concept", "label", "language", "level").rows() == [
        ("TINY//arm.1", None, None, "individual"),
        ("TINY//located", None, None, "object_property"),
        ("TINY//red", "Red", "en", "class"),
        ("TINY//red", "Rød", "nb", "class"),
        ("TINY//red.1", None, None, "individual"),
        ("TINY//side", None, None, "data_property"),
        ("TINY//sign", None, None, "class"),
    ]
    assert read.edges.rows() == [("TINY//red", "TINY//sign", "is_a"), ("TINY//red.1", "TINY//red", "is_a")]
    assert read.properties.rows() == [
        ("TINY//arm.1", "negative:located", "TINY//red.1"),
        ("TINY//arm.1", "side", "Left"),
        ("TINY//red", "synonym", "Rødme"),
        ("TINY//red.1", "located", "TINY//arm.1"),
        ("TINY//side", "range", "xsd:string"),
    ]


def test_the_same_name_written_in_three_ways_is_one(tmp_path: Path) -> None:
    text = TINY.replace(
        "</Ontology>",
        """
  <Prefix name="t" IRI="http://example.org/tiny#"/>
  <ClassAssertion><Class abbreviatedIRI="t:sign"/><NamedIndividual IRI="http://example.org/tiny#arm.1"/></ClassAssertion>
  <AnnotationAssertion><AnnotationProperty IRI="http://www.w3.org/2000/01/rdf-schema#label"/>
    <AbbreviatedIRI>t:sign</AbbreviatedIRI><Literal>Sign</Literal></AnnotationAssertion>
  <SubClassOf><Class IRI="#sign"/><Class IRI="http://www.w3.org/2002/07/owl#Thing"/></SubClassOf>
</Ontology>""",
    )
    read = read_owl(put(tmp_path, text), "TINY")
    assert ("TINY//arm.1", "TINY//sign", "is_a") in read.edges.rows()
    assert read.edges.height == 3
    assert read.concepts.filter(code="sign").select("label", "language").rows() == [("Sign", "en")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            f'<!DOCTYPE Ontology [<!ENTITY x SYSTEM "file:///etc/hostname">]>\n{HEAD}&x;</Ontology>',
            "type declaration",
        ),
        ('<!DOCTYPE Ontology SYSTEM "http://example.org/x.dtd">\n<Ontology/>', "type declaration"),
        ("<Ontology>", "well-formed"),
        ("<rdf/>", "not an ontology"),
        (
            f'{HEAD}<ClassAssertion><Class IRI="#a"/><NamedIndividual IRI="#b"/></ClassAssertion></Ontology>',
            "nothing declares",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_owl(put(tmp_path, text), "TINY")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_owl(tmp_path / "none.owl", "TINY")


@pytest.mark.skipif(not FOLDER.exists(), reason="needs aaenote-ciio in shared/kodeverk")
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("ciio", {"class": 57, "object_property": 10, "data_property": 16, "individual": 187}),
        ("aaenote", {"class": 149, "object_property": 6, "data_property": 28}),
    ],
)
def test_the_published_ontologies(name: str, counts: dict[str, int]) -> None:
    """Counts of declarations in the files (shared/reference/norway.md, section 1.3)."""
    read = read_owl(FOLDER / f"{name}.owl", name.upper())
    found = read.concepts.select("concept", "level").unique()["level"].value_counts()
    assert dict(found.iter_rows()) == counts
    labels = dict(read.concepts.filter(code="insertion_site").select("language", "label").iter_rows())
    assert labels == {"en": "Insertion site", "nb": "innstikkssted"}
