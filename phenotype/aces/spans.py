"""Spans of time as ACES files write them: `24h`, `30 days`, `1 day, 12:00:00`, `1.5 hours`, `90:00`."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_UNITS = {
    604_800: ("w", "wk", "wks", "week", "weeks"),
    86_400: ("d", "dy", "dys", "day", "days"),
    3_600: ("h", "hr", "hrs", "hour", "hours"),
    60: ("m", "min", "mins", "minute", "minutes"),
    1: ("s", "sec", "secs", "second", "seconds"),
}
_SECONDS_OF = {word: seconds for seconds, words in _UNITS.items() for word in words}
_AMOUNT = re.compile(r"([\d.]+)\s*([a-z]+)\s*(?:[,/]\s*)?")
_CLOCK = re.compile(r"(?:(?:(?:(\d+)[:-])?(\d+):)?(\d{1,2}))?:(\d{2}(?:\.\d+)?)")
"""Days, hours, minutes and seconds; what stands on the left may be missing."""


def span_seconds(text: str) -> float | None:
    """The seconds of a span without a sign; None where the text is no span.

    A month or a year is no span: its length depends on the date. "m" is minutes. Without a fraction of a
    second the sum is cut to whole seconds, as ACES' own reader does.

    **Source:** the forms that pytimeparse 1.1.10 documents, which ACES reads spans with.
    """
    rest = text.strip().lower()
    amounts: list[tuple[int, Decimal]] = []
    try:
        while (found := _AMOUNT.match(rest)) and found.group(2) in _SECONDS_OF:
            amounts.append((_SECONDS_OF[found.group(2)], Decimal(found.group(1))))
            rest = rest[found.end() :]
    except InvalidOperation:
        return None
    units = [unit for unit, _ in amounts]
    if 1 in units and text.rstrip()[-1] in ",/":
        return None
    if units != sorted(set(units), reverse=True):
        return None
    if rest:
        clock = _clock(rest)
        if clock is None or (units and (min(units) < _DAY or len(clock) != 3)):
            return None
        amounts += clock
    if not amounts:
        return None
    total = sum((unit * amount for unit, amount in amounts), Decimal(0))
    has_fraction = any(unit == 1 and amount % 1 for unit, amount in amounts)
    return float(total) if has_fraction else float(int(total))


_DAY = 86_400


def _clock(text: str) -> list[tuple[int, Decimal]] | None:
    """`d:hh:mm:ss`, `h:mm:ss`, `m:ss` or `:ss` as amounts of seconds."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    days, hours, minutes, _ = found.groups()
    if (days is not None and len(hours) != 2) or (hours is not None and len(minutes) != 2):
        return None
    parts = zip((_DAY, 3_600, 60, 1), found.groups(), strict=True)
    return [(unit, Decimal(value)) for unit, value in parts if value is not None]
