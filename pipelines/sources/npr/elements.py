"""The elements of an NPR-melding: which stands in which, what is read of it, and what must be there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

NAMESPACE = re.compile(r"^http://www\.npr\.no/xmlstds/(\d{1,3})((?:_\d{1,3}){1,3})_([a-z]{1,10})$")
"""Version and module of a message, as in http://www.npr.no/xmlstds/57_0_1_ord."""
FIRST_VERSION, LAST_VERSION = 53, 58
MODULES = frozenset({"ord", "ide", "str", "kpp"})


@dataclass(frozen=True)
class Element:
    """One kind of element at one place.

    Attributes:
        name: its local name.
        attributes: those that are read.
        parts: the elements that it may hold.
        required: attributes without which nothing can be made of it.
        expected: attributes that a message must give, too; without them the record stands.
        is_container: whether it holds records of many patients, or all records of one: it is not waited for.
        is_record: whether the account counts it; otherwise it is a part of the record that it stands in.
        ignored: why it becomes no row; None where it does.
        store: what it is called here; the name, but for elements that may stand in several.
    """

    name: str
    attributes: tuple[str, ...] = ()
    parts: tuple[Element, ...] = ()
    required: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    is_container: bool = False
    is_record: bool = True
    ignored: str | None = None
    store: str = ""

    @property
    def key(self) -> str:
        """What it is called here."""
        return self.store or self.name


IN_ITS_RECORDS = "told in the rows of what it holds"
TAKES_BACK = "takes an episode back"
STAFF = "people at the hospital are not kept"
EQUIPMENT = "equipment is not kept"


def _kode(store: str) -> Element:
    return Element(
        "Kode",
        ("kodeNr", "Kodeverk", "kodeVersjon", "kodeVerdi"),
        required=("Kodeverk", "kodeVerdi"),
        expected=("kodeNr", "kodeVersjon"),
        is_record=False,
        store=store,
    )


def _helseperson(store: str, *, ignored: str | None = None) -> Element:
    return Element("Helseperson", ("polUtforende", "spesialist", "rolle"), ignored=ignored, store=store)


_EPISODE = Element(
    "Episode",
    (
        *("episodeID", "episodeGUID", "henvisningsperiodeID", "innDatoTid", "utDatoTid", "omsorgsniva"),
        *("innmateHast", "inntilstand", "utTilstand", "fraSted", "tilSted", "debitor", "komNrHjem"),
        "fagomrade",
    ),
    (
        Element(
            "Kontakt",
            ("kontaktType", "stedAktivitet", "polIndir"),
            (_helseperson("KontaktHelseperson"),),
            expected=("kontaktType", "stedAktivitet"),
        ),
        Element("RefEnhet", ("enhetID", "typeEnhet"), expected=("enhetID", "typeEnhet"), is_record=False),
        Element("Tilstand", ("tilstNr",), (_kode("TilstandKode"),), expected=("tilstNr",)),
        Element(
            "Tjeneste",
            ("startDatoTid",),
            (
                Element(
                    "Tiltak",
                    ("typeTiltak", "startDatoTid"),
                    (
                        Element(
                            "Prosedyre",
                            ("prosNr", "tilstNr"),
                            (_kode("ProsedyreKode"),),
                            expected=("prosNr",),
                        ),
                        _helseperson("TiltakHelseperson", ignored=STAFF),
                    ),
                    is_record=False,
                ),
            ),
            is_record=False,
        ),
    ),
    required=("episodeID",),
    expected=("innDatoTid", "omsorgsniva", "innmateHast", "inntilstand", "debitor", "komNrHjem"),
)
_STRAALING = Element(
    "MedisinskStraling",
    ("medisinskStralingID",),
    (
        Element(
            "Behandlingsserie",
            ("serieID", "intensjon", "nyPasient", "datoForste"),
            (
                Element(
                    "ApparatFremmote",
                    ("episodeID",),
                    (Element("Dosebidrag", ("referansevolumID", "planDose", "gittDose")),),
                    is_record=False,
                ),
            ),
        ),
        Element("Referansevolum", ("referansevolumID", "regionkode", "planlagtTotalDose")),
    ),
    ignored=IN_ITS_RECORDS,
)
_KPP = Element(
    "EpisodeKPP",
    ("episodeID", "drg", "total"),
    (Element("TjenesteKPP", ("kostnadKode", "kostnad"), required=("kostnadKode", "kostnad")),),
    required=("episodeID",),
)
_OBJEKTHOLDER = Element(
    "Objektholder",
    ("pasientNr", "pasientGUID"),
    (
        Element("Pasient", ("kjonn", "fodselsar", "fodselsvekt"), expected=("kjonn", "fodselsar")),
        _EPISODE,
        _STRAALING,
        _KPP,
    ),
    expected=("pasientNr",),
    is_container=True,
)
_ENHET = Element(
    "Enhet",
    ("enhetID", "enhetLokal", "reshID"),
    (
        Element(
            "Utstyr", (), (Element("Utstyrsegenskaper", is_record=False),), is_record=True, ignored=EQUIPMENT
        ),
    ),
    required=("enhetID",),
    ignored=IN_ITS_RECORDS,
)
MELDING = Element(
    "Melding",
    (
        *("meldingstype", "fraDatoPeriode", "tilDatoPeriode", "uttakDato", "uttakTidspunkt", "lopenr"),
        *("modul", "versjon"),
    ),
    (
        Element("Kontaktperson", ignored=STAFF),
        Element(
            "Institusjon",
            ("institusjonID",),
            (
                _ENHET,
                Element("Slett", ("episodeID",), required=("episodeID",), ignored=TAKES_BACK),
                _OBJEKTHOLDER,
                Element("PasientIdent", ("pid", "fid", "typeID"), required=("pid", "fid")),
            ),
            required=("institusjonID",),
            is_container=True,
            ignored=IN_ITS_RECORDS,
        ),
    ),
    expected=("meldingstype", "fraDatoPeriode", "tilDatoPeriode", "uttakDato", "lopenr"),
    is_container=True,
    ignored=IN_ITS_RECORDS,
)
"""All modules together: a message of one holds what that module has.

**Source:** NORPREG/wrangleNPR's models of 57.0.1 (`str`, `ide`); the kpp schemas 53.1.3, 56.0.1 and 58.0.1 of
folkehelseinstituttet/KppParser. `ord` is taken to share them (docs/npr.md says what is assumed).
"""

OTHER_NAMES = {"Kodeverk": "kodeverk"}
"""Attributes that are also taken under another name where the first is absent."""


def _walked(element: Element, parent: str) -> Iterator[tuple[Element, str]]:
    yield element, parent
    for part in element.parts:
        yield from _walked(part, element.key)


PLACES = tuple(_walked(MELDING, ""))
ELEMENTS = {element.key: element for element, _ in PLACES}
"""By store, those that hold before those that are held."""
PARENTS = {element.key: parent for element, parent in PLACES}
RECORD_NAMES = frozenset(element.name for element in ELEMENTS.values() if element.is_record)
PART_NAMES = frozenset(element.name for element in ELEMENTS.values() if not element.is_record)


def record_of(store: str) -> str:
    """The store of the record that an element is, or is a part of."""
    while not ELEMENTS[store].is_record:
        store = PARENTS[store]
    return store
