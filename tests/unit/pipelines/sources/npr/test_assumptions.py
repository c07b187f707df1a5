"""Each assumption of docs/npr.md holds: its number stands in the name of the test.

One hospital is ingested once. Every patient has a municipality of their own, by which the tests find them.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from pipelines.sources.npr.elements import FIRST_VERSION, LAST_VERSION

from .conftest import Hospital, Reading, ingested, melding

UNITS = (
    '<Enhet enhetID="1" enhetLokal="Sykehuset"/><Enhet enhetID="2" enhetLokal="Hjerte"/><Enhet enhetID="3"/>'
    '<Enhet enhetID="9" enhetLokal="Intensiv" reshID="99"/>'
)


def control_digits(nine: str) -> str:
    """A birth number's control digits, by the weights that Skatteetaten publishes."""
    first = (
        -sum(int(digit) * weight for digit, weight in zip(nine, (3, 7, 6, 1, 8, 9, 4, 5, 2), strict=True))
        % 11
    )
    ten = nine + str(first)
    second = (
        -sum(int(digit) * weight for digit, weight in zip(ten, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=True))
        % 11
    )
    return f"{first}{second}"


def numbered(eight: str) -> str:
    """The first number of a birth date with control digits: not every nine digits have any below ten."""
    nine = next(nine for nine in (f"{eight}{last}" for last in range(10)) if len(control_digits(nine)) == 2)
    return nine + control_digits(nine)


NUMBER = numbered("15835000")
"""15 March 1950, with 80 on the month as in Skatteetaten's register of test persons."""


def kode(value: str, system: str = "D", number: int = 1) -> str:
    return f'<Kode kodeNr="{number}" Kodeverk="{system}" kodeVersjon="2023" kodeVerdi="{value}"/>'


def tilstand(*codes: str, number: int = 1) -> str:
    return f'<Tilstand tilstNr="{number}">{"".join(codes)}</Tilstand>'


def episode(place: int, key: str, content: str = "", **changed: str | None) -> str:
    """An inpatient episode of 1 to 3 May 2023, but for what is changed; None leaves an attribute out."""
    told: dict[str, str | None] = {
        "episodeID": key,
        "innDatoTid": "2023-05-01T08:00:00",
        "utDatoTid": "2023-05-03T12:00:00",
        "omsorgsniva": "1",
        "inntilstand": "1",
        "utTilstand": "1",
        "komNrHjem": str(place),
    } | changed
    attributes = " ".join(f'{name}="{value}"' for name, value in told.items() if value is not None)
    return f"<Episode {attributes}>{content}</Episode>"


def patient(number: int, *content: str, year: int = 1950) -> str:
    inside = "".join(content)
    return (
        f'<Objektholder pasientNr="{number}"><Pasient kjonn="1" fodselsar="{year}"/>{inside}</Objektholder>'
    )


def unit(number: int, kind: int) -> str:
    return f'<RefEnhet enhetID="{number}" typeEnhet="{kind}"/>'


def session(start: str | None, measure: str | None, *codes: str, number: int = 1) -> str:
    outer = f' startDatoTid="{start}"' if start else ""
    inner = f' startDatoTid="{measure}"' if measure else ""
    done = f'<Prosedyre prosNr="{number}" tilstNr="1">{"".join(codes)}</Prosedyre>'
    return f'<Tjeneste{outer}><Tiltak typeTiltak="1"{inner}>{done}</Tiltak></Tjeneste>'


