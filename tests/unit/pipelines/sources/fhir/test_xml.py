"""FHIR XML gives what the same resource's JSON gives; what is no FHIR, or dangerous, is refused."""

from __future__ import annotations

import json
import random
import re
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from pipelines.sources.fhir.validation import faults
from pipelines.sources.fhir.xml import DEEPEST, UnreadableXmlError, parse_xml

_SHARED = Path(__file__).parents[6] / "shared/data"
_EXAMPLES = _SHARED / "hl7-fhir-r4-examples/hl7.fhir.r4.examples-4.0.1-clinical.zip"
_NORWEGIAN = _SHARED / "hl7norway-no-basis/examples"
_OPEN = '<Patient xmlns="http://hl7.org/fhir">'


def _patient(inside: str) -> bytes:
    return f"{_OPEN}{inside}</Patient>".encode()


def test_lists_numbers_and_booleans_are_what_json_would_write() -> None:
    """By the R4 definitions: name and given are lists, family is not, multipleBirthInteger is a number."""
    document = """
      <active value="true"/>
      <name><family value="Sørgård"/><given value="Ærlend"/></name>
      <birthDate value="1970-05-01"/>
      <multipleBirthInteger value="2"/>
      <maritalStatus><coding><system value="urn:oid:1.2"/><code value="1"/></coding></maritalStatus>
      <generalPractitioner><reference value="Practitioner/1"/></generalPractitioner>"""
    assert parse_xml(_patient(document)) == {
        "resourceType": "Patient",
        "active": True,
        "name": [{"family": "Sørgård", "given": ["Ærlend"]}],
        "birthDate": "1970-05-01",
        "multipleBirthInteger": 2,
        "maritalStatus": {"coding": [{"system": "urn:oid:1.2", "code": "1"}]},
        "generalPractitioner": [{"reference": "Practitioner/1"}],
    }


def test_extensions_of_primitives_stand_beside_them() -> None:
    """json.html 2.6.2.2: `_name` beside `name`; in a list, null where value or extension is missing."""
    document = """
      <name>
        <given value="Kari"/>
        <given><extension url="http://example.org/absent"><valueCode value="masked"/></extension></given>
      </name>
      <birthDate id="b" value="1970-05-01">
        <extension url="http://example.org/time"><valueDateTime value="1970-05-01T10:00:00Z"/></extension>
      </birthDate>"""
    extension = {"url": "http://example.org/absent", "valueCode": "masked"}
    told = {"url": "http://example.org/time", "valueDateTime": "1970-05-01T10:00:00Z"}
    assert parse_xml(_patient(document)) == {
        "resourceType": "Patient",
        "name": [{"given": ["Kari", None], "_given": [None, {"extension": [extension]}]}],
        "birthDate": "1970-05-01",
        "_birthDate": {"id": "b", "extension": [told]},
    }


def test_contained_resources_narratives_and_bundles() -> None:
    document = b"""<?xml version="1.0" encoding="UTF-8"?>
      <!-- from a ward -->
      <Bundle xmlns="http://hl7.org/fhir"><type value="collection"/>
        <entry><fullUrl value="urn:uuid:1"/><resource>
          <Observation>
            <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a <b>b</b></div></text>
            <contained><Patient><id value="p"/></Patient></contained>
            <contained><Device><id value="d"/></Device></contained>
            <status value="final"/><code><text value="Hb"/></code>
            <valueQuantity><value value="13.20"/><unit value="g/dL"/></valueQuantity>
            <component><code><text value="n"/></code><valueInteger value="7"/></component>
          </Observation></resource></entry></Bundle>"""
    observation = {
        "resourceType": "Observation",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a <b>b</b></div>'},
        "contained": [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Device", "id": "d"}],
        "status": "final",
        "code": {"text": "Hb"},
        "valueQuantity": {"value": 13.2, "unit": "g/dL"},
        "component": [{"code": {"text": "n"}, "valueInteger": 7}],
    }
    assert parse_xml(document) == {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": observation}],
    }


def test_elements_of_another_version_are_kept_for_the_version_to_be_told() -> None:
    """R5's MedicationRequest.medication and its list of classes of an Encounter."""
    request = '<medication><concept><text value="x"/></concept></medication></MedicationRequest>'
    read = parse_xml(f'<MedicationRequest xmlns="http://hl7.org/fhir">{request}'.encode())
    assert read["medication"] == {"concept": {"text": "x"}}
    encounter = '<class><text value="a"/></class><class><text value="b"/></class></Encounter>'
    read = parse_xml(f'<Encounter xmlns="http://hl7.org/fhir">{encounter}'.encode())
    assert read["class"] == [{"text": "a"}, {"text": "b"}]


def test_a_value_that_is_none_of_its_type_stays_a_text_and_is_a_fault() -> None:
    read = parse_xml(_patient('<active value="yes"/><multipleBirthInteger value="two"/>'))
    assert read == {"resourceType": "Patient", "active": "yes", "multipleBirthInteger": "two"}
    assert faults(read) == [
        "Patient.active: is no boolean",
        "Patient.multipleBirthInteger: is no whole number",
    ]


_BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 20))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not well formed"),
        (b"{}", "not well formed"),
        (_patient("<name>"), "not well formed"),
        (b"<Patient/>", "FHIR's namespace"),
        (b"<Patient xmlns='http://hl7.org/fhir'>\xe6</Patient>", "not UTF-8"),
        ('<Patient xmlns="http://hl7.org/fhir"/>'.encode("utf-16"), "not UTF-8"),
        (f'<!DOCTYPE x [<!ENTITY a0 "x">{_BOMB}]>{_OPEN}&a19;</Patient>'.encode(), "document type"),
        (f'<?xml version="1.0"?><!-- a --> <!DOCTYPE x>{_OPEN}</Patient>'.encode(), "document type"),
        (f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{_OPEN}</Patient>'.encode(), "document type"),
        (_patient("&unknown;"), "not well formed"),
        (_patient("<id>1</id>"), "text between elements"),
        (_patient('<x xmlns="http://example.org" value="1"/>'), "another namespace"),
        (_patient("<contained/>"), "none or several"),
        (_patient("<extension>" * 200 + "</extension>" * 200), "too deep"),
        (_patient("<extension>" * 5000 + "</extension>" * 5000), "not well formed, or beyond"),
    ],
)
def test_what_is_no_fhir_xml_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    begun = time.monotonic()
    with pytest.raises(UnreadableXmlError, match=reason):
        parse_xml(content)
    assert time.monotonic() - begun < 1.0


