"""Codes and values as a network reads them: tokens with ancestors, robust z-scores and quantile bins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.token_concepts import concepts_of_ontology
from phenotype.value_units import in_usual_units, usual_units

TOKENS = pl.Schema(
    {
        "token": pl.String(),
        "n_subjects": pl.Int64(),
        "concepts": pl.List(pl.String()),
        "median": pl.Float64(),
        "scale": pl.Float64(),
        "edges": pl.List(pl.Float64()),
        "unit": pl.String(),
    }
)
_CUTS = {
    "ICD10": (3, 1),
    "ICD9": (3,),
    "ATC": (5, 4, 3, 1),
    "NCSP": (3, 2, 1),
    "NCMP": (2, 1),
    "NCRP": (2, 1),
    "ICPC": (1,),
}
"""Characters that name the higher levels of a code system.

**Source:** ICD-10 three-character categories and chapters' letters; WHO ATC levels 1-4; NCSP main chapters,
groups and subgroups.
"""
_LONGEST_TEXT = 64
_IQR_OF_UNIT_NORMAL = 1.349
Z_LIMIT = 5.0
"""Where robust z-scores end, unless a network asks for their tails."""


@dataclass(frozen=True)
class Vocabulary:
    """What a network can read, fitted on training patients only.

    Attributes:
        tokens: columns of TOKENS, sorted by token; `concepts` starts with the token itself, then come its
            ancestors, by its form and by the ontology that was in use. median, scale and edges are null where
            values are not read; unit is the one that they are in, null where none was ever sent.
    """

    tokens: pl.DataFrame

    @cached_property
    def concepts(self) -> list[str]:
        """All tokens and ancestors in name order; a network has one embedding for each, from 1 on."""
        return sorted(set(self.tokens["concepts"].explode().drop_nulls().to_list()))

    @cached_property
    def concept_ids(self) -> npt.NDArray[np.int64]:
        """Concepts of each token, (V, A), filled up with 0."""
        number = {concept: index + 1 for index, concept in enumerate(self.concepts)}
        lists = [[number[concept] for concept in concepts] for concepts in self.tokens["concepts"].to_list()]
        widest = max((len(one) for one in lists), default=1)
        ids = np.zeros((len(lists), widest), dtype=np.int64)
        for row, one in enumerate(lists):
            ids[row, : len(one)] = one
        return ids

    @cached_property
    def bin_offsets(self) -> npt.NDArray[np.int64]:
        """The first bin of each token, (V + 1,); bin 0 says that there is no value."""
        n_bins = [len(edges) + 1 if edges is not None else 0 for edges in self.tokens["edges"].to_list()]
        return np.concatenate([[1], 1 + np.cumsum(n_bins)]).astype(np.int64)

    @cached_property
    def units(self) -> pl.DataFrame:
        """Code and unit of the codes whose values have units."""
        if "unit" not in self.tokens.columns:
            return self.tokens.select(pl.col("token").alias("code"), unit=pl.lit(None, pl.String)).clear()
        return self.tokens.select(pl.col("token").alias("code"), "unit").drop_nulls()

    @property
    def n_bins(self) -> int:
        """Bins of all tokens, the one for no value included."""
        return int(self.bin_offsets[-1])

    def encode(self, events: pl.DataFrame) -> pl.DataFrame:
        """The events that can be read, with token (Int32) and reads_value (Boolean) beside their columns.

        Args:
            events: has code and text_value; order is kept. Where it has numeric_value and unit, values come
            in their code's usual unit.
        """
        if "numeric_value" in events.columns:
            events = in_usual_units(events.lazy(), self.units).collect(engine="in-memory")
        kinds = _with_candidates(events.select("code", "text_value").unique())
        known = self.tokens.select("token").with_row_index("token_id")
        found = (
            kinds.explode("candidates")
            .with_row_index("rank")
            .join(known, left_on="candidates", right_on="token")
            .sort("rank")
            .unique(["code", "text_value"], keep="first", maintain_order=True)
            .select(
                "code",
                "text_value",
                pl.col("token_id").cast(pl.Int32).alias("token"),
                (pl.col("candidates") == pl.col("code")).alias("reads_value"),
            )
        )
        return events.join(
            found, on=["code", "text_value"], how="inner", nulls_equal=True, maintain_order="left"
        )

    def read_values(
        self, tokens: npt.NDArray[np.int32], values: npt.NDArray[np.float64], limit: float = Z_LIMIT
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Bins (0: no value) and robust z-scores within [-limit, limit] (0: no value) of events' values.

        Args:
            tokens: (E,) token of each event.
            values: (E,) value, NaN where it has none or none that is read.
            limit: of the scores.
        """
        bins = np.zeros(len(tokens), dtype=np.int32)
        scores = np.zeros(len(tokens), dtype=np.float32)
        order = np.argsort(tokens, kind="stable")
        starts = np.searchsorted(tokens[order], np.arange(self.tokens.height + 1))
        columns = (self.tokens[name].to_list() for name in ("median", "scale", "edges"))
        for token, (median, scale, edges) in enumerate(zip(*columns, strict=True)):
            events = order[starts[token] : starts[token + 1]]
            if edges is None or not len(events):
                continue
            events = events[np.isfinite(values[events])]
            bins[events] = self.bin_offsets[token] + np.searchsorted(edges, values[events], side="right")
            scores[events] = np.clip((values[events] - median) / scale, -limit, limit)
        return bins, scores


