"""100,000 damaged NPR-meldinger: no crash, none takes a second, and every record is a row or has a fate.

Messages of all modules and versions, bare and in envelopes, are damaged by a plain seeded mutator: bytes,
tags, attributes, namespaces, encodings, entities, depth, ends. What each still holds is counted by lxml, or,
up to where it breaks, by a handler of expat's that knows nothing of the reader; the reader's account of every
element by name must say the same. Every part must close its own account, too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from xml.parsers import expat

from lxml import etree

N_MESSAGES = 100_000
STEP = 1_000
MOST_SECONDS = 1.0
ENVELOPE = "http://www.kith.no/xmlstds/msghead/2006-05-24"
SPACE = re.compile(r"^http://www\.npr\.no/xmlstds/(\d{1,3})(_\d{1,3}){1,3}_([a-z]{1,10})$")
COUNTED = (
    *(
        "Melding",
        "Institusjon",
        "Enhet",
        "Slett",
        "Objektholder",
        "Pasient",
        "Episode",
        "Kontakt",
        "Tilstand",
    ),
    *("Prosedyre", "PasientIdent", "MedisinskStraling", "Behandlingsserie", "Dosebidrag", "Referansevolum"),
    *("EpisodeKPP", "TjenesteKPP", "Kontaktperson", "Utstyr"),
)
MODULES = ("ord", "ide", "str", "kpp")


def header(version: int, module: str, number: int) -> str:
    """The opening tag of a message."""
    return (
        f'<Melding xmlns="http://www.npr.no/xmlstds/{version}_0_1_{module}" versjon="{version}.0.1" '
        f'meldingstype="B" fraDatoPeriode="2023-01-01" tilDatoPeriode="2023-12-31" uttakDato="2024-01-15" '
        f'leverandor="Prøve" navnEPJ="Æøå" versjonEPJ="1" versjonUt="1" lopenr="{number}">'
        '<Kontaktperson kontPerson="Kåre" meldEpost1="k@example.org" typeKontaktperson="1"/>'
    )


def episode(number: int, draw: random.Random) -> str:
    """An episode with contact, units, conditions and procedures."""
    day = draw.randint(1, 28)
    conditions = "".join(
        f'<Tilstand tilstNr="{place}"><Kode kodeNr="1" Kodeverk="D" kodeVersjon="2023" kodeVerdi="{code}"/>'
        + (
            '<Kode kodeNr="2" Kodeverk="D" kodeVersjon="2023" kodeVerdi="G630"/>'
            if draw.random() < 0.2
            else ""
        )
        + "</Tilstand>"
        for place, code in enumerate(
            draw.sample(["A419", "J189", "E142", "I10", "N390"], draw.randint(1, 3)), 1
        )
    )
    procedure = (
        f'<Tjeneste startDatoTid="2023-05-{day:02}T10:00:00"><Tiltak typeTiltak="1"><Prosedyre prosNr="1" '
        'tilstNr="1"><Kode kodeNr="1" Kodeverk="M" kodeVersjon="2023" kodeVerdi="WBGM37"/></Prosedyre>'
        "</Tiltak></Tjeneste>"
    )
    return (
        f'<Episode episodeID="{number}" henvisningsperiodeID="{number}" '
        f'innDatoTid="2023-05-{day:02}T08:00:00" '
        f'utDatoTid="2023-05-{day:02}T15:00:00" debitor="1" komNrHjem="5001" inntilstand="1" innmateHast="4" '
        f'omsorgsniva="{draw.choice("123")}" utTilstand="1" fraSted="1" tilSted="1">'
        '<Kontakt kontaktType="2" stedAktivitet="1"><Helseperson polUtforende="1"/></Kontakt>'
        '<RefEnhet enhetID="1" typeEnhet="2"/>'
        f"{conditions}{procedure if draw.random() < 0.5 else ''}</Episode>"
    )


RADIOTHERAPY = (
    '<MedisinskStraling medisinskStralingID="1"><Behandlingsserie serieID="1" intensjon="1" nyPasient="1" '
    'datoForste="2023-05-02"><ApparatFremmote episodeID="1" refUtstyr="1"><Dosebidrag referansevolumID="1" '
    'planDose="2.0" gittDose="2.0"/></ApparatFremmote></Behandlingsserie><Referansevolum '
    'referansevolumID="1" '
    'referansevolumNavn="PTV" regionkode="23" planlagtTotalDose="50.0" dosekorreksjon="1"/>'
    "</MedisinskStraling>"
)
COST = (
    '<EpisodeKPP episodeID="1" drg="00A" total="12.5"><TjenesteKPP kostnadKode="01H1" kostnad="10"/>'
    '<TjenesteKPP kostnadKode="02L1" kostnad="2.5"/></EpisodeKPP>'
)


def message(module: str, version: int, draw: random.Random) -> str:
    """A small message of a module."""
    content = (
        '<Enhet enhetID="1" enhetLokal="Kirurgisk sengepost Å" reshID="4"><Utstyr utstyrID="1"/></Enhet>'
    )
    for patient in range(1, draw.randint(2, 4)):
        if module == "ide":
            content += f'<PasientIdent pid="{patient}" fid="0181{patient:02}99999" typeID="1"/>'
            continue
        held = {
            "ord": '<Pasient kjonn="1" fodselsar="1950"/>'
            f"{episode(patient, draw)}{episode(patient + 50, draw)}",
            "str": f'<Pasient kjonn="2" fodselsar="1960"/>{episode(patient, draw)}{RADIOTHERAPY}',
            "kpp": COST,
        }[module]
        content += f'<Objektholder pasientNr="{patient}">{held}</Objektholder>'
    institution = f'<Institusjon institusjonID="974706490">{content}</Institusjon>'
    return f"{header(version, module, patient)}{institution}</Melding>"


def whole(draw: random.Random) -> bytes:
    """A message as it may be sent: of one module or several, bare or in the envelope, in some encoding."""
    modules = draw.sample(MODULES, draw.randint(1, 2)) if draw.random() < 0.3 else [draw.choice(MODULES)]
    parts = [message(module, draw.randint(53, 58), draw) for module in modules]
    if len(parts) > 1 or draw.random() < 0.3:
        documents = "".join(
            f"<Document><RefDoc><Content>{part}</Content></RefDoc></Document>" for part in parts
        )
        text = f'<MsgHead xmlns="{ENVELOPE}"><MsgInfo><MsgId>1</MsgId></MsgInfo>{documents}</MsgHead>'
    else:
        text = parts[0]
    encoding = draw.choice(["UTF-8", "UTF-8", "ISO-8859-1"])
    return f'<?xml version="1.0" encoding="{encoding}"?>\n{text}'.encode(encoding)


Mutation = Callable[[bytes, random.Random], bytes]


def _place(raw: bytes, draw: random.Random) -> int:
    return draw.randrange(len(raw) + 1)


def flip(raw: bytes, draw: random.Random) -> bytes:
    """A few bytes become others."""
    changed = bytearray(raw)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def cut(raw: bytes, draw: random.Random) -> bytes:
    """The end is gone."""
    return raw[: _place(raw, draw)]


def drop(raw: bytes, draw: random.Random) -> bytes:
    """A stretch is gone."""
    start = _place(raw, draw)
    return raw[:start] + raw[start + draw.randint(1, 200) :]


def repeat(raw: bytes, draw: random.Random) -> bytes:
    """A stretch stands somewhere else once more."""
    start, there = _place(raw, draw), _place(raw, draw)
    return raw[:there] + raw[start : start + draw.randint(1, 300)] + raw[there:]


def insert(raw: bytes, draw: random.Random) -> bytes:
    """Something dangerous or foreign is put in."""
    words = [
        b"&x;", b"&#0;", b"<!DOCTYPE a [<!ENTITY x 'y'>]>", b"\x00", b"\xff\xfe", b"<", b">", b'"', b"]]>",
        b"<!--", b"<![CDATA[", b"<?xml version='1.0'?>", b"<Annet a='1'/>", b"<Episode/>", b"<Kode/>",
        b"<Tilstand tilstNr='x'>",
        b"<a>" * 100, b" x='" + b"1" * 5_000 + b"'", b"&lt;&amp;", b"<npr:Kode/>", b"\xc3\x28", b"</Episode>",
    ]  # fmt: skip
    there = _place(raw, draw)
    return raw[:there] + draw.choice(words) + raw[there:]


def replaced(raw: bytes, draw: random.Random) -> bytes:
    """An attribute's value becomes another, or a name becomes another."""
    spots = [
        match.span(1)
        for match in re.finditer(rb'"([^"<>]{0,60})"|<([A-Z][A-Za-z]+)', raw)
        if match[1] is not None
    ]
    if not spots:
        return raw
    start, end = draw.choice(spots)
    words = [
        b"",
        b"9999",
        b"-1",
        b"2023-02-31T25:00:00",
        b"\xc3\xa6",
        b"1e400",
        b"NaN",
        b" ",
        b"Z",
        b"&#10;",
        b"A" * 300,
    ]
    return raw[:start] + draw.choice(words) + raw[end:]


