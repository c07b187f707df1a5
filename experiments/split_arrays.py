"""Splits as published work ships them: arrays of row numbers that train, tune and test, in three forms.

Nothing is unpickled: a .npy file of Python objects could run whatever its maker wished, and is refused with
the line that makes it plain.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ontology.errors import ConfigurationError, InputError, Problem

Rows = npt.NDArray[np.int64]
ARRAY_FORMS = (".npz", ".npy", ".json")
ROLES = ("train", "tuning", "held_out")
_WORDS = {
    "train": "train training tr",
    "tuning": "tuning tune val valid validation dev",
    "held_out": "held_out heldout test testing te",
}
_ROLE_OF = {word: role for role, words in _WORDS.items() for word in words.split()}
_FILLERS = re.compile(r"^(?:idx|ids?|index|indices|inds?|rows)_|_(?:idx|ids?|index|indices|inds?|rows)$")
_BEGINNINGS = (b"\x93NUMPY", b"PK")
_NUMBERED = re.compile(r"^arr_(\d+)$")
_ALLOWED = "arrays named train, val (or tuning) and test (or held_out); or two or three in this order"


def read_arrays(path: Path) -> list[dict[str, Rows]]:
    """The arrays of a file, by fold.

    Args:
        path: .npz with an array a split, .npy with an array (3, n) of numbers, or .json with an object or a
            list of lists, or a list of such objects: a fold each.

    Returns:
        For each fold, split name (train, held_out and perhaps tuning) -> row numbers from 0, unique,
        no row in two splits.

    Raises:
        InputError: no such file, or one that is broken.
        ConfigurationError: arrays of objects, of other than row numbers, without a name, or that share rows.
    """
    try:
        given = _READERS[path.suffix.lower()](path)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            Problem("the split file cannot be read", str(path), type(error).__name__, _ALLOWED)
        ) from error
    return [_checked(fold, path, number) for number, fold in enumerate(given)]


def _read_npy(path: Path) -> list[object]:
    with _plain(path) as file:
        return [np.load(file, allow_pickle=False)]


def _read_npz(path: Path) -> list[object]:
    with _plain(path) as file, np.load(file, allow_pickle=False) as archive:
        return [{name: archive[name] for name in archive.files}]


@contextmanager
def _plain(path: Path) -> Iterator[BinaryIO]:
    """A file of numpy's, open; what numpy will not read of it without unpickling is told.

    Raises:
        ConfigurationError: there are Python objects in the file.
        InputError: it is no file of numpy's.
    """
    with path.open("rb") as file:
        is_numpys = file.read(6).startswith(_BEGINNINGS)
        file.seek(0)
        try:
            yield file
        except ValueError as error:
            if not is_numpys or "allow_pickle" not in str(error):
                raise InputError(
                    Problem("the split file cannot be read", str(path), "no whole file of numpy's", _ALLOWED)
                ) from error
            raise ConfigurationError(
                Problem(
                    "this split file holds Python objects, which are not unpickled: they could run any code",
                    where=str(path),
                    found="a pickled array, as numpy makes it of arrays of unequal length",
                    allowed=_ALLOWED,
                    next_step='if you trust its maker, write it anew: python -c "import numpy; a, b, c = '
                    f"numpy.load('{path.name}', allow_pickle=True); "
                    f"numpy.savez('{path.stem}.npz', train=a, val=b, test=c)\"",
                )
            ) from error


def _read_json(path: Path) -> list[object]:
    given = json.loads(path.read_text("utf-8"))
    is_many = isinstance(given, list) and bool(given) and all(isinstance(one, dict) for one in given)
    return list(given) if is_many else [given]


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".json": _read_json}


def _checked(given: object, path: Path, fold: int) -> dict[str, Rows]:
    where = f"{path}: fold {fold}"
    named = _named(given, where)
    problems: list[Problem] = []
    arrays: dict[str, Rows] = {}
    for role, values in named.items():
        found = _row_numbers(values)
        if isinstance(found, str):
            problems.append(
                Problem(f"{role} is no list of row numbers", where, found, "whole numbers from 0, each once")
            )
        else:
            arrays[role] = found
    roles = list(arrays)
    for number, one in enumerate(roles):
        for other in roles[number + 1 :]:
            n_shared = np.intersect1d(arrays[one], arrays[other]).size
            if n_shared:
                problems.append(
                    Problem(
                        f"{one} and {other} share rows", where, f"{n_shared} rows", "each row in one split"
                    )
                )
    if problems:
        raise ConfigurationError(problems)
    return arrays


def _named(given: object, where: str) -> dict[str, object]:
    """Split name -> what the file gives for it.

    Raises:
        ConfigurationError: names that say nothing, two arrays of one split, or none to train or to test on.
    """
    if isinstance(given, Mapping):
        numbers = [_NUMBERED.match(str(name)) for name in given]
        if given and all(numbers):
            ordered = sorted(given, key=lambda name: int(str(name).removeprefix("arr_")))
            return _by_order([given[name] for name in ordered], where)
        roles = {name: _role_of(str(name)) for name in given}
        found: dict[str, object] = {role: given[name] for name, role in roles.items() if role}
        if len(found) == len(given) and {"train", "held_out"} <= set(found):
            return {role: found[role] for role in ROLES if role in found}
        raise _unnamed(where, ", ".join(map(str, given))[:80] or "nothing")
    if isinstance(given, np.ndarray) and given.ndim == 2:
        return _by_order(list(given), where)
    if isinstance(given, list) and all(isinstance(one, list) for one in given):
        return _by_order(given, where)
    raise _unnamed(
        where, f"an array of shape {given.shape}" if isinstance(given, np.ndarray) else "no arrays"
    )


def _by_order(arrays: Sequence[object], where: str) -> dict[str, object]:
    roles = {2: ("train", "held_out"), 3: ROLES}.get(len(arrays))
    if roles is None:
        raise _unnamed(where, f"{len(arrays)} arrays without a name")
    return dict(zip(roles, arrays, strict=True))


def _unnamed(where: str, found: str) -> ConfigurationError:
    return ConfigurationError(Problem("which array is which split cannot be told", where, found, _ALLOWED))


def _role_of(name: str) -> str | None:
    plain = name.lower().replace("-", "_")
    return _ROLE_OF.get(plain) or _ROLE_OF.get(_FILLERS.sub("", plain))


def _row_numbers(values: object) -> Rows | str:
    """Row numbers, or what is wrong with them."""
    try:
        array = np.asarray(values)
    except ValueError:
        return "lists within lists"
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1:
        return f"an array of shape {array.shape}"
    if array.dtype == np.bool_:
        return "a mask of true and false: numpy.flatnonzero makes row numbers of it"
    is_number = array.dtype.kind in "iuf" and bool(np.isfinite(array).all())
    if not is_number or not np.array_equal(array, np.floor(array)):
        return "other than whole numbers"
    rows = array.astype(np.int64)
    if rows.size and rows.min() < 0:
        return "numbers below 0"
    n_twice = rows.size - np.unique(rows).size
    return f"{n_twice} rows twice" if n_twice else rows
