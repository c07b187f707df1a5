"""A coded record is read whole, or it is told why it cannot be."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from ontology.assembling import embedded_ontology
from ontology.errors import InputError
from phenotype.coding.coded_record import CODES, CodedRecord, ContactFacts, read_coded_record, unread_codes
from phenotype.trajectory import CODINGS, CONTACTS, EVENTS

FACTS = ContactFacts.load(Path(str(resources.files("configs"))) / "coding" / "contact_facts.yaml")


@pytest.mark.parametrize(
    ("contact_ids", "subject_ids", "told_of"),
    [
        ([7, 8, 7], [1, 1, 1], "2 rows whose contact_id"),
        ([7, None, 8], [1, 1, 1], "1 rows without contact_id"),
        ([7, 8, 9], [None, None, 1], "2 rows without subject_id"),
    ],
)
def test_contacts_that_share_an_id_or_lack_one_are_refused_without_naming_them(
    contact_ids, subject_ids, told_of, tmp_path
):
    ids = {"contact_id": contact_ids, "subject_id": subject_ids}
    contacts = pl.DataFrame(ids, schema={name: CONTACTS[name] for name in ids}).with_columns(
        pl.lit(None).cast(dtype).alias(name) for name, dtype in CONTACTS.items() if name not in ids
    )
    dataset = SimpleNamespace(contacts=lambda: contacts, path=tmp_path)
    with pytest.raises(InputError, match=told_of) as told:
        read_coded_record(dataset, embedded_ontology(), FACTS)
    assert "7" not in str(told.value).replace(str(tmp_path), "")


def test_codes_that_say_nothing_of_a_contact_are_counted_by_reason():
    contacts = pl.DataFrame({"contact_id": [1, 2]})
    rows = [
        (1, "main", "ICD10-NO//I10"), (1, "procedure", "NCSP//JKE00"), (2, "other", "ICD10-NO//I10"),
        (3, "main", "ICD10-NO//I10"), (None, "main", "ICD10-NO//I10"), (3, None, None),
        (1, "main", None), (2, None, "ICD10-NO//I10"), (2, "secondary", "ICD10-NO//I10"),
    ]  # fmt: skip
    told = pl.DataFrame(
        rows, schema={name: CODES[name] for name in ("contact_id", "role", "code")}, orient="row"
    )
    nothing = pl.DataFrame()
    record = CodedRecord(contacts, nothing, told, nothing, frozenset())
    assert unread_codes(record).rows() == [
        ("neither main, other nor procedure", 2),
        ("of no contact in contacts.parquet", 3),
        ("without a code or its system", 1),
    ]
    assert unread_codes(CodedRecord(contacts, nothing, told.head(3), nothing, frozenset())).height == 0


def test_codes_that_no_list_has_are_spelled_as_their_system_does(tmp_path):
    written = {
        ("ICD10-NO", "z03.8"): "ICD10-NO//Z03.8", ("ICD10-NO", "Z038"): "ICD10-NO//Z03.8",
        ("ICD10-NO", " Z03.8 "): "ICD10-NO//Z03.8", ("ICD10-NO", "G01*"): "ICD10-NO//G01",
        ("ICD10-NO", "A39.0\u2020"): "ICD10-NO//A39.0", ("ICD10-NO", "A390+"): "ICD10-NO//A39.0",
        ("NCSP", "abc16"): "NCSP//ABC16", ("NCMP", " GAGX05"): "NCMP//GAGX05",
        ("ICD10-NO", "not known"): "ICD10-NO//not known", ("LOCAL", "my code"): "LOCAL//my code",
    }  # fmt: skip
    contacts = pl.DataFrame(
        {"contact_id": [1], "subject_id": [1]},
        schema={name: CONTACTS[name] for name in ("contact_id", "subject_id")},
    ).with_columns(pl.lit(None).cast(CONTACTS[name]).alias(name) for name in list(CONTACTS)[2:])
    codings = pl.DataFrame(
        [(1, "other", system, code) for system, code in written],
        schema={name: CODINGS[name] for name in ("contact_id", "role", "system", "code")},
        orient="row",
    ).with_columns(
        pl.lit(None).cast(dtype).alias(name)
        for name, dtype in CODINGS.items()
        if name not in {"contact_id", "role", "system", "code"}
    )
    dataset = SimpleNamespace(
        contacts=lambda: contacts.select(list(CONTACTS)),
        codings=lambda: codings,
        events=lambda: pl.LazyFrame(schema=EVENTS),
        path=tmp_path,
    )
    codes = read_coded_record(dataset, embedded_ontology(), FACTS).codes
    assert dict(codes.select("sent", "code").iter_rows()) == {
        f"{system}//{code}": spelled for (system, code), spelled in written.items()
    }
