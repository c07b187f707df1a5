"""The command line tells what is wrong, ends with the status of its kind, and shows no traceback unasked."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError, InputError, StorageError
from pipelines import cli


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["pesta", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_file_where_a_folder_shall_be_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    status = call(monkeypatch, "simulate", "--patients", "1", "--out", str(taken), "--quiet")
    told = capsys.readouterr().err
    assert status == StorageError.exit_status
    assert "Not a directory" in told
    assert "defect" not in told


def test_a_file_that_may_be_a_patient_s_is_not_named() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/data/patients/132539.txt")
    told = str(cli.storage_problem(full))
    assert "No space left on device" in told
    assert "/data/patients" in told
    assert "132539" not in told


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("check", "nowhere"), InputError.exit_status, "no such folder"),
        (("check", __file__), InputError.exit_status, "found: a file"),
        (("report", "nowhere"), ConfigurationError.exit_status, "no finished run"),
        (("run", "nowhere.yaml", "--out", "x"), ConfigurationError.exit_status, "no such configuration"),
        (("run", "demo", "--out", "x", "--set", "seed=[1"), ConfigurationError.exit_status, "not YAML"),
        (("run", "demo", "--out", "x", "--set", "seed"), ConfigurationError.exit_status, "not an override"),
        (("frobnicate",), 2, "No such command"),
    ],
)
def test_a_wrong_command_ends_with_its_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    told: str,
) -> None:
    assert call(monkeypatch, *arguments) == status
    found = capsys.readouterr().err
    assert told in found
    assert "Traceback" not in found


def test_a_refusal_of_the_system_is_known_also_where_polars_tells_it() -> None:
    frame = pl.DataFrame({"time": [1]})
    with pytest.raises((OSError, pl.exceptions.PolarsError)) as caught:
        frame.lazy().sink_parquet(Path("/dev/full"))
    refused = caught.value if isinstance(caught.value, OSError) else cli.system_error(caught.value)
    assert refused is not None
    assert refused.errno == errno.ENOSPC
    assert cli.system_error(ValueError("(os error 28)")) is None
    with pytest.raises(pl.exceptions.ColumnNotFoundError) as missing:
        frame.select("nothing")
    assert cli.system_error(missing.value) is None


def test_an_interrupted_command_says_that_it_can_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A process that was started in the background ignores SIGINT unless it asks for it.
    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)
    alarmed = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        status = call(monkeypatch, "simulate", "--patients", "5000", "--out", str(tmp_path / "hospital"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarmed)
        signal.signal(signal.SIGINT, interrupted)
    assert status == cli.INTERRUPTED_STATUS
    assert "goes on where it stood" in capsys.readouterr().err


def test_a_traceback_shows_no_cells(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        try:
            pl.Series("name", ["Kari Nordmann"]).cast(pl.Int64)
        except pl.exceptions.PolarsError as refused:
            raise ValueError("no") from refused

    with pytest.raises(ValueError, match="no") as caught:
        fail()
    with pytest.raises(SystemExit):
        cli.show_traceback(caught.value)
    told = capsys.readouterr().err
    assert "conversion from `str` to `i64` failed in column 'name'" in told
    assert "[...]" in told
    assert told.count("Kari") == told.count('["Kari Nordmann"]).cast')  # the line of this test alone
