"""One JSON text as sent becomes a value, or a fixed reason why it cannot."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

BLANK = "blank line"
BROKEN = "broken JSON"
CUT_OFF = "cut off: the JSON ends before it is whole"
NOT_UTF8 = "not UTF-8"
TOO_DEEP = "nested too deeply"
TOO_LARGE = "record larger than allowed"
TWO_VALUES = "an element stands twice"
KEY_END = b'":'
_SPACED_KEY_END = re.compile(rb'"[ \t\r\n]+:')
_HIDING = (b"\\u0022", b"\\u003a", b"\\u003A")
"""A quotation mark and a colon as escapes: written anew, texts with them may look like the end of a key."""


class UnreadableJsonError(ValueError):
    """A text that is no JSON value; its text is a fixed reason."""


@contextmanager
def paused_collection() -> Iterator[None]:
    """No search for cycles meanwhile: parsed JSON has none, and among millions of objects it is dear."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def parsed(raw: bytes, *, is_last: bool = False) -> Any:
    """The value of one text.

    Args:
        raw: the text.
        is_last: whether it stands at the end of its file without a line feed, so that it may be cut off.

    Raises:
        UnreadableJsonError: with the reason: broken, cut off, not UTF-8, too deep, an element twice.
    """
    value = _loaded(raw, is_last=is_last)
    try:
        n_keys = orjson.dumps(value).count(KEY_END)
    except TypeError:  # orjson writes 254 levels, and reads 1,024
        raise UnreadableJsonError(TOO_DEEP) from None
    if n_keys != _n_keys(raw) or _may_hide(raw):
        _refuse_twice(raw)
    return value


def _n_keys(raw: bytes) -> int:
    """How many keys a text has, and words within its texts that look like the end of one."""
    return raw.count(KEY_END) + len(_SPACED_KEY_END.findall(raw))


def _may_hide(raw: bytes) -> bool:
    """Whether the keys that are counted in what is written anew may be words within texts."""
    return b"\\" in raw and any(escape in raw for escape in _HIDING)


def _loaded(raw: bytes, *, is_last: bool) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        told = str(error)
    if "UTF-8" in told and not _is_utf8(raw):
        raise UnreadableJsonError(NOT_UTF8)
    if "depth" in told or "ecursion" in told:
        raise UnreadableJsonError(TOO_DEEP)
    raise UnreadableJsonError(CUT_OFF if is_last else BROKEN)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _refuse_twice(raw: bytes) -> None:
    """Look closely at a text that seems to name an element twice.

    Raises:
        UnreadableJsonError: it does; no reader knows which of the two is meant.
    """
    try:
        value = json.loads(raw, object_pairs_hook=_checked)
    except RecursionError:
        raise UnreadableJsonError(TOO_DEEP) from None
    if _is_twice(value):
        raise UnreadableJsonError(TWO_VALUES)


def _checked(pairs: list[tuple[str, Any]]) -> object:
    """An object; the mark of one that names an element twice, or has such a one in it."""
    named = dict(pairs)
    is_twice = len(named) < len(pairs) or any(map(_is_twice, named.values()))
    return _TWICE if is_twice else named


_TWICE = object()


def _is_twice(value: object) -> bool:
    return value is _TWICE or (isinstance(value, list) and any(map(_is_twice, value)))


def all_parsed(raws: Sequence[bytes], content: bytes) -> list[Any] | None:
    """The values of many texts at once; None where any of them is not right.

    Args:
        raws: the texts.
        content: all of them in one text, whatever parts them.
    """
    try:
        values = [orjson.loads(raw) for raw in raws]
        is_once = orjson.dumps(values).count(KEY_END) == _n_keys(content) and not _may_hide(content)
    except (orjson.JSONDecodeError, TypeError):
        return None
    return values if is_once else None
