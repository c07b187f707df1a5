"""The memory of buffers that come and go by the megabyte, kept by the process between one and the next."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""**Source:** glibc, malloc.h: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)."""
LARGEST_KEPT = 1 << 30


def keep_freed_memory() -> None:
    """Let the C library keep large blocks that are freed, where it is glibc; nothing elsewhere.

    It would else give each back to the system and ask for it anew, every page of it cleared: an eighth of the
    time of reading large files block by block.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, LARGEST_KEPT)
