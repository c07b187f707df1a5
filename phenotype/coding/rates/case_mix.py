"""What makes patients alike or unlike: age, sex, urgency, comorbidity, transfer, surgery, main condition.

Comorbidity is what earlier stays coded, never the stay itself: a unit that codes much would otherwise raise
what is expected of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.valuesets.sets import Resolver, load_family, load_valueset
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.rates.counted_rows import ROLES, CountedRows
from phenotype.coding.rates.settings import Attribute, UnitSettings
from phenotype.scores.comorbidity import family_score

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SURGERY = "NCSP//"


@dataclass(frozen=True)
class CaseMix:
    """Attributes of rows as numbers.

    Attributes:
        attributes: name -> (n_rows,) number of the value, 0 = not told.
        sizes: name -> how many numbers there are.
        comorbidity: (n_rows,) the index itself.
        labels: name -> what the numbers mean, for names of columns.
    """

    attributes: dict[str, Ints]
    sizes: dict[str, int]
    comorbidity: Floats
    labels: dict[str, list[str]]

    def level(self, names: Sequence[Attribute]) -> Ints:
        """Each row's stratum by some attributes, numbered from 0 without gaps; all 0 for none."""
        key = np.zeros(len(self.comorbidity), dtype=np.int64)
        for name in names:
            key = key * self.sizes[name] + self.attributes[name]
        return numbered(key)[0]


def numbered(key: Ints) -> tuple[Ints, int]:
    """Keys numbered from 0 without gaps in their order, and how many there are."""
    if not len(key):
        return key, 0
    top = int(key.max()) + 1
    if top <= 20_000_000:
        is_there = np.zeros(top, dtype=np.bool_)
        is_there[key] = True
        number = np.cumsum(is_there) - 1
        return number[key], int(number[-1]) + 1
    values, inverse = np.unique(key, return_inverse=True)
    return inverse.astype(np.int64), len(values)


def case_mix(record: CodedRecord, rows: CountedRows, settings: UnitSettings) -> CaseMix:
    """The attributes of a record's rows.

    Args:
        record: the record, for what was coded before.
        rows: its stays, contacts or patient-months.
        settings: bands and families.
    """
    index = comorbidity(record, rows, settings)
    frame = rows.rows
    age = frame["age_years"].to_numpy()
    bands = np.searchsorted(np.array(settings.age_bands), age, side="right") + 1
    main = main_codes(rows)
    found: dict[str, tuple[Ints, list[str]]] = {
        "age_band": (
            np.where(np.isnan(age), 0, bands).astype(np.int64),
            ["?", *(str(edge) for edge in (0, *settings.age_bands))],
        ),
        "comorbidity": (
            (np.searchsorted(np.array(settings.comorbidity_bands), index, side="right") + 1).astype(np.int64),
            ["?", *(str(edge) for edge in (0, *settings.comorbidity_bands))],
        ),
        "transfer": (
            frame["admitted_from"]
            .is_in(list(settings.transferred_from))
            .fill_null(value=False)
            .cast(pl.Int64)
            .to_numpy(),
            ["no", "yes"],
        ),
        "surgery": (operated(rows).astype(np.int64), ["no", "yes"]),
        "sex": _categories(frame["sex"]),
        "urgency": _categories(frame["urgency"]),
        "care": _categories(frame["care_level"]),
        "specialty": _categories(specialties(record, rows)),
        "main_1": _categories(main.str.slice(0, 1)),
        "main_2": _categories(main.str.slice(0, 2)),
    }
    return CaseMix(
        {name: numbers for name, (numbers, _) in found.items()},
        {name: len(labels) for name, (_, labels) in found.items()},
        index,
        {name: labels for name, (_, labels) in found.items()},
    )


def operated(rows: CountedRows) -> npt.NDArray[np.bool_]:
    """Whether a surgical procedure is coded."""
    is_surgery = rows.codes.distinct.str.starts_with(SURGERY).to_numpy()
    found = np.zeros(rows.rows.height, dtype=np.bool_)
    found[rows.codes.row[is_surgery[rows.codes.code] & (rows.codes.role == ROLES.index("procedure"))]] = True
    return found


