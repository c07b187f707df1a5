"""NPR-meldinger of the simulated hospital: complete, built as the registry asks, small enough to be sent."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from lxml import etree

from pipelines.identity.person_numbers import read_person_number

HEAD = "{http://www.kith.no/xmlstds/msghead/2006-05-24}"
MOST_BYTES = 50_000_000  # the registry's limit on its ordinary channel


def messages(forms: Path, module: str) -> list[tuple[Path, etree._Element]]:
    """Each file of a module with its Melding."""
    found = []
    for file in sorted((forms / "npr").glob(f"*-{module}.xml")):
        root = etree.parse(str(file)).getroot()
        path = f"{HEAD}Document/{HEAD}RefDoc/{HEAD}Content/*"
        found.append((file, root.find(path) if root.tag == f"{HEAD}MsgHead" else root))
    return found


def local(element: etree._Element) -> str:
    return etree.QName(element).localname


def test_every_year_is_sent_in_its_version_some_in_an_envelope_and_some_bare(forms: Path) -> None:
    # 53.1.1 for 2017, 57.0.1 for 2023 and 58.0.1 for 2024-25 are attested; the others lie between.
    wanted = dict(zip(range(2016, 2026), [53, 53, 54, 54, 55, 55, 56, 57, 58, 58], strict=True))
    enveloped = set()
    for module in ("ord", "ide"):
        seen = set()
        for file, message in messages(forms, module):
            year = int(message.get("fraDatoPeriode")[:4])
            version = message.get("versjon")
            namespace = f"http://www.npr.no/xmlstds/{version.replace('.', '_')}_{module}"
            assert etree.QName(message).namespace == namespace
            assert int(version[:2]) == wanted[year]
            assert file.stat().st_size < MOST_BYTES
            seen.add(year)
            enveloped.add(b"MsgHead" in file.read_bytes()[:200])
        assert seen == set(wanted)
    assert enveloped == {True, False}


def test_every_contact_is_one_episode_with_its_own_times(forms: Path, contacts: pl.DataFrame) -> None:
    episodes = {}
    for _, message in messages(forms, "ord"):
        for holder in message.iterfind("{*}Institusjon/{*}Objektholder"):
            for episode in holder.iterfind("{*}Episode"):
                key = int(episode.get("episodeID"))
                assert key not in episodes
                ended = episode.get("utDatoTid")
                episodes[key] = (int(holder.get("pasientNr")), episode.get("innDatoTid"), ended)
    stamp = pl.col("innDatoTid", "utDatoTid").dt.strftime("%Y-%m-%dT%H:%M:%S")
    told = contacts.with_columns(stamp).select("kontakt_id", "patient_id", "innDatoTid", "utDatoTid")
    assert episodes == {key: tuple(rest) for key, *rest in told.iter_rows()}


def test_elements_stand_where_the_registry_has_them(forms: Path) -> None:
    parents = {
        "Kontaktperson": "Melding", "Institusjon": "Melding", "Enhet": "Institusjon",
        "Objektholder": "Institusjon",
        "Pasient": "Objektholder", "Episode": "Objektholder", "Kontakt": "Episode", "Helseperson": "Kontakt",
        "RefEnhet": "Episode", "Tilstand": "Episode", "Tjeneste": "Episode", "Tiltak": "Tjeneste",
        "Prosedyre": "Tiltak", "PasientIdent": "Institusjon",
    }  # fmt: skip
    for module in ("ord", "ide"):
        for _, message in messages(forms, module):
            for element in message.iterdescendants():
                above = element.getparent()
                assert above is not None
                if local(element) == "Kode":
                    assert local(above) in {"Tilstand", "Prosedyre"}
                else:
                    assert local(above) == parents[local(element)]


def test_conditions_are_numbered_from_the_main_one_and_codes_have_no_dot(forms: Path) -> None:
    for _, message in messages(forms, "ord"):
        for episode in message.iter("{*}Episode"):
            groups = [int(condition.get("tilstNr")) for condition in episode.iterfind("{*}Tilstand")]
            assert groups == list(range(1, len(groups) + 1))
            for code in episode.iterfind("{*}Tilstand/{*}Kode"):
                assert code.get("Kodeverk") == "D"
                assert code.get("kodeVerdi").isalnum()
            for code in episode.iterfind("{*}Tjeneste/{*}Tiltak/{*}Prosedyre/{*}Kode"):
                assert code.get("Kodeverk") in {"K", "M"}


def test_national_numbers_stand_in_the_message_of_identities_alone(
    forms: Path, patients: pl.DataFrame
) -> None:
    born = {
        key: (day, sex) for key, day, sex in patients.select("patient_id", "birth_date", "kjonn").iter_rows()
    }
    numbers = {}
    for _, message in messages(forms, "ide"):
        for ident in message.iter("{*}PasientIdent"):
            assert ident.get("typeID") == "1"
            assert numbers.setdefault(int(ident.get("pid")), ident.get("fid")) == ident.get("fid")
    assert set(numbers) == set(born)
    for key, number in numbers.items():
        read = read_person_number(number)
        assert read is not None
        assert (read.birth_date, read.sex) == (born[key][0], {1: "male", 2: "female"}[born[key][1]])
    for file, _ in messages(forms, "ord"):
        text = file.read_text("utf-8")
        assert not any(number in text for number in numbers.values())
