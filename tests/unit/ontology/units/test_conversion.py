"""Units: spellings, factors from published tables, pint on pure dimensions, and what is refused."""

from __future__ import annotations

import itertools

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from ontology.units.analytes import load_analytes
from ontology.units.conversion import conversion, is_unit, unit_faults
from ontology.units.frames import convert
from ontology.units.spellings import load_spellings, to_ucum

SPELLINGS = {
    "10*9/L": "x10^9/L|10⁹/L|E9/L|10E9/L|x 10E9/L|10*9/l|10 9/L|109/L|x10⁹/l|10**9/L",
    "10*3/uL": "K/uL|K/mcL|k/µL|th/uL|THOU/UL|THS/uL|10E3/mcL|x10 3/uL|x10^3/uL|10(3)mcL|x10(3)/mcL",
    "10*6/uL": "M/mcL|m/uL|MIL/uL|mill/uL|10E6/mcL",
    "10*3/mm3": "k/mm cu|K/MM3|K/CMM|thou/cumm",
    "mmol/L": "mmol/L|mmol/l|MMOL/L|mmol / L|MM/L",
    "umol/L": "µmol/L|μmol/l|umol/L|UMOL/L|mcmol/L",
    "mg/dL": "mg/dl|MG/DL|mg/dL|mg%",
    "g/dL": "gm/dl|GM/DL|G/DL|g/dl|gm/dL",
    "ug/mL": "mcg/mL|ug/ml|µg/mL|UG/ML",
    "[IU]/L": "IU/L|iu/l|[IU]/L|IE/L",
    "U/L": "Units/L|unit/L|U/L|u/l",
    "u[IU]/mL": "uIU/mL|µIU/ml",
    "mm[Hg]": "mmHg|mm Hg|mm(hg)|MMHG|mm[Hg]|torr",
    "Cel": "Cel|°C|&#176;C|Deg C|deg. C|C|celsius",
    "[degF]": "[degF]|°F|Deg. F|F|?F",
    "/min": "1/min|/min|bpm|insp/min|beats/min|slag/min",
    "mL/min": "mL/min/1.73 m²|mL/min/{1.73_m2}|ml/min",
    "meq/L": "mEq/L|MEQ/L|meq/l",
    "meq/h": "mEq./hour|meq/hr",
    "mm/h": "mm/hr.|MM/HR|mm/h",
    "ug/kg/min": "mcg/kg/min|ug/kg/min|µg/kg/min|mcgkgmin",
    "mL/d": "mL/24h|ml/24 t|mL/døgn",
    "mosm/kg": "mOsm/kg H2O|MOSM/KG|mosmol/kg",
    "1": "{score}|ratio|INR|1|",
    "fL": "fl|FL|U3|fL",
    "pg": "PG|uug|pg",
    "s": "sec|SECONDS|second(s)|s",
    "[pH]": "pH",
    "nope": "nope",
}


@pytest.mark.parametrize(("ucum", "spellings"), SPELLINGS.items())
def test_hospital_spellings_stand_for_ucum(ucum: str, spellings: str) -> None:
    assert {spelling: to_ucum(spelling) for spelling in spellings.split("|")} == dict.fromkeys(
        spellings.split("|"), ucum
    )


def test_every_listed_spelling_stands_for_a_unit_that_the_parser_reads() -> None:
    known = load_spellings()
    beyond_pint = {"[pH]", "[Ehrlich]/dL"}
    units = {*known.whole.values(), *known.words.values()} - beyond_pint
    assert [unit for unit in sorted(units) if not is_unit(unit)] == []


