"""What all tests share: a busy machine makes no example of a law too slow."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("pesta", deadline=None)
settings.load_profile("pesta")