def ancestors(code: str) -> list[str]:
    """The code's higher levels, nearest first: by its system's characters, then by its parts.

    >>> ancestors("ICD10-NO//A41.9")
    ['ICD10-NO//A41', 'ICD10-NO//A', 'ICD10-NO']
    """
    parts = code.split("//")
    higher = ["//".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]
    cuts = next((cuts for system, cuts in _CUTS.items() if parts[0].startswith(system)), ())
    if len(parts) != 2:
        return higher
    return [f"{parts[0]}//{parts[1][:cut]}" for cut in cuts if cut < len(parts[1])] + higher


def fit_vocabulary(events: pl.LazyFrame, min_subjects: int, n_bins: int) -> Vocabulary:
    """The vocabulary of training patients' events, the same for any order of rows.

    Args:
        events: training patients' only, with subject_id, code, text_value, numeric_value and, where known,
            unit.
        min_subjects: patients that a token needs.
        n_bins: quantile bins of a code's values.
    """
    seen = events.select("subject_id", "code", "text_value").unique().collect()
    kinds = _with_candidates(seen.select("code", "text_value").unique())
    counts = (
        seen.join(kinds, on=["code", "text_value"], nulls_equal=True)
        .select("subject_id", pl.col("candidates").alias("token"))
        .explode("token")
        .unique()
        .group_by("token")
        .agg(pl.len().cast(pl.Int64).alias("n_subjects"))
        .filter(pl.col("n_subjects") >= min_subjects)
        .sort("token")
    )
    kept = set(counts["token"])
    by_form = {token: [token, *(one for one in _above(token) if one in kept)] for token in counts["token"]}
    by_ontology = concepts_of_ontology(by_form)
    concepts = [above + by_ontology[token] for token, above in by_form.items()]
    tokens = counts.with_columns(pl.Series("concepts", concepts, dtype=pl.List(pl.String)))
    units = usual_units(events)
    values = _value_scales(in_usual_units(events, units), min_subjects, n_bins)
    values = values.join(units, on="code", how="left", maintain_order="left")
    joined = tokens.join(values, left_on="token", right_on="code", how="left", maintain_order="left")
    return Vocabulary(joined.select(pl.col(name).cast(dtype) for name, dtype in TOKENS.items()))


def _above(token: str) -> list[str]:
    """A token's ancestors; a text answer's nearest one is its code."""
    code, is_answer, _ = token.partition("==")
    return [code, *ancestors(code)] if is_answer else ancestors(code)


def _with_candidates(kinds: pl.DataFrame) -> pl.DataFrame:
    """Codes and texts with the tokens that may stand for them, nearest first."""
    candidates = []
    for code, text in kinds.iter_rows():
        answer = [f"{code}=={text}"] if text is not None and len(text) <= _LONGEST_TEXT else []
        candidates.append([*answer, code, *ancestors(code)])
    return kinds.with_columns(pl.Series("candidates", candidates, dtype=pl.List(pl.String)))


def _value_scales(events: pl.LazyFrame, min_subjects: int, n_bins: int) -> pl.DataFrame:
    """Median, robust scale and inner bin edges of each code whose values enough patients have."""
    value = pl.col("numeric_value").cast(pl.Float64)
    quantiles = [value.quantile(q / n_bins, "nearest").alias(f"_q{q}") for q in range(1, n_bins)]
    spread = value.quantile(0.75, "nearest") - value.quantile(0.25, "nearest")
    return (
        events.filter(pl.col("numeric_value").is_finite())
        .select("subject_id", "code", "numeric_value")
        .sort("code", "numeric_value", "subject_id")
        .group_by("code", maintain_order=True)
        .agg(
            pl.col("subject_id").n_unique().alias("_n"),
            value.median().alias("median"),
            (spread / _IQR_OF_UNIT_NORMAL).alias("_robust"),
            value.std().alias("_sd"),
            *quantiles,
        )
        .filter(pl.col("_n") >= min_subjects)
        .with_columns(
            pl.when(pl.col("_robust") > 0)
            .then("_robust")
            .when(pl.col("_sd") > 0)
            .then("_sd")
            .otherwise(1.0)
            .alias("scale"),
            pl.concat_list([f"_q{q}" for q in range(1, n_bins)]).list.unique().list.sort().alias("edges"),
        )
        .select("code", "median", "scale", "edges")
        .collect(engine="in-memory")
    )