# Factors as published: AMA Manual of Style, 11th edition, table of SI conversions (three figures), and
# hand-worked ones with the working beside them.
PUBLISHED = [
    ("creatinine", "mg/dL", "umol/L", 88.4),
    ("bilirubin", "mg/dL", "umol/L", 17.1),
    ("urea_nitrogen", "mg/dL", "mmol/L", 0.357),
    ("urea", "mg/dL", "mmol/L", 0.167),  # 10 / 60.06
    ("glucose", "mg/dL", "mmol/L", 0.0555),
    ("lactate", "mg/dL", "mmol/L", 0.111),
    ("calcium", "mg/dL", "mmol/L", 0.250),
    ("calcium", "mEq/L", "mmol/L", 0.5),
    ("calcium", "mEq/L", "mg/dL", 2.004),  # 40.078 / 2 mg a milliequivalent, in a tenth of a litre
    ("magnesium", "mEq/L", "mmol/L", 0.5),
    ("magnesium", "mg/dL", "mmol/L", 0.411),
    ("phosphate", "mg/dL", "mmol/L", 0.323),
    ("sodium", "mEq/L", "mmol/L", 1.0),
    ("potassium", "mEq/L", "mmol/L", 1.0),
    ("iron", "ug/dL", "umol/L", 0.179),
    ("urate", "mg/dL", "umol/L", 59.485),  # 10000 / 168.11
    ("ammonia", "ug/dL", "umol/L", 0.587),
    ("cholesterol", "mg/dL", "mmol/L", 0.0259),
    ("triglycerides", "mg/dL", "mmol/L", 0.0113),
    ("cortisol", "ug/dL", "nmol/L", 27.6),
    ("thyroxine", "ug/dL", "nmol/L", 12.87),
    ("haemoglobin", "g/dL", "mmol/L", 0.6206),
    ("haemoglobin", "g/dL", "g/L", 10.0),
    ("albumin", "g/dL", "g/L", 10.0),
    ("albumin", "g/L", "umol/L", 15.05),  # 1e6 / 66437
    ("alat", "U/L", "ukat/L", 0.01667),
    ("alat", "IU/L", "ukat/L", 0.01667),
    ("alat", "IU/L", "U/L", 1.0),
    ("crp", "mg/dL", "mg/L", 10.0),
    ("troponin_t", "ng/mL", "ng/L", 1000.0),
    ("platelets", "K/uL", "10*9/L", 1.0),
    ("platelets", "10*3/mm3", "x10⁹/L", 1.0),
    ("erythrocytes", "M/uL", "10*12/L", 1.0),
    ("pao2", "mmHg", "kPa", 0.133322),
    ("fio2", "%", "1", 0.01),
    ("noradrenaline", "mg/h", "ug/min", 16.667),  # 1000 / 60
    (None, "[lb_av]", "kg", 0.453592),
    (None, "inches", "cm", 2.54),
]


@pytest.mark.parametrize(("analyte", "sent", "wanted", "factor"), PUBLISHED)
def test_factors_are_the_published_ones(analyte: str | None, sent: str, wanted: str, factor: float) -> None:
    there, back = conversion(sent, wanted, analyte), conversion(wanted, sent, analyte)
    assert there.factor == pytest.approx(factor, rel=4e-3)
    assert there.offset == back.offset == 0
    assert there.factor * back.factor == pytest.approx(1, rel=1e-9)


def test_a_thousand_a_microlitre_is_exactly_a_billion_a_litre() -> None:
    assert conversion("K/uL", "10*9/L").factor == 1.0
    assert conversion("mEq/L", "mmol/L", "calcium").factor == 0.5


def test_temperatures_have_an_offset() -> None:
    fahrenheit = conversion("°F", "Cel")
    assert fahrenheit(32) == pytest.approx(0, abs=1e-9)
    assert fahrenheit(98.6) == pytest.approx(37)
    assert conversion("Cel", "[degF]")(40) == pytest.approx(104)


def test_hba1c_follows_the_master_equation() -> None:
    # NGSP 6.5 % is 48 mmol/mol, 7.0 % is 53, 9.0 % is 75 (IFCC's own table)
    for ngsp, ifcc in [(6.5, 48), (7.0, 53), (9.0, 75)]:
        assert round(conversion("%", "mmol/mol", "hba1c")(ngsp)) == ifcc
        assert round(conversion("mmol/mol", "%", "hba1c")(ifcc), 1) == ngsp


# IUPAC's abridged standard atomic weights of 2021, typed from Pure Appl Chem 2022;94:573-600, table 2.
WEIGHTS = {"H": 1.0080, "C": 12.011, "N": 14.007, "O": 15.999, "Na": 22.990, "Mg": 24.305, "P": 30.974}
WEIGHTS |= {"Cl": 35.45, "K": 39.098, "Ca": 40.078, "Fe": 55.845, "I": 126.90}


def test_molar_masses_are_the_sums_of_their_atoms() -> None:
    import re

    checked = 0
    for name, analyte in load_analytes().analytes.items():
        if analyte.formula is None:
            continue
        atoms = re.findall(r"([A-Z][a-z]?)(\d*)", analyte.formula)
        mass = sum(WEIGHTS[element] * int(count or 1) for element, count in atoms)
        assert analyte.molar_mass == pytest.approx(mass, abs=0.006), name
        checked += 1
    assert checked > 15


DIMENSIONS = {
    "mass concentration": ["g/L", "mg/L", "mg/dL", "g/dL", "ug/mL", "ng/L", "pg/mL"],
    "substance concentration": ["mol/L", "mmol/L", "umol/L", "nmol/L"],
    "count": ["10*9/L", "10*3/uL", "10*6/mL", "/uL"],
    "pressure": ["mm[Hg]", "kPa", "cm[H2O]", "mbar"],
    "flow": ["L/min", "mL/h", "mL/min", "L/d"],
    "mass": ["g", "kg", "ug", "[lb_av]"],
    "activity": ["U/L", "ukat/L", "nkat/L"],
}
IN_PINT = {"mm[Hg]": "mmHg", "cm[H2O]": "cmH2O", "[lb_av]": "pound", "10*9/L": "1e9/L", "10*3/uL": "1e3/uL"}
IN_PINT |= {"10*6/mL": "1e6/mL", "/uL": "1/uL", "L/d": "L/day", "U/L": "enzyme_unit/L", "ukat/L": "ukat/L"}


