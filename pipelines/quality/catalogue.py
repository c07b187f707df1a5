"""The generated parts of docs/quality.md: columns of conditions, kinds of rules, and every shipped check.

`python -m pipelines.quality.catalogue docs/quality.md` writes them anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from ontology.configuration import find_config, read_yaml
from pipelines.quality.conditions import COLUMNS
from pipelines.quality.model import Check, CheckFile, shipped_files
from pipelines.quality.rules import Condition, Rule
from pipelines.quality.wording import share_words

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_catalogue(page: str) -> str:
    """A page whose generated parts say what is shipped now."""
    parts = {"columns": _columns, "rules": _rules, "checks": _checks}

    def filled(found: re.Match[str]) -> str:
        """One generated part between its marks."""
        lines = "\n".join(parts[found[2]]())
        return f"{found[1]}\n{lines}\n\n{found[3]}"

    return _PART.sub(filled, page)


def _columns() -> Iterator[str]:
    """The columns that a condition may name, table by table."""
    yield "| table | columns |"
    yield "|---|---|"
    for table, schema in COLUMNS.items():
        yield f"| {table} | {', '.join(f'`{name}`' for name in schema)} |"


def _rules() -> Iterator[str]:
    """Each kind of rule but conditions, with its keys."""
    yield "| type | what it looks at, or what is wrong | keys |"
    yield "|---|---|---|"
    for kind in get_args(Rule):
        if kind is Condition:
            continue
        (name,) = get_args(kind.model_fields["type"].annotation)
        keys = ", ".join(f"`{key}`" for key in kind.model_fields if key != "type")
        said = str(kind.__doc__).split("\n\n", maxsplit=1)[0]
        yield f"| `{name}` | {' '.join(said.split())} | {keys} |"


def _checks() -> Iterator[str]:
    """Each file with its checks."""
    for name in shipped_files():
        path = find_config("quality", name)
        file = CheckFile.model_validate(read_yaml(path))
        yield f"### {file.name}: {file.title}"
        yield ""
        yield "| check | counts | why | category, level, severity | at most | source |"
        yield "|---|---|---|---|---|---|"
        for check in file.checks:
            yield _row(check)
        yield ""


def _row(check: Check) -> str:
    limit = "only shown" if check.threshold is None else share_words(check.threshold)
    place = f"{check.category}, {check.level}, {check.severity}"
    cells = (f"`{check.id}`", check.title, check.why, place, limit, check.source)
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"


def main() -> None:
    """Write the generated parts of a page anew."""
    page = Path(sys.argv[1])
    page.write_text(with_catalogue(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
