"""Contacts and codes as findings would have them: each alternative of a finding, ready for a grouper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from ontology.configuration import read_config
from phenotype.coding.coded_record import CODED_CONTACTS, CODES, CodedRecord
from phenotype.coding.findings import Found

ABOUT_UNIT = "about a unit or a practice, not about codings"
NOT_IN_RECORD = "a code or contact that the record does not hold"
NO_SUGGESTION = "suggests neither a code nor another way to report"
PROCEDURE_SYSTEMS = ("NCSP", "NCMP", "NCRP", "NKPK")
UNIT_KINDS = ("unit_rate", "drift")
_KEY = ["variant", "contact_id"]


class Ways(BaseModel):
    """Rules and measures whose findings are priced without another code.

    Attributes:
        joined: rules whose contacts are one stay.
        day_care: rules whose contacts are day treatment.
        cut: measures whose stays beyond what is expected lose their points.
        regrouped: measures whose stays beyond what is expected keep so many points.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    joined: frozenset[str] = frozenset()
    day_care: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()
    regrouped: Mapping[str, Decimal] = {}

    @classmethod
    def load(cls, path: str | Path = "pricing") -> Ways:
        """The shipped ways, or those of a file of the same form.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return read_config(cls, "settlement", path)


@dataclass(frozen=True)
class SuggestedCodings:
    """What findings would change, ready for a grouper.

    Attributes:
        variants: variant (`FINDING_ID/NUMBER`), finding_id and may_stand: whether the finding also allows
            that nothing changes.
        contacts: columns of CODED_CONTACTS, variant and is_touched: all contacts of the stays that a variant
            touches.
        codes: columns of CODES and variant: the codes of those contacts as the variant has them.
        without: finding_id and reason of findings that give no variant.
    """

    variants: pl.DataFrame
    contacts: pl.DataFrame
    codes: pl.DataFrame
    without: pl.DataFrame


def suggested_codings(found: Found, record: CodedRecord, ways: Ways) -> SuggestedCodings:
    """Every alternative of every finding, applied to the stays that it touches.

    - A finding with suggested codes: each code is replaced by its suggestion (a missing one is added).
      Several suggestions for one code are alternatives. A main condition that is replaced by a code which
      stands among the other conditions changes place with it.
    - A finding with codes and no suggestion: each code gone, and all of them gone, are alternatives, and that
      nothing changes is one too. Where the main condition goes, the next condition takes its place.
    - A finding about whole contacts: joined to one stay, or day treatment, where `ways` says so.

    Args:
        found: the findings.
        record: whose.
        ways: rules that are priced without codes.
    """
    about = found.items.join(found.findings.select("finding_id", "rule_id", "kind"), on="finding_id")
    told, without = _judgeable(found, about, record, ways)
    edits = pl.concat([_replacements(told), _removals(told), _reports(told, ways)])
    contacts = _contacts(edits, record)
    return SuggestedCodings(
        variants=edits.group_by("variant")
        .agg(pl.col("finding_id").first(), pl.col("may_stand").first())
        .sort("variant"),
        contacts=contacts,
        codes=_codes(edits, contacts, record),
        without=without,
    )


def _judgeable(
    found: Found, about: pl.DataFrame, record: CodedRecord, ways: Ways
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The items of findings that give variants; finding_id and reason of the others."""
    known = record.codes.select("contact_id", "code", "group_no", "code_no")
    contacts = record.contacts.select("contact_id")
    has_place = pl.col("group_no").is_not_null()
    coded = about.filter(pl.col("code").is_not_null())
    absent = pl.concat(
        [
            about.join(contacts, on="contact_id", how="anti"),
            coded.filter(has_place).join(
                known, on=["contact_id", "code", "group_no", "code_no"], how="anti", nulls_equal=True
            ),
            coded.filter(~has_place).join(known, on=["contact_id", "code"], how="anti"),
        ]
    )
    way = (
        pl.when(pl.col("rule_id").is_in(list(ways.joined)))
        .then(pl.lit("joined"))
        .when(pl.col("rule_id").is_in(list(ways.day_care)))
        .then(pl.lit("day_care"))
    )
    kinds = (
        about.with_columns(way=way)
        .group_by("finding_id")
        .agg(
            pl.col("way").first(),
            suggests=pl.col("suggested_code").is_not_null().any(),
            codes=pl.col("code").is_not_null().any(),
        )
    )
    every = found.findings.select("finding_id", "kind").join(kinds, on="finding_id", how="left")
    has_something = pl.any_horizontal(pl.col("suggests", "codes"), pl.col("way").is_not_null())
    reason = (
        pl.when(pl.col("kind").is_in(UNIT_KINDS))
        .then(pl.lit(ABOUT_UNIT))
        .when(pl.col("finding_id").is_in(absent["finding_id"].unique().implode()))
        .then(pl.lit(NOT_IN_RECORD))
        .when(~has_something.fill_null(value=False))
        .then(pl.lit(NO_SUGGESTION))
    )
    judged = every.with_columns(reason=reason)
    told = about.join(
        judged.filter(pl.col("reason").is_null()).select("finding_id", "way", "suggests", "codes"),
        on="finding_id",
    )
    return told, judged.filter(pl.col("reason").is_not_null()).select("finding_id", "reason")