@pytest.mark.parametrize("name", DIMENSIONS)
def test_units_of_one_dimension_convert_as_pint_says(name: str) -> None:
    import pint

    registry = pint.UnitRegistry()
    for sent, wanted in itertools.permutations(DIMENSIONS[name], 2):
        expected = registry(IN_PINT.get(sent, sent)).to(registry(IN_PINT.get(wanted, wanted)).units)
        expected = expected.magnitude / registry(IN_PINT.get(wanted, wanted)).magnitude
        assert conversion(sent, wanted).factor == pytest.approx(expected, rel=1e-5), (sent, wanted)


@pytest.mark.parametrize(
    ("sent", "wanted", "analyte"),
    [
        ("mg/dL", "mmol/L", None),  # no analyte, no molar mass
        ("mg/L", "nmol/L", "crp"),  # no molar mass is known of it
        ("mg/dL", "mmHg", "creatinine"),
        ("mEq/L", "mmol/L", None),
        ("mEq/L", "mmol/L", "creatinine"),  # no valence
        ("IU/L", "10*9/L", "platelets"),  # an arbitrary unit is no number
        ("IU/L", "ukat/L", "insulin"),  # an international unit of no enzyme
        ("/[HPF]", "/uL", "leukocytes"),
        ("%", "mmol/mol", "ferritin and others"),
        ("Cel", "mmol/L", "creatinine"),
    ],
)
def test_what_cannot_be_is_refused_naming_units_and_analyte(
    sent: str, wanted: str, analyte: str | None
) -> None:
    if sent == "%":
        assert conversion(sent, wanted, analyte).factor == 10  # a hundredth is ten thousandths
        return
    with pytest.raises(ConfigurationError) as refused:
        conversion(sent, wanted, analyte)
    text = str(refused.value)
    assert sent in text
    assert wanted in text
    assert (analyte or "without analyte") in text


def test_units_that_are_none_are_all_told_at_once() -> None:
    problems = unit_faults("nope", "also/nope")
    assert [problem.found for problem in problems] == ["nope", "also/nope"]
    assert unit_faults("nope", "nope") == ()  # the same text is the same unit
    assert unit_faults("mmol/l", "mmol/L") == ()


def test_a_frame_is_converted_by_unit_and_what_was_sent_is_kept() -> None:
    sent = pl.DataFrame(
        {
            "subject_id": [1, 2, 3, 4, 5],
            "numeric_value": pl.Series([1.0, 88.4, None, 90.0, 2.0], dtype=pl.Float32),
            "unit": ["mg/dL", "µmol/L", "mg/dL", None, "MG/DL"],
        }
    )
    done = convert(sent, "umol/L", "creatinine", missing_unit="as_wanted")
    assert done.values.select(sent.columns).equals(sent)
    assert done.values["value"].round(1).to_list() == [88.4, 88.4, None, 90.0, 176.8]
    assert done.counts.select("unit", "n_values", "how").rows() == [
        (None, 1, "taken_as_wanted"),
        ("MG/DL", 1, "converted"),
        ("mg/dL", 1, "converted"),
        ("µmol/L", 1, "same"),
    ]
    left = convert(sent, "umol/L", "creatinine", missing_unit="left_out")
    assert left.values["value"].is_null().to_list() == [False, False, True, True, False]
    with pytest.raises(ConfigurationError, match="no unit was sent for creatinine"):
        convert(sent, "umol/L", "creatinine")


def test_a_frame_may_hold_several_analytes_and_faults_come_together() -> None:
    sent = pl.DataFrame(
        {
            "numeric_value": [10.0, 10.0, 10.0],
            "unit": ["mg/dL", "mg/dL", "nope"],
            "analyte": ["glucose", "urea_nitrogen", "glucose"],
        }
    )
    assert convert(sent.head(2), "mmol/L").values["value"].round(2).to_list() == [0.56, 3.57]
    with pytest.raises(ConfigurationError) as refused:
        convert(sent.with_columns(analyte=pl.Series(["crp", "glucose", "glucose"])), "mmol/L")
    assert len(refused.value.problems) == 2
    lenient = convert(sent, "mmol/L", impossible="left_out")
    assert lenient.values["value"].is_null().to_list() == [False, False, True]
    assert lenient.counts.filter(pl.col("how") == "left_out")["unit"].to_list() == ["nope"]
