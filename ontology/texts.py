"""Of the texts that one concept has had, in several languages and over the years, the one that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple


class Text(NamedTuple):
    """What a concept was called over one span of days.

    Attributes:
        label: the text.
        language: as the list says, None where it does not.
        valid_from, valid_to: both inclusive; None is open or not told.
    """

    label: str
    language: str | None
    valid_from: date | None
    valid_to: date | None


def chosen(texts: Sequence[Text], languages: Sequence[str], on: date | None) -> Text | None:
    """The text of the first language that there is, valid on the day, else the latest.

    Args:
        texts: of one concept.
        languages: in order of preference; regions do not matter ("nb" is "nb-NO").
        on: the day; None = the latest text.
    """

    def rank(text: Text) -> tuple[object, ...]:
        """Language wanted first, then valid on the day, then the latest."""
        place = next(
            (n for n, wanted in enumerate(languages) if is_language(text.language, wanted)), len(languages)
        )
        first, last = text.valid_from or date.min, text.valid_to or date.max
        is_valid = on is not None and first <= on <= last
        return place, not is_valid, -last.toordinal(), -first.toordinal(), text.language or "", text.label

    return min(texts, key=rank) if texts else None


def is_language(language: str | None, wanted: str) -> bool:
    """Whether a language is the wanted one, whatever the region."""
    return language is not None and _bare(language) == _bare(wanted)


def _bare(language: str) -> str:
    return language.casefold().replace("_", "-").split("-")[0]
