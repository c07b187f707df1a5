"""NPR-meldinger to a dataset: it holds what lxml and a few plain loops find in the messages."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from csv import DictReader
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from lxml import etree

from ontology.errors import RejectsError
from phenotype.checking import check_dataset
from pipelines.simulate.hospital import simulate
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

SYSTEMS = {"D": "ICD10-NO", "K": "NCSP", "M": "NCMP", "R": "NCRP", "F": "ATC"}
CODES = (*(f"{system}//" for system in SYSTEMS.values()),)
OSLO = ZoneInfo("Europe/Oslo")


def in_utc(local: str) -> datetime:
    """A local time as the dataset has it."""
    return datetime.fromisoformat(local).replace(tzinfo=OSLO).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)


def exists(local: str) -> bool:
    """Whether the Norwegian clock ever showed this time."""
    time = datetime.fromisoformat(local).replace(tzinfo=OSLO)
    return time.astimezone(ZoneInfo("UTC")).astimezone(OSLO).replace(tzinfo=None) == time.replace(tzinfo=None)


def newest_episodes(folder: Path) -> list[etree._Element]:
    """The episodes of all messages; the simulated hospital reports each in one message only."""
    return [
        element
        for path in sorted(folder.glob("*-ord.xml"))
        for element in etree.parse(path).iter("{*}Episode")
    ]


def facts_in_messages(folder: Path) -> Counter[tuple[str, datetime]]:
    """(code, time) of every diagnosis at the end of its episode, and every procedure on its own day."""
    facts: Counter[tuple[str, datetime]] = Counter()
    for episode in newest_episodes(folder):
        end = episode.get("utDatoTid")
        for code in episode.iter("{*}Kode"):
            above = code.getparent()
            value = code.get("kodeVerdi")
            if above.tag.endswith("Tilstand"):
                time = end
                value = f"{value[:3]}.{value[3:]}" if len(value) > 3 else value
            else:
                time = above.getparent().getparent().get("startDatoTid")
            if time and exists(time):
                facts[f"{SYSTEMS[code.get('Kodeverk')]}//{value}", in_utc(time)] += 1
    return facts


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of the messages of 150 simulated patients, and the dataset made of them."""
    folder = tmp_path_factory.mktemp("npr")
    simulate(150, 7, folder / "hospital", forms=("npr",))
    messages = folder / "hospital" / "npr"
    ingest(load_mapping("npr-melding"), messages, folder / "dataset", max_reject_share=0.01)
    return messages, folder / "dataset"


def events_of(dataset: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted((dataset / "data").glob("*.parquet"))])


def test_the_dataset_has_the_codes_that_the_messages_have(hospital: tuple[Path, Path]) -> None:
    messages, dataset = hospital
    events = events_of(dataset)
    coded = events.filter(pl.any_horizontal(pl.col("code").str.starts_with(code) for code in CODES))
    found = Counter(zip(coded["code"].to_list(), coded["time"].to_list(), strict=True))
    expected = facts_in_messages(messages)
    assert expected - found == Counter()
    # What is left is of episodes that are open when the messages are made, known at the end of that day.
    assert {time for _, time in found - expected} <= {in_utc("2026-01-01T23:59:59")}
    assert check_dataset(dataset) == []


def test_every_element_of_the_messages_is_in_the_account(hospital: tuple[Path, Path]) -> None:
    messages, dataset = hospital
    account = json.loads((dataset / "ingest.json").read_text(encoding="utf-8"))
    read: Counter[str] = Counter()
    for file in account["files"]:
        ended = sum(file["rows_ignored"].values()) + sum(file["rows_rejected"].values())
        assert file["rows_read"] == file["rows_used"] + ended
        read[file["table"]] += file["rows_read"]
    met = Counter(
        etree.QName(element).localname
        for path in messages.glob("*.xml")
        for element in etree.parse(path).iter("{*}*")
    )
    names = (
        "Episode",
        "Pasient",
        "Tilstand",
        "Prosedyre",
        "Kontakt",
        "Objektholder",
        "PasientIdent",
        "Melding",
    )
    assert {name: read[name] for name in names} == {name: met[name] for name in names}


def test_contacts_are_the_episodes(hospital: tuple[Path, Path]) -> None:
    messages, dataset = hospital
    levels = {"1": "inpatient", "2": "day", "3": "outpatient"}
    expected = Counter(
        (levels[episode.get("omsorgsniva")], in_utc(episode.get("innDatoTid")))
        for episode in newest_episodes(messages)
        if exists(episode.get("innDatoTid"))
    )
    contacts = pl.read_parquet(dataset / "contacts.parquet").drop_nulls("start_time")
    assert Counter(contacts.select("care_level", "start_time").iter_rows()) == expected


