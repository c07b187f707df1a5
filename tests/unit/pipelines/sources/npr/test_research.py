"""The flat research delivery: each assumption of docs/npr.md about it holds, under its number."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from .conftest import Hospital, ingested

RESEARCH = """NPRID;OMSORGSNIVA;HOVEDTILSTAND1;hovedtilstand2;inndato;utdato;inntid;uttid;\
fodselsar;fodt_mnd;tilstand_2_1;ncsp_1;ncmp_1;uttilstand;doddato;komnr
1;1;A419;r651;19478;19480;08:15;14:30;1950;5;N17.9;ABC16;;2;;1001
2;3;Z 09.8;;01.05.2023;;;;1950;;;;WBGM37;1;;1002
3;1;J189;;2023-05-01;03MAY2023;10:00:30;;1940;.;;;;2;2023-05-04;1003
4;1;J189;;19478;19480;;;1940;.;;;;2;19481;1004
"""


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("research")
    (folder / "in").mkdir()
    (folder / "in" / "npr.csv").write_text(RESEARCH, encoding="utf-8")
    return ingested("npr-research", folder / "in", folder / "dataset")


def test_19_days_are_counted_from_1970_or_written_out(delivery: Hospital) -> None:
    assert delivery.times(1001, "CONTACT//") == ["2023-05-01 08:15:00"]  # 19,478 days: (53 * 365 + 13) + 120
    assert delivery.times(1002, "CONTACT//") == ["2023-05-01 00:00:00"]
    assert delivery.times(1003, "CONTACT//") == ["2023-05-01 10:00:30"]


def test_20_contacts_without_a_clock_last_to_the_end_of_the_day(delivery: Hospital) -> None:
    assert delivery.times(1001, "CONTACT_END//") == ["2023-05-03 14:30:00"]
    assert delivery.times(1002, "CONTACT_END//") == ["2023-05-01 23:59:59"]
    assert delivery.times(1003, "CONTACT_END//") == ["2023-05-03 23:59:59"]


def test_21_procedures_and_conditions_stand_at_the_end(delivery: Hospital) -> None:
    assert (
        delivery.times(1001, "NCSP//ABC16")
        == delivery.times(1001, "ICD10-NO//A41.9")
        == ["2023-05-03 14:30:00"]
    )
    codings = delivery.codings.filter(pl.col("system") == "ICD10-NO").sort("code")
    assert codings.select("code", "role", "group_no", "code_no").rows() == [
        ("A41.9", "main", 1, 1),
        ("J18.9", "main", 1, 1),
        ("J18.9", "main", 1, 1),
        ("N17.9", "other", 2, 1),
        ("R65.1", "main", 1, 2),
        ("Z09.8", "main", 1, 1),
    ]


def test_22_births_are_the_first_of_the_year_or_month(delivery: Hospital) -> None:
    assert delivery.times(1001, "MEDS_BIRTH") == ["1950-05-01 00:00:00"]
    assert delivery.times(1003, "MEDS_BIRTH") == ["1940-01-01 00:00:00"]


def test_23_a_date_of_death_goes_before_the_discharge(delivery: Hospital) -> None:
    assert delivery.times(1001, "MEDS_DEATH") == ["2023-05-03 14:30:00"]
    assert delivery.times(1003, "MEDS_DEATH") == ["2023-05-04 23:59:59"]
    assert delivery.times(1004, "MEDS_DEATH") == ["2023-05-04 23:59:59"]  # three days after 19,478


def test_24_stays_are_made_by_the_eight_hour_rule(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows = [
        "1;2023-05-01;2023-05-02;08:00;12:00",
        "1;2023-05-02;2023-05-03;19:00;12:00",
        "1;2023-05-04;2023-05-04;08:00;09:00",
    ]
    header = "lopenr;inndato;utdato;inntid;uttid;liggetid;aggrshoppid;omsorgsniva\n"
    text = header + "".join(f"{row};9;5;1\n" for row in rows)
    (tmp_path / "in" / "npr.csv").write_text(text, encoding="utf-8")
    contacts = ingested("npr-research", tmp_path / "in", tmp_path / "dataset").contacts.sort("start_time")
    assert contacts["stay_id"].n_unique() == 2  # 7 hours apart, then 20
    assert contacts["stay_id"][0] == contacts["stay_id"][1]


def test_what_a_coding_adviser_asks_for_is_kept_as_sent(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    told = {
        "nprid": "1",
        "inndato": "2023-05-01",
        "utdato": "2023-05-02",
        "komnr": "1001",
        "innTilstand": "2",
        "innMateHast": "5",
        "omsorgsniva": "8",
        "fraSted": "7",
        "tilSted": "98",
        "polIndir": "22",
        "polUtforende": "1",
        "episodeFag": "160",
        "niva": "S",
        "hdg": "18",
        "tilstand_2_1": "I10",
        "tilstand_2_2": "J18",
    }
    text = ";".join(told) + "\n" + ";".join(told.values()) + "\n"
    (tmp_path / "in" / "npr.csv").write_text(text, encoding="utf-8")
    hospital = ingested("npr-research", tmp_path / "in", tmp_path / "dataset")
    kept = [code for code in hospital.events["code"].sort() if code.startswith(("NPR_", "HDG", "MEDS_D"))]
    assert kept == [
        "HDG//18",
        "MEDS_DEATH",
        "NPR_FAGOMRADE//160",
        "NPR_FRASTED//7",
        "NPR_INNMATEHAST//5",
        "NPR_NIVA//S",
        "NPR_OMSORGSNIVA//8",
        "NPR_POLINDIR//22",
        "NPR_POLUTFORENDE//1",
        "NPR_TILSTED//98",
    ]
    assert hospital.times(1001, "MEDS_DEATH") == ["2023-05-01 00:00:00"]  # dead on arrival
    assert hospital.codings.sort("code_no").select("role", "group_no", "code_no").rows() == [
        ("other", 2, 1),
        ("other", 2, 2),
    ]
