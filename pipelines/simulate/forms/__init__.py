"""The forms beside the extract in which the simulated hospital writes the same records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

import polars as pl

Form = Literal["extract", "npr", "fhir", "omop"]
FORMS: tuple[Form, ...] = get_args(Form)


def write_form(form: Form, tables: Mapping[str, pl.DataFrame], out: Path) -> None:
    """Write the hospital's tables in one form to OUT/form; the same tables give the same bytes.

    Args:
        form: which.
        tables: those of the extract, by name.
        out: the folder that holds a folder a form.
    """
    _writer(form)(tables, out / form)


def _writer(form: Form) -> Callable[[Mapping[str, pl.DataFrame], Path], None]:
    """What writes a form; only its libraries are loaded."""
    if form == "npr":
        from pipelines.simulate.forms.npr import write_npr

        return write_npr
    if form == "fhir":
        from pipelines.simulate.forms.fhir import write_fhir

        return write_fhir
    if form == "omop":
        from pipelines.simulate.forms.omop import write_omop

        return write_omop
    from pipelines.simulate.tables import write_extract

    return write_extract
