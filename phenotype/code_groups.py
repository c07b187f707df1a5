"""Codes of a dataset counted as concepts above them: the roll-up that features ask for."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ontology.errors import ConfigurationError, Problem
from ontology.release import FOLDER_VARIABLE, Ontology, active_ontology
from ontology.systems import SYSTEMS
from phenotype.feature_spec import FeatureSpec, RollUp

GROUPS = pl.Schema({"code": pl.String(), "concept": pl.String()})


def concepts_above(codes: Sequence[str], spec: FeatureSpec) -> pl.DataFrame:
    """The nearest concept of each asked-for level above codes, by the ontology in use.

    Args:
        codes: codes as events have them; those of other systems have nothing above.
        spec: whose roll_up names the levels.

    Returns:
        Columns of GROUPS, unique and sorted; a code is never above itself.

    Raises:
        ConfigurationError: a level that the system does not have, or another ontology than the features were
            fitted with.
    """
    ontology = active_ontology().with_codes(codes)
    _check(spec, ontology)
    held = pl.DataFrame({"code": codes}, schema={"code": pl.String()})
    found = [
        held.with_columns(concept=ontology.roll_up(held["code"], f"{rule.system}//{rule.level}"))
        for rule in spec.roll_up
        if rule.level in ontology.levels(rule.system)
    ]
    pairs = pl.concat([pl.DataFrame(schema=GROUPS), *found]).drop_nulls()
    return pairs.filter(pl.col("code") != pl.col("concept")).unique().sort("code", "concept")


def replaced_codes(groups: pl.DataFrame, spec: FeatureSpec) -> set[str]:
    """The codes that only count as the concept above them.

    A code that is itself a concept of an asked-for level (a category, where categories are asked for beside
    chapters) stays, whether or not other patients have codes below it.

    Args:
        groups: as `concepts_above` gives them.
        spec: whose roll_up says which concepts replace their codes.
    """
    taking = {rule.system for rule in spec.roll_up if not rule.keep_codes}
    codes = set(groups.filter(pl.col("concept").str.split("//").list.first().is_in(taking))["code"])
    ontology = active_ontology().with_codes(codes)
    asked = {(rule.system, rule.level) for rule in spec.roll_up}
    return {code for code in codes if (ontology.system_of(code), ontology.level(code)) not in asked}


def fitted_spec(spec: FeatureSpec) -> FeatureSpec:
    """The specification with the digest of the active ontology, where it rolls codes up."""
    if not spec.roll_up:
        return spec
    return spec.model_copy(update={"ontology_digest": active_ontology().digest})


def _check(spec: FeatureSpec, ontology: Ontology) -> None:
    if spec.ontology_digest not in {None, ontology.digest}:
        raise ConfigurationError(
            Problem(
                "the model's features were made with another ontology",
                where="features.ontology_digest",
                found=f"digest {ontology.digest[:12]}",
                allowed=f"digest {str(spec.ontology_digest)[:12]}",
                next_step=f"name the model's own ontology in {FOLDER_VARIABLE}, or train it again",
            )
        )
    problems = [_unknown(rule, ontology) for rule in spec.roll_up if not _is_known(rule, ontology)]
    if problems:
        raise ConfigurationError(problems)


def _is_known(rule: RollUp, ontology: Ontology) -> bool:
    """Whether the system has the level, or is one of which these data have no code."""
    levels = ontology.levels(rule.system)
    return rule.level in levels if levels else rule.system in SYSTEMS


def _unknown(rule: RollUp, ontology: Ontology) -> Problem:
    levels = ontology.levels(rule.system)
    return Problem(
        f"the ontology has no level {rule.level} of {rule.system}",
        where="features.roll_up",
        found=rule.level,
        allowed=", ".join(levels) if levels else f"a system that is known: {', '.join(sorted(SYSTEMS))}",
        next_step="name one of these, or build an ontology that holds the system",
    )
