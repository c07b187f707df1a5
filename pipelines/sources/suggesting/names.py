"""What a column's name says of its role, and how sure it is: the lists of configs/suggesting/names.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ontology.configuration import find_config, read_yaml

SURENESS = {"sure": 3, "likely": 2, "guess": 1}
WORDS = {3: "sure", 2: "likely", 1: "a guess"}
_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "å": "a", "ö": "o", "ä": "ae", "é": "e"})


@dataclass(frozen=True)
class NameLists:
    """The lists: by role, patterns with how sure each is; and what values of well known columns mean."""

    roles: Mapping[str, tuple[tuple[int, re.Pattern[str]], ...]]
    meanings: Mapping[str, Mapping[Any, str]]


@cache
def name_lists() -> NameLists:
    """The shipped lists."""
    content = read_yaml(find_config("suggesting", "names"))
    roles = {
        role: tuple(
            (SURENESS[word], re.compile(pattern)) for word, patterns in levels.items() for pattern in patterns
        )
        for role, levels in content.pop("roles").items()
    }
    return NameLists(roles, content)


def compact(name: str) -> str:
    """A name in small letters, nothing but letters and digits: innDatoTid, INN_DATO_TID -> inndatotid."""
    return re.sub(r"[^a-z0-9]", "", name.lower().translate(_LETTERS))


def roles_of(name: str) -> dict[str, int]:
    """The roles that a name speaks for, each with 3 (sure), 2 (likely) or 1 (a guess)."""
    plain = compact(name)
    found = {
        role: max((sure for sure, pattern in patterns if pattern.fullmatch(plain)), default=0)
        for role, patterns in name_lists().roles.items()
    }
    return {role: sure for role, sure in found.items() if sure}