def renamed(raw: bytes, draw: random.Random) -> bytes:
    """One name becomes another everywhere: of a tag, an attribute or a namespace."""
    old = draw.choice([
        b"Episode", b"Kode", b"Tilstand", b"Pasient", b"Institusjon", b"Melding", b"Objektholder",
        b"institusjonID", b"pasientNr", b"episodeID", b"kodeVerdi", b"_0_1_", b"xmlstds",
        b"ISO-8859-1", b"UTF-8", b"RefEnhet",
    ])  # fmt: skip
    new = draw.choice([b"Episode", b"Kode", b"X", b"UTF-16", b"_9_", b"Tilstand", b"ukjent", b"UTF-8", b""])
    return raw.replace(old, new)


def swapped(raw: bytes, draw: random.Random) -> bytes:
    """Two tags change places."""
    tags = [match.span() for match in re.finditer(rb"<[^<>]+>", raw)]
    if len(tags) < 2:
        return raw
    first, second = sorted(draw.sample(tags, 2))
    return (
        raw[: first[0]]
        + raw[slice(*second)]
        + raw[first[1] : second[0]]
        + raw[slice(*first)]
        + raw[second[1] :]
    )


MUTATIONS: tuple[Mutation, ...] = (flip, cut, drop, repeat, insert, replaced, renamed, swapped)