def messages() -> dict[str, str]:
    """The hospital's messages, by file name."""
    first = (
        patient(3, episode(1003, "B1"), year=1949)
        + patient(4, episode(1004, "B2", inntilstand="3"), year=2023)
        + patient(5, episode(1005, "C1", omsorgsniva="3", utDatoTid=None),
                  episode(1005, "C2", utDatoTid=None))
        + patient(6, episode(1006, "D1", tilstand(kode("J189"))),
                  episode(1006, "D2", tilstand(kode("I10")), utDatoTid=None))
        + patient(7, episode(1007, "F1", session("2023-05-02T10:00:00", "2023-05-02T11:00:00",
                                                 kode("ABC16", "K"))
                             + session("2023-05-01T09:00:00", None, kode("WBGM37", "M"))
                             + session(None, None, kode("TNX0YT", "R"))))
        + patient(9, episode(1009, "G1", tilstand(kode("e 70.2"), kode("m36.8", number=2))))
        + patient(10, episode(1010, "H1", '<RefEnhet enhetID="1" typeEnhet="1"/><RefEnhet enhetID="3" '
        'typeEnhet="7"/>'),
                  episode(1010, "H2", '<RefEnhet enhetID="1" typeEnhet="1"/><RefEnhet enhetID="2" '
                  'typeEnhet="2"/>',
                          innDatoTid="2023-06-01T08:00:00", utDatoTid="2023-06-02T08:00:00"),
                  episode(1010, "H3", '<RefEnhet enhetID="9" typeEnhet="6"/><RefEnhet enhetID="2" '
                  'typeEnhet="2"/>',
                          innDatoTid="2023-07-01T08:00:00", utDatoTid="2023-07-02T08:00:00"))
        + patient(11, episode(1011, "I1", tilstand(kode("J189"))
                                                + session("2023-05-02T10:00:00", None, kode("ABC16", "K"))),
                  episode(1011, "I2", tilstand(kode("N390"))))
        + patient(12, episode(1012, "J1", tilstand(kode("C509"))))
        + patient(13, episode(1013, "K1", tilstand(kode("I10"))), episode(1013, "K2", tilstand(kode("I48"))))
        + patient(14, episode(1014, "L1", utTilstand="2"))
        + patient(15, episode(1015, "L2", utTilstand="3"))
        + patient(16, episode(1016, "L3", inntilstand="2", utTilstand="2"))
        + patient(17, episode(1017, "M1"))
        + patient(20, episode(1020, "N1", session("2023-05-02T10:00:00", None, kode("ABC16", "Q"),
                                                  kode("WBGM37", "Q", 2), kode("PJI30A", "Q", 3))))
    )  # fmt: skip
    later = (
        patient(11, episode(1011, "I1", tilstand(kode("J440"))))
        + patient(12, episode(1012, "J9", innDatoTid="2023-08-01T08:00:00", utDatoTid="2023-08-02T08:00:00"))
    )  # fmt: skip
    treatment = (
        '<MedisinskStraling medisinskStralingID="1"><Behandlingsserie serieID="1" intensjon="2" '
        'nyPasient="1" '
        'datoForste="2023-05-02"><ApparatFremmote episodeID="J1"><Dosebidrag referansevolumID="1" '
        'planDose="2.5" '
        'gittDose="2.25"/></ApparatFremmote></Behandlingsserie><Referansevolum referansevolumID="1" '
        'regionkode="23" planlagtTotalDose="50"/></MedisinskStraling>'
    )
    service = '<TjenesteKPP kostnadKode="01H1" kostnad="10.5"/>'
    cost = '<EpisodeKPP episodeID="{}" drg="00A" total="{}">' + service + "</EpisodeKPP>"
    return {
        "1-ide.xml": melding(
            "".join(
                f'<PasientIdent pid="{pid}" fid="{fid}" typeID="{kind}"/>'
                for pid, fid, kind in (
                    *((3, NUMBER, 1), (4, "99999999999", 1)),
                    *((6, numbered("15435000"), 9), (6, numbered("55835100"), 2)),
                    (6, numbered("15835200"), 1),
                )
            ),
            module="ide",
        ),
        "2-ord.xml": melding(UNITS + first, version="56_0_1", extract="2024-01-15", number="9"),
        "3-ord.xml": melding(UNITS + later, version="57_0_1", extract="2024-01-15", number="10"),
        "4-ord.xml": melding('<Slett episodeID="K1"/>', extract="2024-02-01"),
        "5-str.xml": melding(
            patient(12, episode(1012, "J1", tilstand(kode("C500"))), treatment),
            module="str", extract="2024-03-01",
        ),
        "6-kpp.xml": melding(
            '<Objektholder pasientNr="-1">'
            f'{cost.format("M1", "100.5")}{cost.format("ZZ", "7")}</Objektholder>',
            module="kpp", version="58_0_1", extract="2024-04-01",
        ),
        "7-ord.xml": melding(
            patient(17, episode(1017, "M2", innDatoTid="2021-03-01T08:00:00", utDatoTid="2021-03-02T08:00")),
            extract="2022-01-15",
        ).replace("2023-01-01", "2021-01-01").replace("2023-12-31", "2021-12-31"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("npr")
    (folder / "in").mkdir()
    for name, text in messages().items():
        (folder / "in" / name).write_text(text, encoding="utf-8")
    return ingested("npr-melding", folder / "in", folder / "dataset")


def test_01_all_versions_are_read_alike(read: Reading) -> None:
    for version in range(FIRST_VERSION, LAST_VERSION + 1):
        for minor in ("_0_1", "_1_3"):
            found = read(
                melding(
                    UNITS + patient(1, episode(1001, "A1", tilstand(kode("I10")))),
                    version=f"{version}{minor}",
                )
            )
            assert found.tables["Tilstand"]["kodeVerdi"].to_list() == ["I10"]
            assert not found.rejects


def test_02_a_patient_number_means_one_patient_in_all_messages(hospital: Hospital) -> None:
    assert len(hospital.times(1017, "CONTACT//inpatient")) == 2  # of 2-ord.xml and 7-ord.xml


def test_02_of_several_numbers_the_national_one_counts(hospital: Hospital) -> None:
    # patient 6 has a help number of month + 40, a D-number (day + 40) of 1951, and a birth number of 1952
    assert hospital.times(1006, "MEDS_BIRTH") == ["1952-03-15 00:00:00"]
    ids = {hospital.of(place, hospital.contacts)["subject_id"][0] for place in (1003, 1006)}
    assert len(ids) == 2


def test_02_a_number_is_corrected_by_a_later_one_of_its_kind_and_two_of_one_message_count_for_none(
    tmp_path: Path,
) -> None:
    others = numbered("16835000")

    def birth(name: str, *identities: tuple[str, int, str]) -> list[str]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.xml").write_text(melding(UNITS + patient(1, episode(1001, "E"))), encoding="utf-8")
        for number, kind, day in identities:
            told = f'<PasientIdent pid="1" fid="{number}" typeID="{kind}"/>'
            message = melding(told, module="ide", extract=f"2024-01-{day}")
            (folder / f"{kind}.xml").write_text(message, encoding="utf-8")
        return ingested("npr-melding", folder, tmp_path / f"{name}-out").times(1001, "MEDS_BIRTH")

    assert birth("later", (others, 1, "02"), (NUMBER, 2, "01")) == ["1950-03-16 00:00:00"]
    assert birth("earlier", (others, 1, "01"), (NUMBER, 2, "02")) == ["1950-03-15 00:00:00"]
    assert birth("both", (others, 1, "01"), (NUMBER, 2, "01")) == ["1950-01-01 00:00:00"]


def test_03_a_birth_is_the_numbers_date_or_the_first_of_january(hospital: Hospital) -> None:
    assert hospital.times(1003, "MEDS_BIRTH") == ["1950-03-15 00:00:00"]
    assert hospital.times(1004, "MEDS_BIRTH") == ["2023-01-01 00:00:00"]
    assert hospital.times(1005, "MEDS_BIRTH") == ["1950-01-01 00:00:00"]
    assert hospital.times(1004, "NPR//live_birth") == ["2023-05-01 06:00:00"]


def test_04_times_are_by_the_norwegian_clock(hospital: Hospital) -> None:
    assert hospital.times(1003, "CONTACT//inpatient") == ["2023-05-01 06:00:00"]  # 8 o'clock in summer
    assert hospital.times(1017, "CONTACT//inpatient")[0] == "2021-03-01 07:00:00"  # 8 o'clock in winter


def test_05_contacts_of_a_day_end_with_it_and_others_stay_open(hospital: Hospital) -> None:
    ends = hospital.of(1005, hospital.contacts).select("care_level", "end_time").rows()
    assert sorted(ends) == [("inpatient", None), ("outpatient", datetime(2023, 5, 1, 21, 59, 59))]


def test_06_conditions_are_known_at_the_end_or_at_the_extract(hospital: Hospital) -> None:
    assert hospital.times(1006, "ICD10-NO//J18.9") == ["2023-05-03 10:00:00"]
    assert hospital.times(1006, "ICD10-NO//I10") == ["2024-01-15 22:59:59"]


def test_07_procedures_have_their_own_time(hospital: Hospital) -> None:
    assert hospital.times(1007, "NCSP//ABC16") == ["2023-05-02 09:00:00"]
    assert hospital.times(1007, "NCMP//WBGM37") == ["2023-05-01 07:00:00"]
    assert hospital.times(1007, "NCRP//TNX0YT") == ["2023-05-03 10:00:00"]


def test_08_procedures_are_numbered_within_the_episode(hospital: Hospital) -> None:
    contact = hospital.of(1007, hospital.contacts)["contact_id"][0]
    groups = hospital.codings.filter(pl.col("contact_id") == contact).select(
        "code", "group_no", "condition_group_no"
    )
    assert sorted(groups.rows()) == [("ABC16", 1, 1), ("TNX0YT", 3, 1), ("WBGM37", 2, 1)]


def test_09_codes_are_cleaned_and_get_their_dot(hospital: Hospital) -> None:
    contact = hospital.of(1009, hospital.contacts)["contact_id"][0]
    codings = hospital.codings.filter(pl.col("contact_id") == contact)
    told = codings.sort("code_no").select("system", "code", "role", "group_no", "code_no", "version").rows()
    assert told == [("ICD10-NO", "E70.2", "main", 1, 1, "2023"), ("ICD10-NO", "M36.8", "main", 1, 2, "2023")]


def test_10_a_unit_is_called_by_its_name_or_number_and_the_fagenhet_counts(
    hospital: Hospital, read: Reading
) -> None:
    assert hospital.of(1010, hospital.contacts)["unit_id"].to_list() == ["3", "Hjerte", "Hjerte"]
    message = messages()["2-ord.xml"]
    for name in ("99", "Intensiv", "9"):
        episodes = read(message, intensive_units=[name]).tables["Episode"]
        assert episodes.filter(pl.col("intensiv") == "1")["episodeID"].to_list() == ["H3"]
    posts = read(message, unit_types=["6", "2"]).tables["Episode"]
    assert posts.filter(pl.col("episodeID") == "H3")["enhet"].to_list() == ["Intensiv"]


def test_11_of_two_messages_of_one_day_the_higher_number_stands_whole(hospital: Hospital) -> None:
    # 10 is higher than 9 as a number, not as a text; I2 and J1 are not in the newer message and stay
    assert hospital.codes(1011, "ICD10-NO", "NCSP") == ["ICD10-NO//J44.0", "ICD10-NO//N39.0"]
    assert len(hospital.times(1012, "CONTACT//inpatient")) == 2


def test_12_an_episode_of_two_modules_is_taken_from_ord(hospital: Hospital) -> None:
    assert hospital.codes(1012, "ICD10-NO") == ["ICD10-NO//C50.9"]


def test_13_an_episode_is_taken_back_by_its_id(hospital: Hospital) -> None:
    assert hospital.codes(1013, "ICD10-NO") == ["ICD10-NO//I48"]


def test_14_a_death_is_at_the_end_or_on_arrival(hospital: Hospital) -> None:
    assert hospital.times(1014, "MEDS_DEATH") == ["2023-05-03 10:00:00"]
    assert (
        hospital.times(1015, "MEDS_DEATH") == hospital.times(1015, "NPR//suicide") == ["2023-05-03 10:00:00"]
    )
    assert hospital.times(1016, "MEDS_DEATH") == ["2023-05-01 06:00:00"]
    assert hospital.of(1014, hospital.contacts)["discharged_to"].to_list() == ["death"]


def test_15_costs_are_of_the_patient_of_the_episode_and_known_at_the_extract(hospital: Hospital) -> None:
    assert hospital.times(1017, "KPP//total") == ["2023-05-03 10:00:00"]
    assert hospital.times(1017, "KPP//01H1", "known_time") == ["2024-04-01 21:59:59"]
    assert hospital.times(1017, "DRG//00A", "known_time") == ["2024-04-01 21:59:59"]
    total = hospital.events.filter(pl.col("code") == "KPP//total").select("numeric_value", "unit").rows()
    assert total == [(100.5, "NOK")]
    unknown = hospital.rejected.filter(pl.col("reason") == "no such row in Episode")
    assert unknown["file"].to_list() == ["6-kpp.xml"] * 2  # the episode ZZ and its one cost


def test_16_doses_are_in_gray_at_the_beginning_of_the_episode(hospital: Hospital) -> None:
    assert hospital.times(1012, "RADIOTHERAPY//given_dose") == ["2023-05-01 06:00:00"]
    given = hospital.events.filter(pl.col("code").str.starts_with("RADIOTHERAPY//")).sort("code")
    assert given.select("code", "numeric_value", "unit").rows() == [
        ("RADIOTHERAPY//given_dose", 2.25, "Gy"),
        ("RADIOTHERAPY//planned_total_dose", 50.0, "Gy"),
        ("RADIOTHERAPY//series_intent_2", None, None),
    ]
    assert hospital.times(1012, "RADIOTHERAPY//planned") == ["2023-05-01 22:00:00"]  # 2 May, 00:00


def test_17_a_patient_is_observed_over_the_periods_of_the_messages(hospital: Hospital) -> None:
    window = hospital.of(1017, hospital.observation).select("start_time", "end_time").row(0)
    assert window == (datetime(2020, 12, 31, 23, 0), datetime(2023, 12, 31, 22, 59, 59))


def test_18_merged_procedure_codes_are_told_apart_by_form(hospital: Hospital) -> None:
    systems = hospital.codes(1020, "NCSP", "NCMP", "NCRP")
    assert systems == ["NCMP//WBGM37", "NCRP//PJI30A", "NCSP//ABC16"]


def test_25_what_a_coding_adviser_asks_for_is_kept_as_sent(tmp_path: Path) -> None:
    contacts = (
        '<Kontakt kontaktType="5" stedAktivitet="6" polIndir="22"><Helseperson polUtforende="1" rolle="2" '
        'helsepersonHPR="9999999"/><Helseperson polUtforende="4" spesialist="Kari Normann"/></Kontakt>'
    )
    told = {"omsorgsniva": "8", "innmateHast": "5", "fraSted": "7", "tilSted": "98", "fagomrade": "160"}
    content = UNITS + patient(1, episode(1001, "E", contacts + unit(1, 1) + unit(2, 2) + unit(3, 7), **told))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.xml").write_text(melding(content), encoding="utf-8")
    hospital = ingested("npr-melding", tmp_path / "in", tmp_path / "dataset")
    kept = [code for code in hospital.events["code"].sort() if code.startswith("NPR_")]
    assert kept == [
        "NPR_ENHET//avdeling/3",
        "NPR_ENHET//behandlingssted/Sykehuset",
        "NPR_ENHET//fagenhet/Hjerte",
        "NPR_FAGOMRADE//160",
        "NPR_FRASTED//7",
        "NPR_INNMATEHAST//5",
        "NPR_KONTAKTTYPE//5",
        "NPR_OMSORGSNIVA//8",
        "NPR_POLINDIR//22",
        "NPR_POLUTFORENDE//1",
        "NPR_POLUTFORENDE//4",
        "NPR_ROLLE//2",
        "NPR_STEDAKTIVITET//6",
        "NPR_TILSTED//98",
    ]
    # Where the patient goes is known when the contact has ended, where from at its beginning.
    assert hospital.times(1001, "NPR_TILSTED") == ["2023-05-03 10:00:00"]
    assert hospital.times(1001, "NPR_FRASTED") == ["2023-05-01 06:00:00"]
    assert "not a code" in hospital.rejected["reason"].to_list()
