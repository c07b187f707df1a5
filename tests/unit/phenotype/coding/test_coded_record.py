"""A coded record is read whole, or it is told why it cannot be."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from ontology.assembling import embedded_ontology
from ontology.errors import InputError
from phenotype.coding.coded_record import ContactFacts, read_coded_record
from phenotype.trajectory import CONTACTS

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
