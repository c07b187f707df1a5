"""What expectations of coding are asked to be: which groups, from what, by which models, how told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import read_yaml, validate
from phenotype.feature_spec import FeatureSpec


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GroupsConfig(_Part):
    """Which groups of codes are judged.

    Attributes:
        levels: code system of the ontology -> the level whose concepts are groups.
        min_stays: stays that a group must be coded in.
        min_subjects: patients that a group must be coded of.
        max_groups: the commonest groups that are judged.
        exclude: concepts that are no groups: asterisk codes stand with their dagger's and are left to rules.
    """

    levels: Mapping[str, str] = {"ICD10": "category", "ICD9CM": "category"}
    min_stays: int = Field(default=50, ge=2)
    min_subjects: int = Field(default=20, ge=2)
    max_groups: int = Field(default=100, ge=1)
    exclude: tuple[str, ...] = ()


class TreesConfig(_Part):
    """Boosted trees, one set a group.

    Attributes:
        learning_rate: shrinkage of each tree.
        n_leaves: leaves of a tree.
        min_leaf_rows: training stays that a leaf needs.
        feature_share: share of columns that each tree sees.
        row_share: share of stays that each tree sees.
        l2: penalty on leaf values.
        random_splits: whether a node tries one random threshold a column: less variance where stays are few.
        max_trees: where boosting ends at the latest.
        patience: trees without a better tuning score before boosting ends.
        few_trees: where too few tuning stays have a group to tell when to stop.
        max_columns: the features that most training patients hold, so many.
    """

    learning_rate: float = Field(default=0.15, gt=0)
    n_leaves: int = Field(default=8, ge=2)
    min_leaf_rows: int = Field(default=20, ge=1)
    feature_share: float = Field(default=0.2, gt=0, le=1)
    row_share: float = Field(default=0.5, gt=0, le=1)
    l2: float = Field(default=5.0, ge=0)
    random_splits: bool = False
    max_trees: int = Field(default=120, ge=1)
    patience: int = Field(default=8, ge=1)
    few_trees: int = Field(default=25, ge=1)
    max_columns: int = Field(default=800, ge=1)


class NetworkSettings(_Part):
    """One multi-label network.

    Attributes:
        max_variables: codes that are read: those that most training patients have.
        width: hidden units of each member.
        n_members: networks that share their weights.
        n_queries: attention heads over windows of time; 0 leaves the windows out.
        max_epochs: passes over the training stays.
        patience: epochs without a better tuning loss before training ends.
        learning_rate: of AdamW.
        min_subjects: training patients that a code needs to be read.
    """

    max_variables: int = Field(default=256, ge=1)
    width: int = Field(default=128, ge=8)
    n_members: int = Field(default=4, ge=1)
    n_queries: int = Field(default=1, ge=0)
    max_epochs: int = Field(default=6, ge=1)
    patience: int = Field(default=2, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    min_subjects: int = Field(default=20, ge=1)

    @property
    def digest(self) -> str:
        """A name for these settings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]


class NoiseConfig(_Part):
    """How noisy coding is taken to be.

    Attributes:
        high_share: so many of the stays of each unit and year, as a share of those coded with a group, that
            it is most expected of: they tell the sensitivity of coding.
        low_share: the share of each unit's stays that it is least expected of: they tell the share coded
            falsely.
        min_anchors: at least so many stays each.
        complete_prior: the sensitivity of coding where no group's anchors tell it.
        many_anchors: of a group that tells what is usual.
        usual_stays: how many anchors the usual sensitivity weighs against a group's own.
        usual_low_stays: how many the usual false share weighs.
        largest_usual: the usual false share is at most this share of a group's average where it stands for
            the group's own.
        confident_weight: of the sensitivity as confident learning estimates it, beside the anchors.
        confident_weight_false: of the false share as confident learning estimates it.
        unit_prior: expected errors that the surrounding unit's ratio weighs against a unit's own.
        pair_prior: expected pairs of codes that all units' ratio weighs against a unit's own.
        largest_pair_ratio: what a unit confuses more than all units changes the odds of an error at most so
            many times.
        largest_alternative: what all units code in each other's place changes them at most so many times.
        least_sensitivity: anchors coded less often tell nothing of sensitivity: nothing tells a careless
            coder from models that are never sure.
        largest_false: low anchors coded more often than this share of the group's average tell nothing of
            codes that are false, for the same reason.
        false_prior: the false share, as a share of the groups' average, where no group's anchors tell it.
        max_probability: what the models hold for certain is this probable without a reviewer; less in
            proportion.
        max_unsupported: a code of which the record shows no trace is wrong with less than this probability:
            what it was coded from need not have been recorded.
    """

    high_share: float = Field(default=0.5, gt=0, le=1)
    low_share: float = Field(default=0.3, gt=0, lt=1)
    min_anchors: int = Field(default=30, ge=1)
    complete_prior: float = Field(default=0.97, gt=0, lt=1)
    many_anchors: int = Field(default=100, ge=1)
    usual_stays: float = Field(default=50.0, ge=0)
    usual_low_stays: float = Field(default=2000.0, ge=0)
    largest_usual: float = Field(default=0.5, gt=0, le=1)
    confident_weight: float = Field(default=0.1, ge=0, le=1)
    confident_weight_false: float = Field(default=0.1, ge=0, le=1)
    unit_prior: float = Field(default=5.0, gt=0)
    pair_prior: float = Field(default=5.0, gt=0)
    largest_pair_ratio: float = Field(default=2.0, ge=1)
    largest_alternative: float = Field(default=10.0, ge=1)
    least_sensitivity: float = Field(default=0.8, gt=0, lt=1)
    false_prior: float = Field(default=0.02, gt=0, lt=1)
    largest_false: float = Field(default=0.15, gt=0, lt=1)
    max_probability: float = Field(default=0.97, gt=0, lt=1)
    max_unsupported: float = Field(default=0.7, gt=0, le=1)


