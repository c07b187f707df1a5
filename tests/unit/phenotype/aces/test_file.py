"""What an ACES file may say, and how its faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.errors import ConfigurationError
from phenotype.aces.file import is_aces, read_aces
from phenotype.aces.spans import span_seconds
from phenotype.aces.text import AcesTask, Boundary, CodeTest, DerivedPredicate, PlainPredicate, parse_boundary
from phenotype.aces.tree import horizon_hours, index_place, steps_of
from phenotype.tasks import load_task, parse_task

HOUR = 3_600_000_000
TASK = """
metadata: {description: "Death  in the\\n stay", contacts: [{name: nobody}]}
predicates:
  admission: ???
  left_open: ???
  death: {code: {regex: "MEDS_DEATH.*"}}
  low:
    code: LAB//1
    value_max: 3.5
    value_max_inclusive: true
    unit: mmol/L
  both: {expr: "and( death , low )"}
patient_demographics:
  woman: {code: GENDER//F}
trigger: admission
windows:
  input:
    start: NULL
    end: trigger + 24h
    start_inclusive: True
    end_inclusive: True
    index_timestamp: end
    has:
      _ANY_EVENT: (5, None)
      both: (None,0)
  target:
    start: input.end
    end: start + 30 days
    start_inclusive: False
    end_inclusive: True
    label: death
"""
A_SPAN = "after + stands a span of time such as 24h, 30d or 1 day, 12:00:00"
A_BOOLEAN = "input should be a valid boolean, unable to interpret input"
A_NUMBER = "input should be a valid number, unable to parse string as a number"
PREDICATES = """
description: of this dataset
predicates:
  admission: {code: {any: [ADM//1, ADM//2]}}
  death: {code: DEATH}
"""


def _read(folder: Path, task: str, predicates: str | None = None) -> AcesTask:
    (folder / "task.yaml").write_text(task)
    if predicates is None:
        return read_aces(folder / "task.yaml")
    (folder / "predicates.yaml").write_text(predicates)
    return read_aces(folder / "task.yaml", folder / "predicates.yaml")


def _faults(folder: Path, task: str, predicates: str | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        _read(folder, task, predicates)
    return [f"{problem.where} | {problem.what}" for problem in caught.value.problems]


def test_a_datasets_predicates_complete_a_task_and_what_is_not_used_stays_unread(tmp_path: Path) -> None:
    task = _read(tmp_path, TASK, PREDICATES)
    assert task.predicates == {
        "admission": PlainPredicate(code=CodeTest(exactly=("ADM//1", "ADM//2"))),
        "death": PlainPredicate(code=CodeTest(exactly=("DEATH",))),
        "low": PlainPredicate(
            code=CodeTest(exactly=("LAB//1",)),
            value_max=3.5,
            value_max_inclusive=True,
            other_columns={"unit": "mmol/L"},
        ),
        "both": DerivedPredicate(operator="and", inputs=("death", "low")),
        "woman": PlainPredicate(code=CodeTest(exactly=("GENDER//F",)), static=True),
    }
    assert task.windows["input"].has == {"_ANY_EVENT": (5, None), "both": (None, 0)}
    assert task.description == "Death in the stay"


def test_a_task_survives_the_way_through_json(tmp_path: Path) -> None:
    task = _read(tmp_path, TASK, PREDICATES)
    assert AcesTask.model_validate_json(task.model_dump_json()) == task


def test_a_predicate_that_is_used_and_left_open_is_a_fault_with_its_line(tmp_path: Path) -> None:
    assert _faults(tmp_path, TASK) == [
        "task.yaml:4: predicates.admission | left open: a predicates file must complete it"
    ]


def test_all_faults_of_both_files_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    task = """
predicates:
  a: {code: A, value_min: much}
  b: {expr: "xor(a, c)"}
  c: {code: {regex: x, any: [y]}}
  d: {expr: "or(a, d)"}
trigger: b
horizon: 3
windows:
  one: {start: trigger, end: start + 1 month, start_inclusive: true, end_inclusive: true}
  two: {start: trigger, end: trigger + 24h, start_inclusive: true, end_inclusive: true, has: {c: "(2, 1)"}}
  three: {start: end + 3h, end: trigger, start_inclusive: 7, end_inclusive: true}
  four: {start: five.end, end: start -> d, start_inclusive: true, end_inclusive: true, label: d}
  six: {start: trigger, end: null, start_inclusive: true, end_inclusive: true, label: nothing, sum: 1}
"""
    found = _faults(tmp_path, task, "predicates: {}\ncodes: {}\n")
    assert sorted(found) == sorted(
        [
            "task.yaml:8: horizon | unknown key",
            "predicates.yaml:2: codes | unknown key",
            f"task.yaml:10: windows.one.end | {A_SPAN}",
            f"task.yaml:12: windows.three.start_inclusive | {A_BOOLEAN}",
            "task.yaml:14: windows.six.sum | unknown key",
            f"task.yaml:3: predicates.a.value_min | {A_NUMBER}",
            "task.yaml:4: predicates.b | expr is and(A, B, ...) or or(A, B, ...), of at least two predicates",
            "task.yaml:5: predicates.c | code is a text in quotes, {regex: TEXT} or {any: [TEXT, ...]}",
            "task.yaml:6: predicates.d | a predicate that is made of itself",
            "task.yaml:11: windows.two | one end of a window is told from the other",
            "task.yaml:13: windows.four.start | no such window",
        ]
    )


@pytest.mark.parametrize(
    ("window", "fault"),
    [
        ("start: end + 3h, end: trigger", "a window's start lies before its end"),
        ("start: trigger, end: start <- a", "a window's start lies before its end"),
        ("start: trigger, end: start -> _RECORD_START", "nothing lies before the record's start"),
        ("start: null, end: null", "one end of a window is told from the other"),
        ("start: end - 1h, end: null", "one end of a window is told from the other"),
        ("start: trigger, end: start, label: a", "a window without length has no label and tells no time"),
        ("start: trigger, end: start + 0h, index_timestamp: end", "a window without length has no label"),
        (
            'start: trigger, end: null, has: {a: "(2, 1)"}',
            "counts that nothing can break, or nothing can keep",
        ),
        ('start: trigger, end: null, has: {a: "(None, None)"}', "counts that nothing can break"),
        ("start: trigger, end: null, label: _ANY_EVENT", "the label is a named predicate"),
        ("start: trigger, end: null, label: b", "no such predicate"),
        ("start: trigger, end: null, label: s", "a static predicate has no time"),
        ("start: w.end, end: start + 1h", "windows told from each other in a circle"),
        ("start: trigger -> a -> a, end: start + 1h", "after -> stands the name of one predicate"),
        ("start: trigger + 1h + 1h, end: start + 1h", "after + stands a span of time"),
        ("start: the trigger, end: start + 1h", "a window's end is told from trigger, start, end"),
        ('start: trigger, end: null, has: {a: "2"}', "counts are written"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, window: str, fault: str) -> None:
    task = f"""
predicates: {{a: {{code: A}}}}
patient_demographics: {{s: {{code: S}}}}
trigger: a
windows:
  w: {{{window}, start_inclusive: true, end_inclusive: true}}
"""
    found = _faults(tmp_path, task)
    assert any(fault in line for line in found), found


def test_two_labels_or_two_times_of_prediction_are_refused(tmp_path: Path) -> None:
    ends = "start: trigger, end: null, start_inclusive: true, end_inclusive: true"
    window = f"{{{ends}, label: a, index_timestamp: end}}"
    found = _faults(
        tmp_path, f"predicates: {{a: {{code: A}}}}\ntrigger: a\nwindows:\n  v: {window}\n  w: {window}\n"
    )
    assert found == [
        "task.yaml:5: windows.w.label | one window only has a label",
        "task.yaml:5: windows.w.index_timestamp | one window only has a index_timestamp",
    ]


def test_a_pattern_that_cannot_be_searched_with_is_told_before_any_data_are_read(tmp_path: Path) -> None:
    found = _faults(tmp_path, 'predicates: {a: {code: {regex: "(?=x)"}}}\ntrigger: a\n')
    assert found == [
        "task.yaml:1: predicates.a | a regular expression as Rust's regex reads it, without looking around"
    ]


@pytest.mark.parametrize(
    ("text", "boundary"),
    [
        ("trigger", Boundary(of="trigger")),
        ("gap.end + 24h", Boundary(of="gap.end", seconds=86400)),
        ("end-90 min", Boundary(of="end", seconds=-5400)),
        ("trigger + 0h", Boundary(of="trigger")),
        ("start->discharge", Boundary(of="start", predicate="discharge")),
        ("end <- admission", Boundary(of="end", predicate="admission", is_before=True)),
    ],
)
def test_the_ends_of_windows(text: str, boundary: Boundary) -> None:
    assert parse_boundary(text) == boundary


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        # by hand, after pytimeparse's documented forms
        ("24h", 86400),
        ("365D", 365 * 86400),
        ("1 day, 14:20:16", 86400 + 51616),
        ("2 hours", 7200),
        ("1w 2d 3h 4m 5s", 7 * 86400 + 2 * 86400 + 3 * 3600 + 245),
        ("1.5 hours", 5400),
        ("4.1m", 246),
        ("1:24", 84),
        (":22", 22),
        ("2:04:13:02", 2 * 86400 + 4 * 3600 + 13 * 60 + 2),
        ("5y", None),
        ("1 month", None),
        ("3h 2d", None),
        ("soon", None),
        ("", None),
    ],
)
def test_spans_of_time(text: str, seconds: float | None) -> None:
    assert span_seconds(text) == seconds


def test_windows_become_steps_from_the_trigger(tmp_path: Path) -> None:
    task = _read(tmp_path, TASK, PREDICATES)
    steps = [(step.name, step.origin, step.microseconds, step.predicate) for step in steps_of(task)]
    assert steps == [
        ("input.end", "trigger", 24 * HOUR, None),
        ("input.start", "input.end", None, "_RECORD_START"),
        ("target.end", "input.end", 30 * 24 * HOUR, None),
    ]
    assert index_place(task) == "input.end"
    assert horizon_hours(task) == 720


def test_a_file_for_aces_is_a_task_by_its_path(tmp_path: Path) -> None:
    text = TASK.replace("admission: ???", "admission: {code: ADM}")
    (tmp_path / "Death-30d.yaml").write_text(text)
    task = load_task(tmp_path / "Death-30d.yaml")
    assert (task.name, task.event, task.horizon_hours) == ("death_30d", "death", 720)
    assert task.question == "Death in the stay"
    assert parse_task(task.model_dump(mode="json")) == task


def test_a_task_that_asks_nothing_is_no_task_for_a_model(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("predicates: {a: {code: A}}\ntrigger: a\n")
    assert read_aces(tmp_path / "task.yaml").windows == {}
    with pytest.raises(ConfigurationError, match="no window has label or index_timestamp"):
        load_task(tmp_path / "task.yaml")


def test_pestas_own_tasks_are_not_taken_for_aces() -> None:
    assert not is_aces({"index": {"kind": "hourly"}, "outcome": {}})
    assert is_aces({"trigger": "a", "windows": {}})
