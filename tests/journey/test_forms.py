"""One simulated hospital in four forms ends with the same trajectories, but for what is listed as lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from phenotype.checking import check_dataset
from pipelines.simulate.forms import FORMS
from pipelines.simulate.forms.comparison import compare, known_limits, stale_limits
from pipelines.simulate.hospital import simulate
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

OTHERS = tuple(form for form in FORMS if form != "extract")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The datasets of all forms of one hospital, made with one key."""
    folder = tmp_path_factory.mktemp("forms")
    simulate(40, 5, folder, forms=FORMS)
    key = folder / "project.key"
    made = {}
    for form in FORMS:
        mapping = load_mapping("simulated-hospital" if form == "extract" else f"simulated-hospital-{form}")
        made[form] = folder / f"dataset-{form}"
        account = ingest(mapping, folder / form, made[form], n_shards=2, key_path=key)
        assert account.is_closed
        assert account.n_rejected == 0
    return made


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_a_dataset_without_a_fault(datasets: dict[str, Path], form: str) -> None:
    assert check_dataset(datasets[form]) == []


@pytest.mark.parametrize("form", OTHERS)
def test_events_contacts_codings_and_windows_are_those_of_the_extract(
    datasets: dict[str, Path], form: str
) -> None:
    differences = compare(datasets["extract"], datasets[form], known_limits()[form])
    assert {found.part: (found.n_missing, found.n_added) for found in differences} == {
        "events": (0, 0),
        "contacts": (0, 0),
        "codings": (0, 0),
        "windows": (0, 0),
    }
    assert all(found.n_equal for found in differences if found.part != "windows")


@pytest.mark.parametrize("form", OTHERS)
def test_what_is_listed_as_lost_is_really_lost(datasets: dict[str, Path], form: str) -> None:
    stale = stale_limits(datasets["extract"], datasets[form], known_limits()[form])
    assert [limit.told for limit in stale] == []


def test_the_documentation_lists_what_each_form_loses() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text("utf-8")
    for limits in known_limits().values():
        for limit in limits:
            assert limit.why in text