def damaged(seed: int) -> bytes:
    """A message with one to three damages, the same for the same seed."""
    draw = random.Random(seed)
    raw = whole(draw)
    for _ in range(draw.randint(1, 3)):
        if raw:
            raw = draw.choice(MUTATIONS)(raw, draw)
    return raw


class Tally:
    """Counts elements by name within messages of versions and modules that are read."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._depth = 0
        self._since: int | None = None
        self._is_read = False

    def start(self, space: str, name: str) -> None:
        """An element begins."""
        self._depth += 1
        told = SPACE.match(space)
        if self._since is None and name == "Melding":
            self._since = self._depth
            self._is_read = told is not None and 53 <= int(told[1]) <= 58 and told[3] in MODULES
            self.counts[name] += 1
        elif self._since is not None and self._is_read:
            self.counts[name] += 1

    def end(self) -> None:
        """An element ends."""
        if self._since == self._depth:
            self._since = None
        self._depth -= 1


def counted(raw: bytes) -> tuple[Counter[str], bool]:
    """How many elements of each name a message holds up to its end or break, and whether it is whole."""
    tally = Tally()
    try:
        parser = etree.XMLPullParser(("start", "end"), resolve_entities=False, no_network=True)
        parser.feed(raw)
        root = parser.close()
        if root.getroottree().docinfo.doctype:
            return counted_to_break(raw)
        for event, element in parser.read_events():
            if event == "start":
                name = etree.QName(element.tag)
                tally.start(name.namespace or "", name.localname)
            else:
                tally.end()
    except (etree.XMLSyntaxError, ValueError, LookupError):
        return counted_to_break(raw)
    return tally.counts, True


class _EndError(Exception):
    """Nothing more is read."""


def counted_to_break(raw: bytes, before: int | None = None) -> tuple[Counter[str], bool]:
    """How many elements begin before expat stops, all bytes given at once, and whether it does not stop.

    Args:
        raw: the message.
        before: elements from this byte on do not count.
    """
    tally = Tally()
    parser = expat.ParserCreate(namespace_separator=" ")

    def refuse(*_: object) -> None:
        raise _EndError

    def start(tag: str, _: object) -> None:
        space, _, name = tag.rpartition(" ")
        if before is None or parser.CurrentByteIndex < before:
            tally.start(space, name)
        else:
            raise _EndError

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: tally.end()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, _EndError, LookupError, ValueError):
        return tally.counts, False
    return tally.counts, True


def judged(raw: bytes, folder: Path) -> Iterator[str]:
    """What is wrong with how the reader takes a message; nothing where all is well."""
    from pipelines.sources.npr.options import NprOptions
    from pipelines.sources.npr.reader import NprReader
    from pipelines.sources.records import InputFile

    path = folder / "message.xml"
    path.write_bytes(raw)
    reader = NprReader(NprOptions())
    told: Counter[str] = Counter()
    n_records = n_told = n_breaks = 0
    too_deep: int | None = None
    started = time.process_time()
    for part in reader.read(InputFile(path, "message.xml", 0)):
        seen = set()
        for name, rows in part.tables.items():
            seen |= {(name.replace("_deleted", "Slett"), row) for row in rows["_row"]}
        for row, table, fate, _, reason, offset in part.fates.iter_rows():
            if fate != "field":
                seen.add((table, row))
            if fate == "rejected" and not reason:
                yield "a reject without a reason"
            if not 0 <= offset <= len(raw):
                yield "a byte position outside the message"
            n_breaks += reason.startswith(("XML:", "document types", "elements are nested", "a tag or"))
            if reason.startswith("elements are nested"):
                too_deep = offset
        told.update(table for table, _ in seen)
        n_told += len(seen)
        n_records += part.n_records
    if time.process_time() - started > MOST_SECONDS:
        yield "took more than a second"
    if n_told != n_records:
        yield "an account that does not close"
    expected, is_whole = counted(raw)
    if n_breaks and (is_whole or too_deep is not None):  # what lxml lets pass and expat does not, and depth
        expected, is_whole = counted_to_break(raw, too_deep)
    wrong = [name for name in COUNTED if expected[name] != told[name]]
    if wrong:
        yield f"other counts than counted: {', '.join(wrong)}"
    if (n_breaks == 1) == is_whole:
        yield "a break that is not told once"


def run(first: int, n_messages: int) -> list[str]:
    """What is wrong with these messages, each named by its seed."""
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + n_messages):
            try:
                faults += [f"{seed}: {fault}" for fault in judged(damaged(seed), Path(folder))]
            except Exception as error:  # noqa: BLE001 - a crash is what is looked for
                faults.append(f"{seed}: {type(error).__name__}: {error}")
    return faults


def run_step(first: int, n_messages: int, kept: Path) -> list[str]:
    """The same, kept in a file, so that what is done is not done again."""
    if not kept.exists():
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(run(first, n_messages)), encoding="utf-8")
        part.replace(kept)
    return [str(fault) for fault in json.loads(kept.read_text("utf-8"))]


def main() -> None:
    from harness import finish

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for what is done; kept")
    parser.add_argument("--messages", type=int, default=N_MESSAGES)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(given.workers) as pool:
        jobs = [
            pool.submit(run_step, first, STEP, given.out / f"{first:06d}.json")
            for first in range(0, given.messages, STEP)
        ]
        faults = [fault for job in jobs for fault in job.result()]
    figures = f"{len(jobs) * STEP:,} damaged messages, {len(faults)} faults {faults[:10]}"
    finish(is_shown=not faults, figures=figures)


if __name__ == "__main__":
    main()
