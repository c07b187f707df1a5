"""The measures of coding as series over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ontology.errors import ConfigurationError
from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.drift_series import MeasureSeries
from phenotype.coding.measure_rows import base_of, codes_of, measure_rows
from phenotype.coding.measures import Measure
from phenotype.coding.unit_findings import title_of
from phenotype.coding.units import By

A_NUMBER = "counts a number, not yes or no"
A_TEMPLATE = "makes many measures: name those that are to be followed"
NOT_THERE = "does not come of this record"


@dataclass(frozen=True)
class Followed:
    """Measures over time.

    Attributes:
        series: those that can be followed.
        left_out: id -> why it is not followed.
    """

    series: tuple[MeasureSeries, ...]
    left_out: Mapping[str, str]


def follow(
    record: CodedRecord,
    measures: Sequence[Measure],
    ontology: Ontology | None = None,
    *,
    ids: Iterable[str] = (),
    by: By = "unit",
) -> Followed:
    """The measures of a record over time, with what each stay's patients lead to expect at any time.

    Args:
        record: whose.
        measures: those that are no templates are followed.
        ontology: by which value sets are judged; None is the one in use.
        ids: measures of templates that are followed too, `MEASURE/KEY`.
        by: what a line is of.
    """
    series, left_out = [], {}
    asked = [(measure.id, measure) for measure in measures if measure.each is None]
    left_out.update({measure.id: A_TEMPLATE for measure in measures if measure.each is not None})
    asked += [(name, base_of(name, measures)) for name in ids]
    for name, measure in asked:
        if measure.is_count:
            left_out[name] = A_NUMBER
            continue
        try:
            rows = measure_rows(record, measure, ontology, measure_id=name, by=by, by_year=False)
        except ConfigurationError:
            left_out[name] = NOT_THERE
            continue
        codes = codes_of(measure, record, ontology, measure_id=name)
        series.append(MeasureSeries(name, title_of(name, measure), rows, codes))
    return Followed(tuple(series), left_out)
