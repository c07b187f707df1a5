"""Small cells are not shown, nor can they be found by subtraction.

**Source:** counts from 1 to 4 are suppressed, the threshold that health registries use for publication;
secondary suppression after Hundepool et al., Statistical Disclosure Control (2012), chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from phenotype.explain.wording import count_words

MIN_CELL = 5
"""The smallest count but zero that is shown."""

HIDDEN = "hidden"
"""What stands where a count is large enough itself and would betray a small one."""


def is_small(count: int) -> bool:
    """Whether a count points at too few patients to be shown."""
    return 0 < count < MIN_CELL


def shown_count(count: int) -> str:
    """A count, or "< 5" where it is small."""
    return f"< {MIN_CELL}" if is_small(count) else count_words(count)


def hidden_parts(counts: Sequence[int]) -> list[bool]:
    """Which parts of a known total must be hidden.

    Args:
        counts: the parts of a total that is shown.

    Returns:
        True for every small part; where that leaves one part alone, which subtraction would find, also for
        the smallest of the others that is not zero.
    """
    hidden = [is_small(count) for count in counts]
    others = [place for place, count in enumerate(counts) if not hidden[place] and count > 0]
    if sum(hidden) == 1 and others:
        hidden[min(others, key=lambda place: counts[place])] = True
    return hidden
