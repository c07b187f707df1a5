"""Names of columns, Norwegian and English, speak for what a reader of them would say."""

from __future__ import annotations

import pytest

from pipelines.sources.suggesting.names import compact, roles_of


def test_spelling_of_a_name_does_not_matter() -> None:
    assert compact("innDatoTid") == compact("INN_DATO_TID") == compact("inn dato-tid") == "inndatotid"
    assert compact("Fødselsdato") == "fodselsdato"
    assert compact("Kjønn") == "kjonn"


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("subject", ["patient_id", "subject_id", "pasientNr", "PID", "person_id", "patient_nbr"]),
        ("contact", ["hadm_id", "kontakt_id", "episodeID", "encounter_id", "visit_occurrence_id"]),
        ("start", ["admittime", "innDatoTid", "intime", "starttime", "from_time", "fraDato"]),
        ("end", ["dischtime", "utDatoTid", "outtime", "endtime", "to_time", "tilDato"]),
        ("known", ["storetime", "answered_time", "svartidspunkt", "labresultrevisedoffset", "godkjentDato"]),
        ("time", ["charttime", "prøvetidspunkt", "measurement_datetime", "tidspunkt", "collected_time"]),
        ("birth", ["birth_date", "dob", "fødselsdato", "fodselsar", "year_of_birth"]),
        ("death", ["death_date", "dod", "dødsdato", "deathtime"]),
        ("sex", ["sex", "gender", "kjonn", "Kjønn"]),
        ("code", ["icd_code", "kodeVerdi", "itemid", "analysekode", "atc", "NPU-kode", "diagnosekode"]),
        ("value", ["valuenum", "value", "svarverdi", "labresult", "dose", "value_as_number"]),
        ("unit", ["valueuom", "unit", "benevning", "dose_unit", "unit_source_value"]),
        ("sequence", ["seq_num", "tilstNr", "tilstandsnr", "rekkefølge"]),
        ("free_text", ["fritekst", "kommentar", "notetext", "journalnotat"]),
    ],
)  # fmt: skip
def test_names_speak_for_a_role(role: str, names: list[str]) -> None:
    silent = [name for name in names if role not in roles_of(name)]
    assert silent == []


@pytest.mark.parametrize("name", ["kommunenummer", "sykehus", "flag", "cgid", "warning"])
def test_other_names_are_no_ids_and_no_times(name: str) -> None:
    assert not {"subject", "contact", "time", "start", "end", "birth", "death", "sex"} & set(roles_of(name))