def specialties(record: CodedRecord, rows: CountedRows) -> pl.Series:
    """The specialty of each row's last contact: as told, else the unit's name where other hospitals have it.

    Null where neither tells: such units are compared with each other.
    """
    told = (
        record.facts.filter(pl.col("fact") == "specialty")
        .group_by("contact_id")
        .agg(pl.col("value").min().alias("told"))
    )
    shared = (
        record.contacts.group_by("unit_id")
        .agg(pl.col("hospital_id").n_unique().alias("n_hospitals"))
        .filter((pl.col("n_hospitals") > 1) & pl.col("unit_id").is_not_null())
    )
    named = record.contacts.join(shared, on="unit_id", how="semi").select("contact_id", "unit_id")
    joined = (
        rows.rows.select("contact_id")
        .join(told, on="contact_id", how="left", maintain_order="left")
        .join(named, on="contact_id", how="left", maintain_order="left")
    )
    return joined.select(pl.coalesce("told", "unit_id"))["told"]


def main_codes(rows: CountedRows) -> pl.Series:
    """The main condition's code of each row without its system and dot, null where there is none.

    Of several (a stay of several contacts) the last contact's.
    """
    chosen = (rows.codes.role == ROLES.index("main")) & rows.codes.is_first
    code = np.full(rows.rows.height, -1, dtype=np.int64)
    code[rows.codes.row[chosen]] = rows.codes.code[chosen]
    bare = rows.codes.distinct.str.replace("^.*?//", "").str.replace_all(".", "", literal=True)
    index = pl.Series(code, dtype=pl.Int64)
    return pl.DataFrame({"code": index}).join(
        pl.DataFrame({"code": np.arange(len(bare), dtype=np.int64), "bare": bare}),
        on="code",
        how="left",
        maintain_order="left",
    )["bare"]


def comorbidity(record: CodedRecord, rows: CountedRows, settings: UnitSettings) -> Floats:
    """The comorbidity index of each row from what contacts that ended before it began coded, (n_rows,).

    **Source:** SKDE, CoMorbIndex.sas: main and other conditions of 365 days, without the stay itself.
    """
    family = load_family(settings.comorbidity_family)
    distinct = record.codes["code"].drop_nulls().unique().sort()
    resolver = Resolver(distinct.to_list(), rows.ontology)
    owners = record.contacts.select("contact_id", "subject_id", "judged_time").drop_nulls("judged_time")
    diagnoses = record.codes.filter(pl.col("role") != "procedure").select("contact_id", "code")
    asked = (
        rows.rows.select("subject_id", "start_time")
        .with_row_index("row")
        .drop_nulls("start_time")
        .sort("start_time", "row")
    )
    seen: list[pl.DataFrame] = []
    for name in family.groups:
        codes = resolver.resolve(load_valueset(f"{settings.comorbidity_family}/{name}"))["code"].unique()
        if not len(codes):
            continue
        coded = (
            diagnoses.filter(pl.col("code").is_in(codes.implode()))
            .select("contact_id")
            .unique()
            .join(owners, on="contact_id")
            .select("subject_id", pl.col("judged_time").alias("coded_time"))
            .unique()
            .sort("coded_time", "subject_id")
        )
        mine = asked.join(
            coded.select("subject_id").unique(), on="subject_id", how="semi", maintain_order="left"
        )
        near = mine.join_asof(
            coded,
            left_on="start_time",
            right_on="coded_time",
            by="subject_id",
            strategy="backward",
            allow_exact_matches=False,
            tolerance=f"{settings.comorbidity_days}d",
            check_sortedness=False,
        ).drop_nulls("coded_time")
        seen.append(near.select("row", group=pl.lit(name)))
    index = np.zeros(rows.rows.height)
    if seen:
        scores = family_score(pl.concat(seen), family)
        index[scores["row"].to_numpy()] = scores["score"].to_numpy()
    return index


def _categories(values: pl.Series) -> tuple[Ints, list[str]]:
    """Numbers of the values in text order from 1; 0 = not told."""
    labels = values.drop_nulls().unique().sort()
    table = pl.DataFrame({"value": labels, "number": np.arange(1, len(labels) + 1)})
    joined = pl.DataFrame({"value": values}).join(table, on="value", how="left", maintain_order="left")
    return joined["number"].fill_null(0).cast(pl.Int64).to_numpy(), ["?", *labels.to_list()]
