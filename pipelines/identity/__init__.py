"""Identity: keys, keyed pseudonyms, national numbers, date shift, and the gate that no number passes."""

from __future__ import annotations

from pipelines.identity.keys import default_key_path, fingerprint, load_or_make_key
from pipelines.identity.person_numbers import birth_dates, person_key, person_keys
from pipelines.identity.pseudonyms import Pseudonyms

__all__ = [
    "Pseudonyms",
    "birth_dates",
    "default_key_path",
    "fingerprint",
    "load_or_make_key",
    "person_key",
    "person_keys",
]
