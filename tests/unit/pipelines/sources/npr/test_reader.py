"""What the reader makes of whole messages, of damage, and of what is dangerous."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from ontology.errors import InputError
from pipelines.sources.npr.options import NprOptions
from pipelines.sources.npr.reader import NprReader

from .conftest import EPISODE, PATIENT, UNITS, Reading, in_envelope, melding


def test_an_episode_becomes_rows_with_its_patient_institution_and_units(read: Reading) -> None:
    tables = read(melding()).tables
    told = {name: rows.height for name, rows in tables.items()}
    assert told == {
        "Objektholder": 1,
        "Pasient": 1,
        "Episode": 1,
        "Kontakt": 1,
        "Helseperson": 1,
        "Tilstand": 3,
        "Prosedyre": 1,
    }
    episode = tables["Episode"].row(0, named=True)
    assert episode["pasient"] == "974706490/77"
    assert episode["episode"] == "974706490/E1"
    assert (episode["behandlingssted"], episode["fagenhet"], episode["enhet"]) == (
        "Sykehuset Ås",
        *["Kirurgisk"] * 2,
    )
    assert (episode["modul"], episode["versjon"], episode["uttakDato"]) == ("ord", "57", "2024-01-15")
    assert (episode["debitor"], episode["tilSted"], episode["innmateHast"]) == ("1", "11", "1")
    assert episode["intensiv"] is None
    codes = (
        tables["Tilstand"].select("_row", "tilstNr", "kodeNr", "kodeVerdi", "episodeID", "pasientNr").rows()
    )
    assert codes == [
        (1, "1", "1", "E702", "E1", "77"),
        (1, "1", "2", "M368", "E1", "77"),
        (2, "2", "1", "I10", "E1", "77"),
    ]
    procedure = tables["Prosedyre"].row(0, named=True)
    assert (procedure["startDatoTid"], procedure["tilstNr"]) == ("2023-05-02T10:00:00", "2")
    assert (procedure["Kodeverk"], procedure["kodeVerdi"]) == ("K", "ABC16")


def test_every_record_is_counted_once(read: Reading) -> None:
    # By hand: Melding, Institusjon, 2 Enhet, Objektholder, Pasient, Episode, Kontakt, Helseperson,
    # 2 Tilstand, Prosedyre
    found = read(melding())
    assert found.n_records == found.n_told == 12


def test_envelopes_hold_several_messages_of_several_modules(read: Reading) -> None:
    identities = melding(
        '<PasientIdent pid="77" fid="41815500111" typeID="1"/>', module="ide", version="53_1_1"
    )
    costs = melding(
        '<Objektholder pasientNr="-1"><EpisodeKPP episodeID="E1" total="10"/></Objektholder>', module="kpp"
    )
    found = read(in_envelope(melding(), identities, costs))
    assert found.tables["Episode"].height == 1
    assert found.tables["PasientIdent"].select("pasient", "versjon").row(0) == ("974706490/77", "53")
    assert found.tables["EpisodeKPP"].select("episode", "modul").row(0) == ("974706490/E1", "kpp")
    assert found.notes["versions", "53.1.1 ide"] == 1
    assert found.n_records == found.n_told


@pytest.mark.parametrize("size", [1, 7, 40])
def test_the_size_of_parts_changes_nothing(read: Reading, size: int) -> None:
    patients = "".join(PATIENT.replace("77", str(n)).replace("E1", f"E{n}") for n in range(9))
    wrong = PATIENT.replace('omsorgsniva="1"', 'omsorgsniva="7"').replace("E1", "F1")
    message = melding(UNITS + patients + "<Ukjent><Episode/></Ukjent>" + wrong)
    whole, parts = read(message), read(message, part_elements=size)
    assert whole.n_records == parts.n_records == parts.n_told
    for name, rows in whole.tables.items():
        assert rows.equals(parts.tables[name])
    order = ["table", "_row", "fate", "field"]
    assert whole.fates.sort(order).equals(parts.fates.sort(order))


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16", "windows-1252"])
def test_norwegian_letters_survive_every_encoding(read: Reading, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>{melding()}'
    assert read(text.encode(encoding)).tables["Episode"]["behandlingssted"].to_list() == ["Sykehuset Ås"]


def test_byte_order_marks_prefixes_and_compression_are_read(read: Reading) -> None:
    prefixed = melding().replace("<", "<n:").replace("<n:/", "</n:").replace("xmlns=", "xmlns:n=")
    assert read(b"\xef\xbb\xbf" + prefixed.encode()).tables["Episode"].height == 1
    assert read(gzip.compress(melding().encode()), name="m.xml.gz").tables["Episode"].height == 1
    damaged = gzip.compress(melding().encode())[:-20]
    assert read(damaged, name="m.xml.gz").rejects[-1][-1] == "compressed data are damaged"


@pytest.mark.parametrize(
    "before",
    [
        '<!DOCTYPE Melding [<!ENTITY x "y">]>',
        '<!DOCTYPE Melding SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE m [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]>',
    ],
)
def test_document_types_are_refused_before_anything_is_read(read: Reading, before: str) -> None:
    found = read(before + melding())
    assert found.rejects == [("", 1, "", "document types and entities are refused")]
    assert found.tables == {}
    assert found.n_records == 1


def test_depth_length_and_size_are_bounded(read: Reading) -> None:
    deep = melding(UNITS + PATIENT + "<a>" * 100 + "</a>" * 100)
    assert read(deep).rejects[-1][-1] == "elements are nested too deep"
    long = melding(UNITS + PATIENT + f'<Objektholder pasientNr="{"9" * 2_000_000}"/>' + PATIENT)
    found = read(long, most_piece_bytes=100_000)
    assert found.rejects[-1][-1] == "a tag or text is too long"
    codes = '<Kode kodeNr="1" Kodeverk="D" kodeVerdi="I10"/>' * 4_000
    large = melding(UNITS + PATIENT.replace("</Tilstand>", codes + "</Tilstand>"))
    found = read(large, most_elements=1_000, part_elements=10)
    assert found.rejects[-1][-1] == "a record holds too many elements"
    assert found.n_records == found.n_told


def test_a_break_keeps_what_was_whole_and_rejects_what_was_open(read: Reading) -> None:
    second = PATIENT.replace("E1", "E2").replace('"77"', '"78"')
    message = melding(UNITS + PATIENT + second)
    place = message.index('<Tilstand tilstNr="2"', message.index("E2"))
    found = read(message[:place])
    assert found.tables["Episode"]["episodeID"].to_list() == ["E1"]
    assert found.tables["Tilstand"].height == 3
    assert found.tables["Pasient"].height == 2
    cut_off = "cut off where reading ended"
    rejects = {(table, row): reason for table, row, _, reason in found.rejects}
    assert rejects["Episode", 2] == rejects["Kontakt", 2] == rejects["Tilstand", 3] == cut_off
    assert rejects["", 1] == "XML: the file ends before the message does"
    assert found.n_records == found.n_told


def test_a_break_is_told_by_its_byte_and_a_reject_kept_as_it_was_sent(read: Reading) -> None:
    message = melding(UNITS + PATIENT.replace('episodeID="E1" ', "")).replace(
        "</Institusjon>", "<Institusjon>"
    )
    found = read("<?xml version='1.0' encoding='utf-8'?>" + message)
    whole = ("<?xml version='1.0' encoding='utf-8'?>" + message).encode()
    rejected = found.fates.filter(pl.col("fate") == "rejected", pl.col("table") == "Episode").row(
        0, named=True
    )
    assert (rejected["field"], rejected["reason"]) == ("episodeID", "attribute is missing")
    assert rejected["byte_offset"] == whole.index(b"<Episode")
    assert found.raw[rejected["byte_offset"]].decode() == EPISODE.replace('episodeID="E1" ', "")
    last = found.fates.filter(pl.col("table") == "").row(0, named=True)
    assert last["reason"] == "XML: mismatched tag"
    assert whole[last["byte_offset"] :].startswith(b"</Melding>") or last["byte_offset"] <= len(whole)


def test_what_stands_in_a_rejected_element_is_rejected_with_it(read: Reading) -> None:
    found = read(melding(UNITS + PATIENT.replace('episodeID="E1" ', "")))
    reasons = {(table, row): reason for table, row, _, reason in found.rejects}
    assert reasons == {
        ("Episode", 1): "attribute is missing",
        **{
            (name, 1): "stands in a rejected element"
            for name in ("Kontakt", "Helseperson", "Tilstand", "Prosedyre")
        },
        ("Tilstand", 2): "stands in a rejected element",
    }
    assert found.tables["Pasient"].height == 1


def test_a_record_is_rejected_for_what_makes_it_impossible(read: Reading) -> None:
    wrong = PATIENT.replace('episodeID="E1" ', "").replace('omsorgsniva="1"', 'omsorgsniva="7"')
    assert ("Episode", 1, "episodeID", "attribute is missing") in read(melding(UNITS + wrong)).rejects


def test_versions_are_named_alike_in_all_messages_and_ordered(read: Reading) -> None:
    first = read(melding(extract="2024-01-15", number="9")).tables["Episode"].row(0, named=True)
    later = read(melding(UNITS + PATIENT, version="58_0_1", extract="2024-01-15", number="10"))
    changed = read(melding(UNITS + PATIENT.replace("M368", "M369"), extract="in May")).tables["Episode"]
    second, third = later.tables["Episode"].row(0, named=True), changed.row(0, named=True)
    assert first["_key"] == second["_key"] == third["_key"]
    assert first["_digest"] == second["_digest"] != third["_digest"]
    assert third["_rank"] < first["_rank"] < second["_rank"]  # a date that is none is no later one
    for name in ("Kontakt", "Tilstand", "Prosedyre"):
        rows = later.tables[name].select("_key", "_unit", "_rank", "_digest").unique().rows()
        assert rows == [tuple(second[column] for column in ("_key", "_unit", "_rank", "_digest"))]
    elsewhere = read(melding(institution="983974899")).tables["Episode"]["_key"][0]
    assert elsewhere != first["_key"]


def test_wrong_values_are_rejected_fields_and_the_record_stands(read: Reading) -> None:
    message = melding(
        UNITS
        + PATIENT.replace('omsorgsniva="1"', 'omsorgsniva="7"')
        .replace("2023-05-03T12:30:00", "3.5.2023")
        .replace('fodselsar="1950"', 'fodselsar="50"')
        .replace('debitor="1"', 'debitor="52"')
    )
    found = read(message)
    assert sorted(found.fields) == [
        ("Episode", 1, "debitor", "not in the code list"),
        ("Episode", 1, "omsorgsniva", "not in the code list"),
        ("Episode", 1, "utDatoTid", "not a time"),
        ("Pasient", 1, "fodselsar", "not a year"),
    ]
    assert found.tables["Episode"].select("omsorgsniva", "utDatoTid", "debitor").row(0) == (None, None, None)
    assert found.tables["Episode"]["innDatoTid"].to_list() == ["2023-05-01T08:00:00"]
    more = read(message, more_values={"debitor": ["52"]})
    assert more.tables["Episode"]["debitor"].to_list() == ["52"]


def test_attributes_that_a_message_must_give_are_missed(read: Reading) -> None:
    gone = (
        PATIENT.replace('debitor="1" ', "")
        .replace('tilstNr="1"><Kode kodeNr="1"', "><Kode")
        .replace(' fodselsar="1950"', "")
    )
    found = read(melding(UNITS + gone))
    assert sorted(found.fields) == [
        ("Episode", 1, "debitor", "attribute is missing"),
        ("Pasient", 1, "fodselsar", "attribute is missing"),
        ("Tilstand", 1, "kodeNr", "attribute is missing"),
        ("Tilstand", 1, "tilstNr", "attribute is missing"),
    ]
    assert found.tables["Tilstand"].height == 3
    assert not found.rejects
    assert not read(melding()).fields


def test_a_condition_keeps_its_right_codes_and_without_any_is_rejected(read: Reading) -> None:
    one_wrong = read(melding(UNITS + PATIENT.replace('kodeVerdi="M368"', "")))
    assert one_wrong.tables["Tilstand"]["kodeVerdi"].to_list() == ["E702", "I10"]
    assert one_wrong.fields == [("Tilstand", 1, "kodeVerdi", "attribute is missing")]
    unknown = read(
        melding(UNITS + PATIENT.replace('Kodeverk="D" kodeVersjon="2023" kodeVerdi="I10"', 'Kodeverk="Å"'))
    )
    assert unknown.rejects == [("Tilstand", 2, "Kodeverk", "not in the code list")]
    empty = read(melding(UNITS + PATIENT.replace("</Kontakt>", '</Kontakt><Tilstand tilstNr="3"/>')))
    assert empty.rejects == [("Tilstand", 1, "", "no code in it")]
    assert empty.n_records == empty.n_told


def test_elements_out_of_place_are_rejected_and_unknown_ones_ignored(read: Reading) -> None:
    message = melding(UNITS + '<Episode episodeID="X"/>' + PATIENT + "<Henvisning><Tilstand/></Henvisning>")
    found = read(message)
    assert found.rejects == [("Episode", 1, "", "element out of place")]
    assert found.tables["Episode"]["_row"].to_list() == [2]
    ignored = found.fates.filter(pl.col("reason") == "element is not read").select("table", "fate").rows()
    assert sorted(ignored) == [("", "ignored"), ("Tilstand", "ignored")]
    assert found.notes["elements not read", "other"] == 1
    assert found.n_records == found.n_told


def test_kodeverk_may_be_written_with_a_small_letter(read: Reading) -> None:
    small = read(melding().replace("Kodeverk=", "kodeverk="))
    assert small.tables["Tilstand"].equals(read(melding()).tables["Tilstand"])


def test_options_name_value_sets_and_types_that_exist() -> None:
    with pytest.raises(ValidationError, match="more_values has no value set debtor"):
        NprOptions(more_values={"debtor": ("1",)})
    with pytest.raises(ValidationError):
        NprOptions(unit_types=("10",))
    with pytest.raises(ValidationError):
        NprOptions(part_elements=0)


def test_other_versions_are_refused_all_at_once_and_modules_ignored(tmp_path: Path, read: Reading) -> None:
    for name, version in (("a.xml", "52_0_2"), ("b.xml", "57_0_1"), ("c.xml", "59_0_1")):
        (tmp_path / name).write_text(in_envelope(melding(version=version)), encoding="utf-8")
    with pytest.raises(InputError) as told:
        NprReader(NprOptions()).find(tmp_path)
    problems = told.value.problems
    assert [problem.where for problem in problems] == ["a.xml", "c.xml"]
    assert "52_0_2" in problems[0].found
    assert problems[0].allowed == "versions 53 to 58"
    found = read(melding(module="ved"))
    assert found.fates.select("table", "fate", "reason").rows() == [
        ("Melding", "ignored", "module is not read: ide, kpp, ord, str are")
    ]
    foreign = read(in_envelope(melding().replace("xmlstds/57", "other/57")))
    assert foreign.rejects == [("Melding", 1, "", "namespace is none of NPR-melding")]
    late = read(in_envelope(melding(), melding(version="60_0_1")))
    assert late.rejects == [("Melding", 2, "", "version is not read: 53 to 58 are")]


def test_only_messages_are_found_in_path_order_and_the_reader_travels(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.xml").write_text(melding(), encoding="utf-8")
    (tmp_path / "a.xml").write_text(melding(), encoding="utf-8")
    (tmp_path / "other.xml").write_text("<catalog/>", encoding="utf-8")
    (tmp_path / "broken.xml").write_text("no XML", encoding="utf-8")
    reader = pickle.loads(pickle.dumps(NprReader(NprOptions())))  # noqa: S301
    assert [file.label for file in reader.find(tmp_path)] == ["a.xml", "b/x.xml", "broken.xml"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no NPR-melding"):
        reader.find(tmp_path / "empty")


def test_no_value_of_a_message_stands_in_a_reason(read: Reading) -> None:
    written = "Ola Nordmann 41815500111"
    message = melding(UNITS + PATIENT.replace('omsorgsniva="1"', f'omsorgsniva="{written}"')) + f"<{written}"
    told = " ".join(str(row) for row in read(message).fates.rows())
    assert "Ola" not in told
    assert "41815500111" not in told


def test_documents_packed_as_text_and_envelopes_without_a_message_are_rejected(read: Reading) -> None:
    packed = '<Base64Container xmlns="http://www.kith.no/xmlstds/base64container">PE0+</Base64Container>'
    assert read(in_envelope(packed)).rejects == [("", 1, "", "message is packed as base64 text")]
    beside = read(in_envelope(packed, melding()))
    assert beside.tables["Episode"].height == 1
    assert [reason for *_, reason in beside.rejects] == ["message is packed as base64 text"]
    empty = read(in_envelope("<Dialogmelding/>"))
    assert empty.rejects == [("", 1, "", "no NPR-melding in it")]
    assert empty.n_records == empty.n_told == 1


def test_file_names_may_be_written_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "A.XML").write_text(melding(), encoding="utf-8")
    (tmp_path / "B.XML.GZ").write_bytes(gzip.compress(melding().encode()))
    reader = NprReader(NprOptions())
    files = reader.find(tmp_path)
    assert [file.label for file in files] == ["A.XML", "B.XML.GZ"]
    assert [part.tables["Episode"].height for file in files for part in reader.read(file)] == [1, 1]


def test_an_end_before_the_beginning_is_none(read: Reading) -> None:
    def end(start: str, end: str) -> str | None:
        message = melding().replace("2023-05-01T08:00:00", start).replace("2023-05-03T12:30:00", end)
        found = read(message)
        told: str | None = found.tables["Episode"]["utDatoTid"][0]
        assert (told is None) == (("Episode", 1, "utDatoTid", "end before start") in found.fields)
        return told

    assert end("2023-05-04T08:00:00", "2023-05-03T12:30:00") is None
    assert end("2023-05-03T12:30", "2023-05-03T12:29:59") is None
    assert end("2023-05-03T12:30:00", "2023-05-03T12:30") == "2023-05-03T12:30"
    assert end("2023-05-03T12:30:00.5", "2023-05-03T12:30:00") == "2023-05-03T12:30:00"
    # 08:00 in Oslo is 06:00 UTC: what is told with an offset is compared as an instant, by the contact.
    assert end("2023-05-03T08:00:00+02:00", "2023-05-03T07:00:00Z") == "2023-05-03T07:00:00Z"


def test_one_episode_of_two_patients_is_no_repeated_record(read: Reading) -> None:
    other = PATIENT.replace('pasientNr="77"', 'pasientNr="78"')
    digests = read(melding(UNITS + PATIENT + other)).tables["Episode"]
    assert digests["_key"].n_unique() == 1
    assert digests["_digest"].n_unique() == 2


def test_attributes_that_are_not_read_are_counted_by_name_alone(read: Reading) -> None:
    more = 'tulletall="1" a41815500111="2" xmlns:x="urn:x" x:tulletall="3" episodeID='
    content = UNITS + "".join(PATIENT.replace("episodeID=", more) for _ in range(9))
    for size in (1, 100_000):
        notes = read(melding(content), part_elements=size).notes
        told = [(name, n) for (topic, name), n in sorted(notes.items()) if topic == "attributes not read"]
        assert told[:2] == [("Episode@other", 9), ("Episode@tulletall", 9)]


def test_messages_of_linked_folders_are_found_once(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "m.xml").write_text(melding(), encoding="utf-8")
    (tmp_path / "in").mkdir()
    for name, target in (("a", "elsewhere"), ("b", "elsewhere"), ("loop", "in"), ("nowhere.xml", "gone")):
        (tmp_path / "in" / name).symlink_to(tmp_path / target)
    assert [file.label for file in NprReader(NprOptions()).find(tmp_path / "in")] == ["a/m.xml"]
