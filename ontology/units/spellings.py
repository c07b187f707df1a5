"""Units as hospitals write them, brought to UCUM: x10^9/L, 10⁹/L, E9/L, K/uL, mcg/mL, MG/DL, mm(hg)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from html import unescape

from pydantic import BaseModel, ConfigDict

from ontology.configuration import find_config, read_yaml, validate

_SUPERSCRIPT_POWER = re.compile("10\\s*([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_BRACKETED_POWER = re.compile(r"10\s*\(\s*(\d{1,2})\s*\)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SIGNS = str.maketrans({"µ": "u", "μ": "u", "°": "deg", "º": "deg", "×": "x", "·": ".", "∙": "."})
_POWER = re.compile(r"x?\s*(?:10(?:\s*(?:\^|\*\*?|e\+?)\s*|\s+)|e\+?)(-?\d{1,2})(?=$|/|\s|\.)", re.IGNORECASE)
_ANNOTATION = re.compile(r"\{[^{}]*\}")


class Spellings(BaseModel):
    """Spellings, case folded and without spaces, and their UCUM units.

    Attributes:
        whole: whole units.
        words: the words between the slashes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    version: str
    source: str
    whole: dict[str, str]
    words: dict[str, str]


@lru_cache(maxsize=1)
def load_spellings() -> Spellings:
    """The shipped spellings.

    Raises:
        ConfigurationError: the file does not fit.
    """
    path = find_config("units", "spellings")
    return validate(Spellings, read_yaml(path), where=str(path))


@lru_cache(maxsize=4096)
def to_ucum(spelling: str) -> str:
    """The UCUM unit that a spelling stands for; what is not known comes back as it is, less its annotations.

    A unit of which every word is known is taken for what hospitals mean by it, so `MG/DL` is mg/dL, and no
    unit of megagauss. Whether the rest is UCUM at all is for the parser to say.

    Args:
        spelling: any text; case, spaces, superscripts and either sign for micro do not matter.

    Returns:
        A UCUM unit, "1" for a unit that only annotates.

    **Source:** configs/units/spellings.yaml; UCUM 2.2, https://ucum.org/ucum.
    """
    plain = _ANNOTATION.sub("", _plain_signs(spelling)).strip().rstrip("/.")
    if not plain:
        return "1"
    known = load_spellings()
    folded = re.sub(r"\s+", "", plain).casefold()
    return known.whole.get(folded) or _by_words(plain, known.words) or plain


def _by_words(plain: str, words: Mapping[str, str]) -> str | None:
    """A power of ten and known words with slashes between; None where a word is not known."""
    power = _POWER.match(plain)
    rest = re.sub(r"\s+", "", plain[power.end() :] if power else plain).removeprefix(".")
    parts = [words.get(part.casefold()) if part else "1" for part in rest.split("/")]
    if None in parts:
        return None
    above = [part for part in (f"10*{power[1]}" if power else "1", parts[0]) if part and part != "1"]
    below = [part for part in parts[1:] if part]
    return "/".join([".".join(above) or ("" if below else "1"), *below])


def _plain_signs(spelling: str) -> str:
    """One form of superscripts, of the signs for micro and degree, and of what HTML makes of them."""
    powers = _SUPERSCRIPT_POWER.sub(
        lambda found: f"10*{found[1].translate(_SUPERSCRIPTS)}", unescape(spelling)
    )
    return _BRACKETED_POWER.sub(r"10*\1", powers.translate(_SUPERSCRIPTS).translate(_SIGNS))
