"""What the first page of an audit says of codes beside phenotypes that data show; no small counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from phenotype.report.suppression import HIDDEN, is_small, shown_count
from phenotype.task_parts import Frozen

EVERY = "all"
"""Stands for all units or years in the table of agreement."""
_CELLS = ("both", "phenotype_only", "coded_only")


class AgreementLine(Frozen):
    """One unit over all years, or one year over all units; figures of few patients are not told."""

    where: str
    n: str
    both: str
    phenotype_only: str
    coded_only: str
    sensitivity: str
    ppv: str
    kappa: str


class AgreementTable(Frozen):
    """One pair of codes and phenotype."""

    title: str
    not_judgeable: str
    lines: tuple[AgreementLine, ...]


def agreement_tables(table: pl.DataFrame, titles: Mapping[str, str]) -> tuple[AgreementTable, ...]:
    """The tables of all pairs that could be judged anywhere, in the order of their names.

    Args:
        table: columns of `phenotype.coding.rates.agreement.AGREEMENT`.
        titles: pair -> what it is called.
    """
    found = []
    for (pair,), rows in table.sort("pair", "unit_id", "period").group_by("pair", maintain_order=True):
        whole = rows.filter(unit_id=EVERY, period=EVERY).to_dicts()
        units = rows.filter(pl.col("unit_id") != EVERY, pl.col("period") == EVERY).to_dicts()
        years = rows.filter(pl.col("unit_id") == EVERY, pl.col("period") != EVERY).to_dicts()
        if not whole or not whole[0]["n"]:
            continue
        lines = [*_lines(whole, EVERY), *_lines(units, "unit_id"), *_lines(years, "period")]
        found.append(
            AgreementTable(
                title=titles.get(str(pair), str(pair)),
                not_judgeable=shown_count(int(whole[0]["not_judgeable"])),
                lines=tuple(lines),
            )
        )
    return tuple(found)


def _lines(rows: Sequence[Mapping[str, Any]], name: str) -> list[AgreementLine]:
    """The rows of one division of all stays; where one alone would be hidden, so is the smallest other."""
    hidden = [any(is_small(int(row[cell])) for cell in _CELLS) for row in rows]
    others = [place for place, is_hidden in enumerate(hidden) if not is_hidden]
    if sum(hidden) == 1 and others:
        hidden[min(others, key=lambda place: sum(rows[place][cell] for cell in _CELLS))] = True
    return [_line(row, name, is_hidden=is_hidden) for row, is_hidden in zip(rows, hidden, strict=True)]


def _line(row: Mapping[str, Any], name: str, *, is_hidden: bool) -> AgreementLine:
    cells = {cell: HIDDEN if is_hidden else shown_count(int(row[cell])) for cell in _CELLS}
    return AgreementLine(
        where="All" if name == EVERY else str(row[name]),
        n=shown_count(int(row["n"])),
        both=cells["both"],
        phenotype_only=cells["phenotype_only"],
        coded_only=cells["coded_only"],
        sensitivity=HIDDEN if is_hidden else _share(row, "sensitivity"),
        ppv=HIDDEN if is_hidden else _share(row, "ppv"),
        kappa=HIDDEN if is_hidden or row["kappa"] is None else f"{row['kappa']:.2f}",
    )


def _share(row: Mapping[str, Any], name: str) -> str:
    """A share with its 95% interval, in per cent."""
    if row[name] is None:
        return "–"
    low, high = (100 * row[f"{name}_{end}"] for end in ("low", "high"))
    return f"{100 * row[name]:.0f}% ({low:.0f} to {high:.0f})"