def test_no_number_of_the_messages_is_in_the_dataset(hospital: tuple[Path, Path]) -> None:
    messages, dataset = hospital
    identities = [
        element
        for path in messages.glob("*-ide.xml")
        for element in etree.parse(path).iter("{*}PasientIdent")
    ]
    numbers = {element.get("fid") for element in identities} | {element.get("pid") for element in identities}
    assert len(numbers) > 150
    cells: set[str] = set()
    for path in dataset.rglob("*.parquet"):
        frame = pl.read_parquet(path)
        texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
        cells |= {str(cell) for name in texts for cell in frame[name].unique().drop_nulls()}
    words = {word for cell in cells for word in re.split(r"[^0-9]+", cell)}
    words |= set(re.split(r"[^0-9]+", (dataset / "ingest.json").read_text(encoding="utf-8")))
    assert not numbers & words


def test_the_same_messages_in_another_order_and_in_other_files_make_the_same_dataset(
    hospital: tuple[Path, Path], tmp_path: Path
) -> None:
    messages, dataset = hospital
    other = tmp_path / "other"
    other.mkdir()
    paths = sorted(messages.glob("*.xml"))
    for number, path in enumerate(reversed(paths)):
        (other / f"{number:03d}.xml").write_bytes(path.read_bytes())
    (other / "again.xml").write_bytes(paths[1].read_bytes())  # one message sent twice
    key = dataset.with_name(f"{dataset.name}.key")
    ingest(load_mapping("npr-melding"), other, tmp_path / "dataset", key_path=key, max_reject_share=0.01)
    columns = ["subject_id", "time", "code", "numeric_value", "contact_id", "known_time", "unit"]
    there, here = (
        events_of(folder).select(columns).sort(columns) for folder in (dataset, tmp_path / "dataset")
    )
    assert there.equals(here)


def test_a_message_cut_in_the_middle_stops_the_run_or_is_told(
    hospital: tuple[Path, Path], tmp_path: Path
) -> None:
    messages, _ = hospital
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in sorted(messages.glob("*.xml")):
        whole = path.read_bytes()
        (cut / path.name).write_bytes(
            whole[: len(whole) // 2] if path.name.startswith("2020-018-ord") else whole
        )
    mapping = load_mapping("npr-melding").model_copy(update={"max_reject_share": 0.0})
    with pytest.raises(RejectsError, match="too many rows were rejected"):
        ingest(mapping, cut, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    account = ingest(mapping, cut, tmp_path / "dataset", quarantine=tmp_path / "kept", max_reject_share=0.5)
    assert account.is_closed
    broken = account.rejected.filter(pl.col("reason").str.starts_with("XML:"))
    assert broken.select("file", "field").rows() == [("2020-018-ord.xml", "")]
    assert broken["byte_offset"][0] <= (cut / "2020-018-ord.xml").stat().st_size
    assert list((tmp_path / "kept").iterdir())


def sample() -> Path:
    """The folder of the kpp module's public sample; skips the test, naming it, where it is absent."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "kodeverk" / "npr-kpp-sample"
    folder = Path(os.environ.get("PESTA_KPP_SAMPLE", default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


def test_the_costs_of_the_public_sample_are_those_of_its_tables(tmp_path: Path) -> None:
    folder = sample()
    with (folder / "episode.csv").open(encoding="utf-8") as file:
        episodes = list(DictReader(file, delimiter=";"))
    with (folder / "tjeneste.csv").open(encoding="utf-8") as file:
        services = list(DictReader(file, delimiter=";"))
    institutions: dict[str, list[str]] = {}
    for row in episodes:
        institutions.setdefault(row["institusjonsID"], []).append(row["episodeID"])
    content = "".join(
        f'<Institusjon institusjonID="{institution}"><Objektholder pasientNr="1"><Pasient kjonn="1" '
        'fodselsar="1950"/>'
        + "".join(
            f'<Episode episodeID="{key}" innDatoTid="2019-05-01T08:00:00" '
            'utDatoTid="2019-05-02T08:00:00" omsorgsniva="1"/>'
            for key in keys
        )
        + "</Objektholder></Institusjon>"
        for institution, keys in institutions.items()
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ord.xml").write_text(
        '<Melding xmlns="http://www.npr.no/xmlstds/55_0_1_ord" uttakDato="2019-12-31" lopenr="1">'
        f"{content}</Melding>",
        encoding="utf-8",
    )
    (tmp_path / "in" / "kpp.xml").write_bytes((folder / "TestMelding.xml").read_bytes())
    account = ingest(load_mapping("npr-melding"), tmp_path / "in", tmp_path / "dataset")
    assert account.n_rejected == 0
    costs = events_of(tmp_path / "dataset").filter(pl.col("code").str.starts_with("KPP//"))
    expected = Counter(("KPP//total", float(row["total"].replace(",", "."))) for row in episodes)
    expected += Counter(
        (f"KPP//{row['kostnadskode']}", float(row["kostnad"].replace(",", "."))) for row in services
    )
    found = Counter(
        (code, round(value, 4)) for code, value in costs.select("code", "numeric_value").iter_rows()
    )
    assert found == expected
    groups = events_of(tmp_path / "dataset").filter(pl.col("code").str.starts_with("DRG//"))["code"]
    assert sorted(groups) == sorted(f"DRG//{row['drg']}" for row in episodes if row["drg"] != "(tom)")
