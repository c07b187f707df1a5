"""Rules about codes: form, presence among the lists, validity on a day, and patients who cannot have them."""

from __future__ import annotations

import polars as pl

from ontology.normalising import normalise
from ontology.release import active_ontology
from ontology.systems import SYSTEMS, compact, parts, reading
from ontology.validity import valid_on
from pipelines.quality.outcomes import Outcome, counted
from pipelines.quality.rules import CodeForm, OutsideValidity, SpecificCode, UnknownCode
from pipelines.quality.surroundings import Surroundings


def _codes(tally: pl.DataFrame) -> pl.DataFrame:
    """system, code, n_events over all days."""
    return tally.group_by("system", "code").agg(pl.col("n_events").sum())


def conclude_form(_: CodeForm, tally: pl.DataFrame, __: Surroundings) -> Outcome:
    """By system that has forms: events, and those whose code does not look like one of it."""
    codes = _codes(tally).filter(
        pl.col("system").is_in([name for name, system in SYSTEMS.items() if system.forms])
    )
    is_odd = {code: reading(*parts(code)).level is None for code in codes["code"]}
    return _shares(codes, is_odd, "no codes of a system whose codes have a form")


def conclude_unknown(rule: UnknownCode, tally: pl.DataFrame, __: Surroundings) -> Outcome:
    """By system of which anything is listed: events, and those whose code is not (or only its parent is)."""
    ontology = active_ontology()
    listed = set(ontology.system.concepts["system"].unique())
    above = {name: SYSTEMS[name].placed_under for name in SYSTEMS}
    codes = _codes(tally).filter(pl.col("system").is_in([*listed, *(n for n in above if above[n] in listed)]))
    found = normalise(codes["code"], ontology) if codes.height else pl.DataFrame(schema={"sent": pl.String})
    how = dict(found.select("sent", "how").iter_rows()) if codes.height else {}
    is_unknown = {code: how.get(code) == rule.how for code in codes["code"]}
    return _shares(codes, is_unknown, "the ontology lists no system of these data")


def _shares(codes: pl.DataFrame, is_wrong: dict[str, bool], reason: str) -> Outcome:
    """Events by system and how many have a wrong code; the codes and their counts are details."""
    if not codes.height:
        return Outcome(counted(pl.DataFrame({"n_rows": [0], "n_violated": [0]})), reason=reason)
    wrong = pl.col("code").replace_strict(is_wrong, return_dtype=pl.Boolean)
    marked = codes.with_columns(is_wrong=wrong)
    found = marked.group_by(concept="system").agg(
        n_rows=pl.col("n_events").sum(), n_violated=pl.col("n_events").filter("is_wrong").sum()
    )
    named = marked.filter("is_wrong").select("system", "code", "n_events")
    return Outcome(counted(found), named.sort("n_events", "code", descending=[True, False]))


def conclude_validity(_: OutsideValidity, tally: pl.DataFrame, __: Surroundings) -> Outcome:
    """By system and year: events whose day the lists cover, and those whose code does not hold on it."""
    dated = tally.filter(pl.col("day").is_not_null() & pl.col("system").is_in(list(SYSTEMS)))
    state = valid_on(active_ontology(), dated["code"], dated["day"])
    judged = dated.with_columns(state=state).filter(pl.col("state") != "not_judgeable")
    is_wrong = pl.col("state") == "not_valid"
    found = judged.group_by(concept="system", period=pl.col("day").dt.strftime("%Y")).agg(
        n_rows=pl.col("n_events").sum(), n_violated=pl.col("n_events").filter(is_wrong).sum()
    )
    named = judged.filter(is_wrong).group_by("system", "code").agg(pl.col("n_events").sum())
    counts = counted(found)
    reason = "" if counts.height else "the ontology in use has no dated list for these days"
    return Outcome(counts, named.sort("n_events", "code", descending=[True, False]), reason)


def count_specific(rule: SpecificCode, events: pl.DataFrame, _: Surroundings) -> pl.DataFrame:
    """By group of codes: events of patients whose sex or age is known, and those that cannot be."""
    systems = {group.system for group in rule.groups}
    asked = events.filter(pl.col("system").is_in(systems))
    plain = {code: compact(parts(code)[1]) for code in asked["code"].unique()}
    bare = pl.col("code").replace_strict(plain, default=None, return_dtype=pl.String)
    asked = asked.with_columns(bare=bare)
    found = []
    for group in rule.groups:
        is_asked = (pl.col("system") == group.system) & pl.col("bare").str.contains(f"^(?:{group.pattern})")
        wrongs, knowns = [], []
        if group.sex is not None:
            wrongs.append(pl.col("sex") != group.sex)
            knowns.append(pl.col("sex").is_not_null())
        for limit, is_beyond in (
            (group.youngest, pl.col("age_years") < (group.youngest or 0)),
            (group.oldest, pl.col("age_years") > (group.oldest or 0)),
        ):
            if limit is not None:
                wrongs.append(is_beyond)
                knowns.append(pl.col("age_years").is_not_null())
        rows = asked.filter(is_asked & pl.all_horizontal(knowns))
        n_wrong = int(rows.select(pl.any_horizontal(wrongs).sum()).item() or 0)
        found.append((group.title, rows.height, n_wrong))
    return pl.DataFrame(
        found, schema={"concept": pl.String, "n_rows": pl.Int64, "n_violated": pl.Int64}, orient="row"
    )