class FindingsConfig(_Part):
    """Which doubts become findings.

    Attributes:
        min_probability: that the coding is wrong, by kind.
        max_findings: of each kind, the most probable ones.
        n_explained: findings of each kind that get reasons, the most probable ones.
        n_reasons: concepts told of each.
        min_contribution: log odds below which a concept is not told: 0.05 changes the odds by a twentieth.
        chance_rate: null: what tells the trees is told. Else those features alone that go with the group
            among the training stays, so many of them by chance; the rest is told together. Where stays are
            few and features many, trees find reasons in any of them.
        min_main_share: of the stays that a group is coded in, so many have it as the main condition, before
            it is told to be a better one: some conditions accompany others and are hardly ever the main one.
    """

    min_probability: Mapping[str, float] = {
        "missing": 0.2,
        "unsupported": 0.15,
        "main_condition": 0.2,
        "unspecific": 0.2,
    }
    max_findings: int = Field(default=20_000, ge=1)
    n_explained: int = Field(default=50, ge=0)
    n_reasons: int = Field(default=6, ge=1)
    min_contribution: float = Field(default=0.05, ge=0)
    chance_rate: float | None = Field(default=None, gt=0, lt=1)
    min_main_share: float = Field(default=0.05, ge=0, le=1)


class ExpectedConfig(_Part):
    """Expectations of coding.

    Attributes:
        groups: which groups of codes.
        care_levels: of the stays that are judged; null: all.
        held_back: beginnings of event codes that tell what a stay was coded with, or what a grouper made
            of it:
            they are known only after the stay they belong to. Codes of the systems that diagnoses are coded
            in are held back whatever stands here.
        features: what trees read.
        exclude: beginnings of event codes that nobody reads.
        circumstances: a file in configs/coding, or a path: what may not explain a coding, see
            `circumstances.Circumstances`; null: everything may.
        n_folds: of patients.
        tuning_fraction: share of training patients who decide when boosting stops.
        seed: of folds and models.
        trees: their settings.
        network: null: trees alone.
        noise: how noisy coding is.
        findings: what is told.
    """

    groups: GroupsConfig = GroupsConfig()
    care_levels: tuple[str, ...] | None = ("icu", "inpatient", "day", "emergency")
    held_back: tuple[str, ...] = ("DRG//", "ISF//")
    features: FeatureSpec = FeatureSpec(
        windows=("7d", "full"), aggregations=("count", "min", "max", "time_since"), min_subjects=20
    )
    exclude: tuple[str, ...] = ("SCORE//",)
    circumstances: str | None = "circumstances"
    n_folds: int = Field(default=5, ge=2)
    tuning_fraction: float = Field(default=0.15, gt=0, lt=1)
    seed: int = 1
    trees: TreesConfig = TreesConfig()
    network: NetworkSettings | None = None
    noise: NoiseConfig = NoiseConfig()
    findings: FindingsConfig = FindingsConfig()

    @classmethod
    def load(cls, path: Path) -> Self:
        """The configuration that a YAML file holds.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return validate(cls, read_yaml(path), where=str(path))
