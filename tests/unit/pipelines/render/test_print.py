"""A patient's page prints on at most two sheets; where no Chromium is installed this cannot be seen."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from phenotype.trajectory import Dataset
from pipelines.render.report import render_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to print with")
def test_a_patient_prints_on_two_pages(finished_run: tuple[Path, Dataset], tmp_path: Path) -> None:
    """The page with the longest texts of all, and the most predictions."""
    run, dataset = finished_run
    index = render_report(run, dataset, subjects=[1007, 1999], n_highest=3, n_lowest=2)
    page = index.parent / "patient-icu_sepsis_hourly-1007.html"
    printed = tmp_path / "page.pdf"
    command = [
        str(BROWSER),
        *FLAGS,
        f"--user-data-dir={tmp_path / 'user'}",
        f"--print-to-pdf={printed}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    sheets = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
    assert 1 <= sheets <= 2