def _replacements(told: pl.DataFrame) -> pl.DataFrame:
    """Edits of findings that suggest codes: an alternative for each suggestion of the item that has most."""
    place = ["finding_id", "contact_id", "group_no", "code_no", "code"]
    items = told.filter("suggests", pl.col("suggested_code").is_not_null()).sort(
        *place, "suggested_code", nulls_last=True
    )
    ranked = items.with_columns(
        rank=pl.int_range(pl.len()).over(place), n_ranks=pl.len().over(place).cast(pl.Int64)
    ).with_columns(n_alternatives=pl.col("n_ranks").max().over("finding_id"))
    alternatives = ranked.with_columns(number=pl.int_ranges(0, "n_alternatives")).explode(
        "number", empty_as_null=True
    )
    own = alternatives.filter(pl.col("rank") == pl.min_horizontal("number", pl.col("n_ranks") - 1))
    action = pl.when(pl.col("code").is_null()).then(pl.lit("add")).otherwise(pl.lit("replace"))
    return _edits(own, action, may_stand=False)


def _removals(told: pl.DataFrame) -> pl.DataFrame:
    """Edits of findings that name codes and suggest none: each alone, then all."""
    items = (
        told.filter(
            ~pl.col("suggests"), pl.col("codes"), pl.col("code").is_not_null(), pl.col("way").is_null()
        )
        .sort("finding_id", "contact_id", "group_no", "code_no", "code", nulls_last=True)
        .with_columns(number=pl.int_range(pl.len()).over("finding_id"), n=pl.len().over("finding_id"))
    )
    together = items.filter(pl.col("n") > 1).with_columns(number=pl.col("n").cast(pl.Int64))
    return _edits(pl.concat([items, together]), pl.lit("remove"), may_stand=True)


def _reports(told: pl.DataFrame, ways: Ways) -> pl.DataFrame:
    """Edits of findings about whole contacts."""
    items = told.filter(~pl.col("suggests"), pl.col("way").is_not_null())
    whole = items.unique(["finding_id", "contact_id"]).with_columns(
        number=pl.lit(0, pl.Int64), code=pl.lit(None, pl.String)
    )
    return _edits(whole, pl.col("way"), may_stand=False)


def _edits(items: pl.DataFrame, action: pl.Expr, *, may_stand: bool) -> pl.DataFrame:
    return items.select(
        "finding_id",
        "contact_id",
        "group_no",
        "code_no",
        "code",
        "suggested_code",
        variant=pl.format("{}/{}", "finding_id", "number"),
        action=action,
        may_stand=pl.lit(may_stand),
    )


def _contacts(edits: pl.DataFrame, record: CodedRecord) -> pl.DataFrame:
    """All contacts of the stays that variants touch, joined or as day treatment where a variant says so."""
    by_contact = edits.group_by(_KEY).agg(action=pl.col("action").first())
    stays = record.contacts.select("contact_id", "stay_id")
    touched = by_contact.join(stays, on="contact_id")
    joined_to = touched.filter(action="joined").group_by("variant").agg(joined_stay=pl.col("stay_id").min())
    whole = (
        touched.select("variant", "stay_id").unique().join(record.contacts, on="stay_id", nulls_equal=True)
    )
    return (
        whole.join(by_contact, on=_KEY, how="left")
        .join(joined_to, on="variant", how="left")
        .with_columns(
            stay_id=pl.coalesce("joined_stay", "stay_id"),
            care_level=pl.when(pl.col("action") == "day_care").then(pl.lit("day")).otherwise("care_level"),
            is_touched=pl.col("action").is_not_null(),
        )
        .select("variant", *CODED_CONTACTS, "is_touched")
        .sort(_KEY)
    )


