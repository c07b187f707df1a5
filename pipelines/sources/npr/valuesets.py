"""The value sets of NPR-melding's coded attributes, and the forms of its dates and numbers."""

from __future__ import annotations

from collections.abc import Mapping

CODE_SYSTEMS: Mapping[str, str] = {
    "D": "ICD-10",
    "F": "ATC",
    "G": "NORPAT",
    "H": "ICPC-2",
    "K": "NCSP",
    "M": "NCMP",
    "P": "codes of cancer pathways",
    "Q": "NCSP, NCMP or NCRP",
    "R": "NCRP",
    "S": "temporary national special codes",
}
"""**Source:** code list 8410, ten of its sixteen codes, as in the model of 57.0.1 of NORPREG/wrangleNPR."""

UNIT_TYPES: Mapping[str, str] = {
    "1": "behandlingssted",
    "2": "fagenhet",
    "3": "tjenesteenhet",
    "4": "klinikk",
    "5": "poliklinikk",
    "6": "post",
    "7": "avdeling",
    "8": "hjemmesykehus",
    "9": "helsestasjon",
}
"""**Source:** code list 8476, as given in the model of 57.0.1 of NORPREG/wrangleNPR."""

_PLACES = frozenset({"1", "2", "3", "5", "6", "7", "8", "10", "11", "21", "88", "98", "99"})

VALUE_SETS: Mapping[str, frozenset[str]] = {
    "meldingstype": frozenset("BEK"),
    "kjonn": frozenset("0129"),
    "omsorgsniva": frozenset("1238"),
    "innmateHast": frozenset("12345"),
    "inntilstand": frozenset("123"),
    "utTilstand": frozenset("123"),
    "fraSted": _PLACES,
    "tilSted": _PLACES,
    "kontaktType": frozenset({"1", "2", "3", "5", "6", "7", "12", "13", "14", "99"}),
    "stedAktivitet": frozenset("1234569"),
    "debitor": frozenset(
        map(str, (1, 11, 12, 13, 20, 22, 24, 30, 32, *range(40, 48), 50, 51, 60, 70, 80, 90, 99))
    ),
    "Kodeverk": frozenset(CODE_SYSTEMS),
    "typeEnhet": frozenset(UNIT_TYPES),
}
"""By attribute: the values that are read.

**Source:** meldingstype: code list 7371 in the kpp schemas of folkehelseinstituttet/KppParser; kjonn,
omsorgsniva, innmateHast, inntilstand, utTilstand, fraSted, tilSted, kontaktType, stedAktivitet, debitor:
NPR-melding 53.1.1 with additions of 2020 in SKDE-Analyse/sas_codes (NPR_somatikk.sas); codes that it marks as
not valid are left out. Kodeverk: CODE_SYSTEMS; typeEnhet: UNIT_TYPES.
"""

DATE_FORM = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
INSTANT_FORM = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?$"
)
YEAR_FORM = r"^(1[89]|20)\d\d$"
WHOLE_FORM = r"^\d{1,9}$"
DECIMAL_FORM = r"^[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})$"
"""**Source:** date, dateTime, gYear, integer and decimal of XML Schema (W3C, Part 2: Datatypes); a year is
one between 1800 and 2099, and a dateTime may lack its seconds."""

FORMS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("fraDatoPeriode", "tilDatoPeriode", "uttakDato", "datoForste"), (DATE_FORM, "not a date")
    ),
    **dict.fromkeys(
        ("innDatoTid", "utDatoTid", "startDatoTid", "sluttDatoTid", "uttakTidspunkt"),
        (INSTANT_FORM, "not a time"),
    ),
    "fodselsar": (YEAR_FORM, "not a year"),
    **dict.fromkeys(("tilstNr", "kodeNr", "prosNr", "fodselsvekt"), (WHOLE_FORM, "not a number")),
    **dict.fromkeys(
        ("total", "kostnad", "planDose", "gittDose", "planlagtTotalDose"), (DECIMAL_FORM, "not a number")
    ),
    **dict.fromkeys(
        ("polUtforende", "spesialist", "rolle", "polIndir", "fagomrade"),
        (r"^[0-9A-Za-zÆØÅæøå]{1,8}$", "not a code"),
    ),
    "komNrHjem": (r"^\d{4}$", "not a municipality's number"),
}
"""By attribute: the form of its values, and what a value of another form is called."""
