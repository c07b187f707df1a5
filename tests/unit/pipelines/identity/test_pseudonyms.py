"""Pseudonyms: the same under one key, others under another, and the key kept where it belongs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError, InputError
from pipelines.identity import Pseudonyms, default_key_path, fingerprint, load_or_make_key

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


def test_a_pseudonym_is_keyed_blake2b() -> None:
    message = b"subject\x1fhospital\x1f31129912345"
    expected = int.from_bytes(hashlib.blake2b(message, key=KEY, digest_size=8).digest(), "big") // 2
    assert Pseudonyms(KEY, "hospital").of("subject", pl.Series(["31129912345"])).to_list() == [expected]


def test_equal_ids_agree_and_nothing_else_does() -> None:
    ids = pl.Series([str(number) for number in range(20_000)])
    first = Pseudonyms(KEY, "a").of("subject", ids)
    assert first.n_unique() == 20_000
    assert (first >= 0).all()
    assert first.equals(Pseudonyms(KEY, "a").of("subject", ids))
    for other in (Pseudonyms(OTHER, "a").of("subject", ids), Pseudonyms(KEY, "b").of("subject", ids)):
        assert not first.is_in(other.implode()).any()
    assert not first.is_in(Pseudonyms(KEY, "a").of("contact", ids).implode()).any()


def test_null_has_no_pseudonym() -> None:
    assert Pseudonyms(KEY, "a").of("subject", pl.Series(["x", None]))[1] is None
    assert Pseudonyms(KEY, "a").of("contact", pl.Series([None], dtype=pl.String)).to_list() == [None]


def test_two_ids_with_one_pseudonym_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pseudonyms = Pseudonyms(KEY, "a")
    monkeypatch.setattr(Pseudonyms, "_one", lambda *_: 7)
    pseudonyms.of("subject", pl.Series(["x", "y"]))
    with pytest.raises(InputError, match="two subject ids have one pseudonym"):
        pseudonyms.check()


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    path = default_key_path(out)
    assert path == tmp_path / "dataset.key"
    key = load_or_make_key(path, out)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make_key(path, out) == key
    assert fingerprint(key) != fingerprint(OTHER)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k"
    load_or_make_key(path, tmp_path / "dataset")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others may read the key"):
        load_or_make_key(path, tmp_path / "dataset")


def test_a_key_inside_the_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the key lies inside the dataset"):
        load_or_make_key(tmp_path / "dataset" / "k", tmp_path / "dataset")


def test_what_is_no_key_is_refused_without_being_quoted(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_text("secret")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        load_or_make_key(path, tmp_path / "dataset")
    assert "secret" not in str(caught.value)


def test_a_national_number_is_one_subject_in_all_sources_of_a_project() -> None:
    key = pl.Series(["urn:oid:2.16.578.1.12.4.1.4.1|17912099997"])
    here, there = (Pseudonyms(KEY, space).of("subject", key).item() for space in ("laboratory", "register"))
    assert here == there
    assert Pseudonyms(OTHER, "laboratory").of("subject", key).item() != here
    contacts = [Pseudonyms(KEY, space).of("contact", key).item() for space in ("laboratory", "register")]
    assert contacts[0] != contacts[1]


NUMBERS = ["17912099997", "57912075186", "29822099635", "01812000051"]
"""As test registers make them (month + 80); the last begins with a zero."""


def test_person_numbers_are_no_ids_to_be_kept() -> None:
    kept = Pseudonyms(KEY, "a", keep_ids=True)
    one = kept.of("subject", pl.Series([NUMBERS[0], "10006", "12345678901234"]))
    assert one.to_list()[1:] == [10006, 12345678901234]
    assert one[0] != int(NUMBERS[0])
    with pytest.raises(ConfigurationError, match="ids are person numbers") as told:
        Pseudonyms(KEY, "a", keep_ids=True).of("subject", pl.Series(NUMBERS))
    assert not any(number in str(told.value) for number in NUMBERS)
    whole = pl.Series([NUMBERS[3].lstrip("0")] * 3 + NUMBERS[:2])  # a column of whole numbers
    with pytest.raises(ConfigurationError, match="3 of 3 ids"):
        Pseudonyms(KEY, "a", keep_ids=True).of("subject", whole)


def test_ids_with_leading_zeros_are_not_kept_as_another_id() -> None:
    seven, padded = Pseudonyms(KEY, "a", keep_ids=True).of("subject", pl.Series(["7", "007"])).to_list()
    assert seven == 7
    assert padded not in {7, None}
