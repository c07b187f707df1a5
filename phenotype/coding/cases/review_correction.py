"""Probabilities of findings, corrected by what reviewers found when they opened the stays.

Only the stays on top of the ranking are opened, so the answers are no fair sample. They are used by models
that are conditional on what the ranking saw: a rule's own precision by unit, and for expectations the
probability, the code group and the amount. Given these, which stays were opened tells nothing more about the
answers, and the selection can be ignored (Rubin 1976, doi:10.1093/biomet/63.3.581). Whether that holds is
seen on stays opened at random: see `check_reviews`. Answers "cannot tell" say nothing about right or wrong
and are only counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import betaln, ndtr

from phenotype.coding.cases.names import EXPECTED
from phenotype.coding.rules.rules import Prior, Rule
from phenotype.link import logit, sigmoid
from phenotype.threads import one_algebra_thread

Floats = npt.NDArray[np.float64]
MEANS = 199
CONCENTRATIONS = np.geomspace(1.0, 1000.0, 25)
"""How alike units are: pseudo-counts that the rule's precision is worth in each unit; all magnitudes from 1
to 1000 are equally likely beforehand (our assumption)."""
SD_LEVEL, SD_SLOPE, SD_GROUP, SD_AMOUNT = 0.7, 0.4, 0.3, 0.3
"""Spread of the priors of the recalibration: level, slope (around 1), code group, standardised log amount
(our assumption: a model that was calibrated out of fold is believed until answers say otherwise)."""
LEAST = 1e-4
CHECKS = pl.Schema(
    {
        "kind": pl.String(),
        "drawn": pl.String(),
        "n": pl.Int64(),
        "cannot_tell": pl.Int64(),
        "agreed": pl.Float64(),
        "expected": pl.Float64(),
        "p_value": pl.Float64(),
    }
)
"""Answers against what was expected of them: n findings with an answer of agree or disagree, how many were
agreed with, how many should have been by their probabilities, and how likely so great a difference is by
chance."""


def settled(reviews: pl.DataFrame) -> pl.DataFrame:
    """What reviewers made of each finding.

    Args:
        reviews: columns of REVIEWS in the order in which they were kept; a role's later answer (by date, then
            by order) replaces its earlier one.

    Returns:
        finding_id, right (the share of roles that agree among those that can tell; null where none can),
        drawn, sorted by finding_id.
    """
    last = (
        reviews.with_row_index("at")
        .sort("finding_id", "date", "at")
        .unique(["finding_id", "reviewer_role"], keep="last", maintain_order=True)
    )
    right = pl.col("answer").replace_strict({"agree": 1.0, "disagree": 0.0, "cannot_tell": None})
    return (
        last.with_columns(right=right)
        .group_by("finding_id")
        .agg(pl.col("right").mean(), drawn=pl.col("drawn").last())
        .sort("finding_id")
    )


def correct_probabilities(
    findings: pl.DataFrame, reviews: pl.DataFrame, rules: Iterable[Rule]
) -> pl.DataFrame:
    """The findings with probabilities that take the answers into account.

    A rule's precision in each unit is estimated by a Beta-binomial model whose mean has the rule's own prior,
    units drawing on each other as far as they are alike. Expectations are recalibrated on the logit scale,
    kind by kind, with priors that leave them alone where answers are few. A finding that was answered gets
    its answer: 1, 0, or the share of roles that agree.

    Args:
        findings: columns of FINDINGS; a null probability stays null.
        reviews: columns of REVIEWS, in the order in which they were kept.
        rules: the rules with their priors.

    Returns:
        The same rows, columns and order.
    """
    answers = settled(reviews)
    rows = findings.with_row_index("at").join(answers, on="finding_id", how="left", maintain_order="left")
    priors = {rule.id: rule.prior for rule in rules}
    probability = findings["probability"].to_numpy().copy()
    for (rule_id,), of_rule in rows.filter(pl.col("rule_id").is_in(list(priors))).group_by("rule_id"):
        if of_rule["right"].count():
            probability[of_rule["at"].to_numpy()] = _of_rule(of_rule, priors[str(rule_id)])
    expected = rows.filter(pl.col("rule_id").str.starts_with(EXPECTED) & pl.col("probability").is_not_null())
    for _, of_kind in expected.group_by("kind"):
        if of_kind["right"].count():
            probability[of_kind["at"].to_numpy()] = _of_expectations(of_kind.sort("at"), of_kind["at"])
    corrected = pl.Series("probability", probability).fill_nan(None)
    was_null = findings["probability"].is_null()
    return findings.with_columns(
        probability=pl.coalesce(rows["right"], pl.select(pl.when(~was_null).then(corrected)).to_series())
    )


def _of_rule(rows: pl.DataFrame, prior: Prior) -> Floats:
    """One rule's corrected probabilities: their own logits, shifted to the unit's precision."""
    counts = (
        rows.filter(pl.col("right").is_not_null())
        .group_by("unit_id")
        .agg(right=pl.col("right").sum(), n=pl.len())
        .sort("unit_id")
    )
    right = counts["right"].to_numpy()
    of_units, of_others = pooled_precision(right, counts["n"].to_numpy() - right, prior)
    units = dict(zip(counts["unit_id"], of_units.tolist(), strict=True))
    precision = np.array([units.get(unit, of_others) for unit in rows["unit_id"]])
    stated = prior.right / (prior.right + prior.wrong)
    own = np.nan_to_num(rows["probability"].cast(pl.Float64).to_numpy(), nan=stated)
    return sigmoid(_logit(own) + _logit(precision) - _logit(np.array([stated])))


def pooled_precision(right: Floats, wrong: Floats, prior: Prior) -> tuple[Floats, float]:
    """The expected precision of each unit, and of a unit of which nothing is known.

    Units' precisions are drawn from Beta(m s, (1 - m) s); m has the rule's prior, s is uniform on the log
    scale. The posterior is summed over a grid of both, so no fitting can fail.

    **Source:** Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), section 5.3 (hierarchical
    Beta-binomial).

    Args:
        right: (U,) findings agreed with.
        wrong: (U,) findings disagreed with.
        prior: of the mean.
    """
    logits = np.linspace(-7.0, 7.0, MEANS)
    mean = sigmoid(logits)[:, None]
    # The density of m on the logit scale, on which the grid is even.
    log_prior = prior.right * np.log(mean) + prior.wrong * np.log1p(-mean)
    a, b = mean * CONCENTRATIONS, (1 - mean) * CONCENTRATIONS
    log_posterior = np.broadcast_to(log_prior, a.shape).copy()
    for k, w in zip(right, wrong, strict=True):
        log_posterior += betaln(a + k, b + w) - betaln(a, b)
    weight = np.exp(log_posterior - log_posterior.max())
    weight /= weight.sum()
    of_units = [float((weight * (a + k) / (a + b + k + w)).sum()) for k, w in zip(right, wrong, strict=True)]
    return np.array(of_units), float((weight * mean).sum())


@one_algebra_thread()
def _of_expectations(rows: pl.DataFrame, order: pl.Series) -> Floats:
    """The corrected probabilities of one kind of expectation, in the order asked for."""
    design, penalty = _design(rows)
    is_answered = rows["right"].is_not_null().to_numpy()
    offset = design[:, 1]
    right = rows["right"].drop_nulls().to_numpy()
    weights = _fit(design[is_answered], right, offset[is_answered], penalty)
    corrected = sigmoid(offset + design @ weights)
    at = {number: place for place, number in enumerate(rows["at"].to_list())}
    return corrected[[at[number] for number in order.to_list()]]


def _design(rows: pl.DataFrame) -> tuple[Floats, Floats]:
    """Level, logit, standardised log amount and code groups as columns, and their ridge penalties."""
    own = _logit(rows["probability"].to_numpy())
    amount = ((pl.col("amount_low_nok") + pl.col("amount_high_nok")) / 2).abs().log1p()
    log_amount = rows.select(amount.alias("amount"))["amount"]
    spread = float(np.nan_to_num(np.std(log_amount.drop_nulls().to_numpy()))) if log_amount.count() else 0.0
    middle = float(np.mean(log_amount.drop_nulls().to_numpy())) if log_amount.count() else 0.0
    told = np.nan_to_num((log_amount.cast(pl.Float64).to_numpy() - middle) / (spread or 1.0))
    groups = rows["rule_id"].unique().sort().to_list()
    place = np.array([groups.index(name) for name in rows["rule_id"]])
    of_group = np.zeros((rows.height, len(groups)))
    of_group[np.arange(rows.height), place] = 1.0
    design = np.column_stack([np.ones(rows.height), own, told, of_group])
    spreads = np.array([SD_LEVEL, SD_SLOPE, SD_AMOUNT, *[SD_GROUP] * len(groups)])
    return design, spreads**-2.0


def _fit(design: Floats, right: Floats, offset: Floats, penalty: Floats) -> Floats:
    """The weights with the highest posterior density, by Newton's method with halved steps."""
    weights = np.zeros(design.shape[1])

    def loss(at: Floats) -> float:
        """Minus the log posterior."""
        score = offset + design @ at
        return float(np.sum(np.logaddexp(0, score) - right * score) + (penalty * at**2).sum() / 2)

    for _ in range(50):
        risk = sigmoid(offset + design @ weights)
        gradient = design.T @ (risk - right) + penalty * weights
        curvature = (design * (risk * (1 - risk))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        while loss(weights - step) > loss(weights) and np.abs(step).max() > 1e-10:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _logit(probability: Floats) -> Floats:
    return logit(np.clip(probability, LEAST, 1 - LEAST))


def check_reviews(findings: pl.DataFrame, reviews: pl.DataFrame) -> pl.DataFrame:
    """Whether answers agree with the probabilities, for stays opened for their rank and at random apart.

    Where those opened at random differ and those on top do not, the ranking looked at something that the
    probabilities leave out, and they should not be believed below the top.

    Args:
        findings: columns of FINDINGS with the probabilities before the answers were known, or corrected by
            other answers than these.
        reviews: columns of REVIEWS.

    Returns:
        Columns of CHECKS, sorted; the p-value is two-sided, of the normal approximation with continuity
        correction.
    """
    told = settled(reviews).join(findings.select("finding_id", "kind", "probability"), on="finding_id")
    can_tell = pl.col("right").is_not_null() & pl.col("probability").is_not_null()
    p = pl.col("probability").filter(can_tell)
    counted = told.group_by("kind", "drawn").agg(
        n=can_tell.sum(),
        cannot_tell=pl.col("right").is_null().sum(),
        agreed=pl.col("right").filter(can_tell).sum(),
        expected=p.sum(),
        sd=(p * (1 - p)).sum().sqrt(),
    )
    apart = ((pl.col("agreed") - pl.col("expected")).abs() - 0.5).clip(lower_bound=0.0) / pl.col("sd")
    z = counted.select(apart.alias("z"))["z"].to_numpy()
    return (
        counted.with_columns(p_value=pl.Series(2 * ndtr(-z)).fill_nan(None))
        .select(pl.col(name).cast(dtype) for name, dtype in CHECKS.items())
        .sort("kind", "drawn")
    )


def answer_counts(reviews: pl.DataFrame, finding_ids: Sequence[str]) -> Mapping[str, int]:
    """How many of some findings were agreed with, disagreed with, or could not be told.

    Args:
        reviews: columns of REVIEWS; one on which roles are not at one counts as cannot_tell.
        finding_ids: which findings.
    """
    told = settled(reviews).filter(pl.col("finding_id").is_in(list(finding_ids)))["right"].to_list()
    return {
        "agree": sum(right == 1.0 for right in told),
        "disagree": sum(right == 0.0 for right in told),
        "cannot_tell": sum(right not in {0.0, 1.0} for right in told),
    }
