"""The shipped value sets as Markdown: what each means, where it comes from, who should check what."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ontology.marked_yaml import read_marked, validate_marked
from ontology.valuesets.text import CRITERIA, Family, Group, Rule, Rules, SetText

_SHOWN = 12
"""So many codes, patterns or texts of a set are shown; the file has them all."""
_WORDS = {"under": "under ", "codes": "", "pattern": "like ", "text": "text ", "value_set": "value set "}


def valueset_document() -> str:
    """All shipped value sets as Markdown sections, in the order of their names."""
    folder = Path(str(resources.files("configs") / "valuesets"))
    sections: list[str] = []
    for file in sorted(folder.glob("*.yaml")):
        marked = read_marked(file)
        if "groups" in marked.content:
            sections.append(_family(validate_marked(Family, marked)))
        elif "include" in marked.content:
            sections.append(_set(validate_marked(SetText, marked)))
    return "\n".join(sections)


def _set(text: SetText) -> str:
    lines = [*_heading(text), *_origin(text), f"- Holds: {_rules(text)}", ""]
    return "\n".join(lines)


def _family(text: Family) -> str:
    facts = [f"- Groups: {len([group for group in text.groups.values() if not group.is_auxiliary])}"]
    weightings = _weightings(text)
    if weightings:
        facts.append(f"- Weights, in this order: {', '.join(weightings)}; the first where none is named")
    if text.look_back_days is not None:
        facts.append(f"- Looks back {text.look_back_days} days unless told otherwise")
    if text.bands:
        bands = (f"{name} {_band(band.model_dump(exclude_none=True))}" for name, band in text.bands.items())
        facts.append(f"- Bands: {'; '.join(bands)}")
    rows = [_row(name, group, weightings) for name, group in text.groups.items()]
    table = ["", "| group | means | weight | holds |", "|---|---|---|---|", *rows, ""]
    return "\n".join([*_heading(text), *_origin(text), *facts, *table])


def _heading(text: SetText | Family) -> list[str]:
    return [f"### {text.name}", "", f"{text.title}. Version {text.version}.", ""]


def _origin(text: SetText | Family) -> list[str]:
    return [*(f"- Source: {source.strip()}" for source in text.sources), f"- Review: {text.review.strip()}"]


def _weightings(text: Family) -> list[str]:
    """The names of the family's weights, its own choice first."""
    there = next(group.weights for group in text.groups.values() if not group.is_auxiliary)
    return sorted(there, key=lambda name: (name != text.weighting, name))


def _row(name: str, group: Group, weightings: list[str]) -> str:
    weights = " / ".join(f"{group.weights[each]:g}" for each in weightings if each in group.weights)
    means = group.title
    if group.unit:
        means += f" ({group.unit})"
    if group.hides:
        means += f"; hides {', '.join(group.hides)}"
    if group.seen_with:
        means += f"; also seen where {' and '.join(group.seen_with)} are"
    if group.is_auxiliary:
        means += "; not counted itself"
    return f"| {name} | {means} | {weights} | {_rules(group).replace('|', chr(92) + '|')} |"


def _rules(rules: Rules) -> str:
    kept = [entry for rule in rules.include for entry in _entries(rule)]
    text = ", ".join(kept[:_SHOWN]) + (f" and {len(kept) - _SHOWN} more" if len(kept) > _SHOWN else "")
    left_out = [entry for rule in rules.exclude for entry in _entries(rule)]
    return f"{text}; without {', '.join(left_out)}" if left_out else text


def _entries(rule: Rule) -> list[str]:
    """What a rule names, the first with the criterion's name, the last with the years."""
    (kind,) = (name for name in CRITERIA if getattr(rule, name))
    entries = [f"`{entry}`" for entry in getattr(rule, kind)]
    years = [f"from {rule.from_year}" if rule.from_year else "", f"to {rule.to_year}" if rule.to_year else ""]
    entries[0] = f"{_WORDS[kind]}{entries[0]}"
    entries[-1] = " ".join(part for part in (entries[-1], *years) if part)
    return entries


def _band(bounds: dict[str, float]) -> str:
    return " and ".join(f"{name.replace('_', ' ')} {bound:g}" for name, bound in bounds.items())