def _codes(edits: pl.DataFrame, contacts: pl.DataFrame, record: CodedRecord) -> pl.DataFrame:
    """The codes of the variants' contacts after their edits."""
    before = contacts.select(_KEY).join(record.codes, on="contact_id")
    changed = edits.filter(pl.col("action").is_in(["replace", "remove"]))
    exact = changed.filter(pl.col("group_no").is_not_null())
    anywhere = changed.filter(pl.col("group_no").is_null())
    new = pl.col("action", "suggested_code")
    after = (
        before.join(
            exact.select(*_KEY, "code", "group_no", "code_no", new),
            on=[*_KEY, "code", "group_no", "code_no"],
            how="left",
            nulls_equal=True,
        )
        .join(anywhere.select(*_KEY, "code", new), on=[*_KEY, "code"], how="left", suffix="_anywhere")
        .with_columns(
            action=pl.coalesce("action", "action_anywhere"),
            new_code=pl.coalesce("suggested_code", "suggested_code_anywhere"),
        )
    )
    kept = _changed_places(after).filter(pl.col("action").fill_null("") != "remove")
    promoted = _promoted(kept, after)
    added = _added(edits.filter(action="add"), before)
    return (
        pl.concat([promoted.select("variant", *CODES), added])
        .select("variant", *(pl.col(name).cast(dtype) for name, dtype in CODES.items()))
        .sort("variant", "contact_id", "role", "group_no", "code_no", "code", nulls_last=True)
    )


def _changed_places(after: pl.DataFrame) -> pl.DataFrame:
    """New codes in place; another condition that has become the main one gives its place to the old one."""
    mains = (
        after.filter((pl.col("action") == "replace") & (pl.col("role") == "main"))
        .select(*_KEY, old_code="code", code="new_code")
        .unique([*_KEY, "code"], keep="first", maintain_order=True)
    )
    is_other = (pl.col("role") == "other") & pl.col("action").is_null()
    return (
        after.join(mains, on=[*_KEY, "code"], how="left")
        .with_columns(code=pl.coalesce("new_code", pl.when(is_other).then("old_code"), "code"))
        .drop("old_code")
    )


def _promoted(kept: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Where the main condition went, the first of the others becomes the main one."""
    gone = after.filter((pl.col("action") == "remove") & (pl.col("role") == "main")).select(_KEY).unique()
    left = kept.filter(role="main").select(_KEY).unique()
    bare = gone.join(left, on=_KEY, how="anti")
    first = kept.filter(role="other").join(bare, on=_KEY).group_by(_KEY).agg(first=pl.col("group_no").min())
    is_first = (pl.col("role") == "other") & (pl.col("group_no") == pl.col("first"))
    return kept.join(first, on=_KEY, how="left").with_columns(
        role=pl.when(is_first.fill_null(value=False)).then(pl.lit("main")).otherwise("role")
    )


def _added(missing: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Missing codes as conditions (or procedures) behind those of the contact."""
    last = before.group_by(_KEY).agg(last=pl.col("group_no").max(), stay_id=pl.col("stay_id").first())
    is_procedure = pl.col("suggested_code").str.extract("^(.*?)//").is_in(PROCEDURE_SYSTEMS)
    return (
        missing.select(*_KEY, "suggested_code")
        .unique()
        .sort(*_KEY, "suggested_code")
        .join(last, on=_KEY, how="left", maintain_order="left")
        .select(
            "variant",
            "contact_id",
            "stay_id",
            group_no=pl.col("last").fill_null(0) + 1 + pl.int_range(pl.len()).over(_KEY).cast(pl.Int32),
            code_no=pl.lit(1),
            role=pl.when(is_procedure).then(pl.lit("procedure")).otherwise(pl.lit("other")),
            code="suggested_code",
            sent=pl.lit(None),
            is_own_code=pl.lit(value=True),
            condition_group_no=pl.lit(None),
            day=pl.lit(None),
            lineage_id=pl.lit(None),
        )
        .select("variant", *(pl.col(name).cast(dtype) for name, dtype in CODES.items()))
    )