def test_a_document_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(UnreadableXmlError, match="larger"):
        parse_xml(_patient(""), most_bytes=10)
    assert DEEPEST == 100


def test_norwegian_examples_keep_their_letters() -> None:
    """All 15 of the base profiles; æ, ø and å of every attribute are found in what was read."""
    if not _NORWEGIAN.exists():
        pytest.skip(f"the Norwegian examples are not there: {_NORWEGIAN}")
    files = sorted(_NORWEGIAN.glob("*.xml"))
    assert len(files) == 15
    for file in files:
        content = file.read_text(encoding="utf-8")
        bare = re.sub(r"<!--.*?-->", "", content, flags=re.DOTALL)
        sent = [text for text in re.findall(r'value="([^"]*)"', bare) if re.search("[æøåÆØÅ]", text)]
        read = json.dumps(parse_xml(content.encode()), ensure_ascii=False)
        assert all(json.dumps(text, ensure_ascii=False)[1:-1] in read for text in sent)
    assert "Søreng" in json.dumps(
        parse_xml((_NORWEGIAN / "no-basis-Patient-Jannice-Søreng.xml").read_bytes()), ensure_ascii=False
    )


def test_norwegian_examples_are_valid_but_one_with_spaces_in_its_id() -> None:
    if not _NORWEGIAN.exists():
        pytest.skip(f"the Norwegian examples are not there: {_NORWEGIAN}")
    told = {file.name: faults(parse_xml(file.read_bytes())) for file in _NORWEGIAN.glob("*.xml")}
    assert {name: one for name, one in told.items() if one} == {
        "no-basis-HealthcareService-example.xml": ["HealthcareService.id: is not in the form of its type"]
    }


def test_mutated_documents_are_read_or_refused_and_never_take_a_second() -> None:
    """Two thousand seeded mutations of bytes: flipped bits, cuts, repeats, and odd pieces put in between."""
    document = _patient(
        '<active value="true"/><name><family value="Sørgård"/><given value="Ærlend"/></name>'
        '<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a <b>b</b></div></text>'
        '<contained><Observation><code><text value="x"/></code></Observation></contained>'
    )
    odd = [
        b"<!DOCTYPE a>",
        b"<!--",
        b"]]>",
        b"&a;",
        b"&#0;",
        b"\x00",
        b"\xff",
        b'value="',
        b"<a>" * 300,
        b"<a/>",
        b"<?b?>",
    ]
    rng = random.Random(20261121)
    n_read, reasons = 0, []
    for _ in range(2_000):
        content = bytearray(document)
        start, end = sorted(rng.randrange(len(content)) for _ in range(2))
        kind = rng.randrange(4)
        if kind == 0:
            content[start] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del content[start : min(end, start + rng.choice([1, 20, 1_000]))]
        elif kind == 2:
            content[start:start] = content[start:end]
        else:
            content[start:start] = rng.choice(odd)
        begun = time.monotonic()
        try:
            assert isinstance(parse_xml(bytes(content))["resourceType"], str)
            n_read += 1
        except UnreadableXmlError as refused:
            reasons.append(str(refused))
        assert time.monotonic() - begun < 1.0
    assert min(n_read, len(reasons)) > 100
    assert all(reason.startswith("XML: ") and "Sørgård" not in reason for reason in reasons)


def test_xml_that_fhir_resources_writes_reads_as_the_json_it_writes() -> None:
    """Every fourth of HL7's examples, turned to XML and to JSON by fhir.resources from one object."""
    if not _EXAMPLES.exists():
        pytest.skip(f"HL7's examples are not there: {_EXAMPLES}")
    with zipfile.ZipFile(_EXAMPLES) as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(packed.namelist())[::4]:
            example = json.loads(packed.read(name))
            if "resourceType" not in example:
                continue
            resource = get_fhir_model_class(example["resourceType"]).model_validate(example)
            written = resource.model_dump_xml()
            content = written if isinstance(written, bytes) else written.encode()
            assert _comparable(parse_xml(content)) == _comparable(json.loads(resource.model_dump_json())), (
                name
            )


def _comparable(value: Any) -> Any:
    """Without narratives (white space), with one spelling of UTC and of numbers: its two writers differ."""
    if isinstance(value, dict):
        return {name: _comparable(one) for name, one in value.items() if name != "div"}
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return re.sub(r"(T[\d:.]+)\+00:00$", r"\1Z", value) if isinstance(value, str) else value
