"""The toy grouper groups by its rules; the user's grouper output is read as told, contradictions said."""

from __future__ import annotations

import runpy
from decimal import Decimal
from pathlib import Path

import pytest

from ontology.errors import InputError
from phenotype.coding.money.grouper import GrouperOutput, as_coded
from phenotype.coding.money.toy_grouper import ToyGrouper

record_of = runpy.run_path(str(Path(__file__).parents[1] / "written_record.py"))["record_of"]
Contact = tuple[int, int, str, str, int]
Code = tuple[int, str, int, int, str]
TOY = ToyGrouper.load()
ICD = "ICD10-NO//"


def drgs(contacts: list[Contact], codes: list[Code]) -> list[tuple[str | None, str | None]]:
    grouped = as_coded(record_of(contacts, codes), TOY)
    return list(grouped.select("drg", "reason").iter_rows())


@pytest.mark.parametrize(
    ("level", "codes", "drg"),
    [
        ("inpatient", [(1, "main", 1, 1, ICD + "J18.9")], "TOY-LUNG-NONE-N"),
        (
            "inpatient",
            [(1, "main", 1, 1, ICD + "J18.9"), (1, "other", 2, 1, ICD + "N17.9")],
            "TOY-LUNG-NONE-C",
        ),
        # A complicating code inside the main condition's own group does not complicate.
        (
            "inpatient",
            [(1, "main", 1, 1, ICD + "J18.9"), (1, "main", 1, 2, ICD + "N17.9")],
            "TOY-LUNG-NONE-N",
        ),
        ("inpatient", [(1, "main", 1, 1, ICD + "A41.9")], "TOY-SEPSIS-NONE-N"),
        (
            "outpatient",
            [(1, "main", 1, 1, ICD + "M54.16"), (1, "procedure", 1, 1, "NCSP//ABC16")],
            "TOY-SPINEROOT-SPINE-N-OUT",
        ),
        # A procedure counts in its own system only.
        (
            "day",
            [(1, "main", 1, 1, ICD + "C50.9"), (1, "procedure", 1, 1, "NCMP//ABC16")],
            "TOY-CANCER-NONE-N-DAY",
        ),
    ],
)
def test_the_toy_groups_by_main_treatment_and_complication(level: str, codes: list[Code], drg: str) -> None:
    assert drgs([(1, 1, "2024-03-01", level, 2)], codes) == [(drg, None)]


def test_a_stay_is_one_case_by_its_last_main_condition() -> None:
    record = record_of(
        [
            (1, 7, "2024-03-01", "inpatient", 2),
            (2, 7, "2024-03-03", "inpatient", 2),
            (3, 8, "2024-03-03", "day", 0),
        ],
        [
            (1, "main", 1, 1, ICD + "R50.9"),
            (1, "other", 2, 1, ICD + "N17.9"),
            (2, "main", 1, 1, ICD + "J18.9"),
            (3, "main", 1, 1, ICD + "I10"),
        ],
    )
    grouped = as_coded(record, TOY)
    assert grouped["case_id"].to_list() == ["stay 7", "stay 7", "contact 3"]
    assert grouped["drg"].to_list() == ["TOY-LUNG-NONE-C", "TOY-LUNG-NONE-C", "TOY-CIRCULATION-NONE-N-DAY"]


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ([], "no condition is coded"),
        ([(1, "procedure", 1, 1, "NCSP//ABC16")], "no condition is coded"),
        ([(1, "other", 2, 1, ICD + "I10")], "conditions are coded, none of them as the main one"),
        ([(1, "main", 1, 1, "ICPC2//R81")], "main condition that the toy grouper does not know"),
    ],
)
def test_what_cannot_be_grouped_says_why(codes: list[Code], reason: str) -> None:
    assert drgs([(1, 1, "2024-03-01", "inpatient", 2)], codes) == [(None, reason)]


def test_toy_weights_cover_every_toy_group_and_cannot_be_taken_for_real_ones() -> None:
    weights = TOY.weights([2023, 2024])
    assert weights.table["drg"].str.starts_with("TOY-").all()
    assert "not NordDRG" in weights.source
    # 21 main groups x 8 treatments x 2 x 5 care levels, of which icu and inpatient share their names.
    assert weights.table.height == 21 * 8 * 2 * 4 * 2
    # LUNG 1.050 x SURGERY 1.600 x complicating 1.450 x day 0.300
    found = weights.table.filter(drg="TOY-LUNG-SURGERY-C-DAY")["weight"].to_list()
    assert found == [Decimal("0.731")] * 2


def test_the_users_output_is_read_as_told(tmp_path: Path) -> None:
    file = tmp_path / "grouped.csv"
    file.write_text("contact_id;DRG;points\n1;089;1,234\n2;090;\n3;090;\n3;091;\n")
    contacts: list[Contact] = [(n, n, "2024-03-01", "inpatient", 1) for n in (1, 2, 3, 4)]
    grouped = as_coded(record_of(contacts, []), GrouperOutput.load(file))
    assert grouped["drg"].to_list() == ["089", "090", None, None]
    assert grouped["points"].to_list() == [Decimal("1.234"), None, None, None]
    assert grouped["reason"].to_list() == [
        None,
        None,
        "several groups in the grouper's output",
        "not in the grouper's output",
    ]


def test_groups_that_the_record_tells() -> None:
    contacts: list[Contact] = [(1, 1, "2024-03-01", "inpatient", 1), (2, 2, "2024-03-01", "inpatient", 1)]
    record = record_of(contacts, [], [(1, "drg", "89", None), (1, "points", "", 1.5)])
    grouped = as_coded(record, GrouperOutput.of_record(record))
    assert grouped["drg"].to_list() == ["89", None]
    assert grouped["points"].to_list() == [Decimal("1.5"), None]


def test_rows_of_an_output_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    file = tmp_path / "output.csv"
    file.write_text("contact_id;drg;points\n1;A;1,5\n2;B;-3\n3;C;much\n4;;2\nfive;D;1\n;E;1\n6;F;\n", "utf-8")
    output = GrouperOutput.load(file)
    assert output.faults.rows() == [
        ("a row whose contact_id is none of a dataset", 2),
        ("a row without a group", 1),
        ("points that are no number of 0 or more", 2),
    ]
    told = {row[1]: (row[3], row[4]) for row in output.table.iter_rows()}
    assert told[1] == ("A", Decimal("1.5"))
    assert told[2] == ("B", None)
    assert told[6] == ("F", None)


def test_an_output_that_names_no_contact_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "output.csv"
    file.write_text("contact_id,drg\nK-17,A\nK-18,B\n", "utf-8")
    with pytest.raises(InputError, match="names a contact") as told:
        GrouperOutput.load(file)
    assert "K-17" not in str(told.value)
