"""What an audit is asked to do: a typed configuration, YAML in and resolved YAML out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from experiments.config import Settings, with_overrides
from ontology.configuration import find_config, read_yaml, validate
from ontology.errors import ConfigurationError, Problem
from phenotype.coding.cases.order import Capacity

By = Literal["region", "hospital", "unit"]
BYS: tuple[By, ...] = get_args(By)
"""The widest first."""


class RatesConfig(Settings):
    """Whose rates are judged.

    Attributes:
        by: a ward or clinic, its hospital, or the health region of the patients' homes.
        settings: a file with how units are compared; null: configs/coding/units.yaml.
    """

    by: tuple[By, ...] = Field(default=("unit", "hospital"), min_length=1)
    settings: Path | None = None


class DriftConfig(Settings):
    """Whose practice is watched over time.

    Attributes:
        by: as in rates.
        settings: a file with how it is watched; null: the shipped one.
    """

    by: By = "unit"
    settings: Path | None = None


class MoneyConfig(Settings):
    """How findings are priced.

    Attributes:
        grouper: `record`: the groups that the record tells; `toy`: the simulated hospital's; or a table with
            contact_id and drg, and a variant where suggestions were grouped again.
        weights: the weight table of the groups; null: points are those that the record or the grouper tells.
        prices: files laid over configs/settlement/prices.yaml.
    """

    grouper: Literal["record", "toy"] | Path = "record"
    weights: Path | None = None
    prices: tuple[Path, ...] = ()


class AuditConfig(Settings):
    """One audit.

    Attributes:
        name: what it is called.
        rules, measures: files, ids or paths; null: all that ship.
        rates, drift, expected, agreement, money: null leaves the part out.
        facts: where facts about contacts stand; null: configs/coding/contact_facts.yaml.
        reviews: sheets that reviewers have answered; kept with the audit.
        capacity: how many stays can be opened.
        ontology: a release's folder; null: the one in use.
        seed: of what is drawn.
    """

    name: str
    rules: tuple[str, ...] | None = None
    measures: tuple[str, ...] | None = None
    rates: RatesConfig | None = RatesConfig()
    drift: DriftConfig | None = DriftConfig()
    expected: str | None = "expected"
    agreement: str | None = "agreement"
    money: MoneyConfig | None = MoneyConfig()
    facts: Path | None = None
    reviews: tuple[Path, ...] = ()
    capacity: Capacity = Capacity()
    ontology: Path | None = None
    seed: int = 1

    def with_options(
        self,
        *,
        rules: tuple[str, ...] | None,
        weights: Path | None,
        prices: tuple[Path, ...],
        reviews: tuple[Path, ...],
        ontology: Path | None,
    ) -> AuditConfig:
        """The same with what the command line gives in place, paths whole.

        Raises:
            ConfigurationError: weights or prices, where money is left out; weights, where the toy groups.
        """
        money = self.money
        if (weights or prices) and money is None:
            raise ConfigurationError(
                Problem(
                    "weights or prices are given, and money is left out",
                    where="--weights, --prices",
                    found="money: null",
                    allowed="a configuration with money",
                    next_step="give money its settings, or leave the options out",
                )
            )
        if money is not None:
            if money.grouper == "toy" and (weights or money.weights):
                raise ConfigurationError(
                    Problem(
                        "weights are given for groups that the toy grouper does not make",
                        where="--weights, money.weights",
                        found="money.grouper: toy, which has weights of its own",
                        allowed="weights beside groups that the record or your grouper's output tells",
                        next_step="leave the weights out, or give money.grouper: record or a table of groups",
                    )
                )
            money = money.model_copy(
                update={
                    "weights": _whole(weights or money.weights),
                    "prices": tuple(path.resolve() for path in (*money.prices, *prices)),
                }
            )
        return self.model_copy(
            update={
                "money": money,
                "rules": rules or self.rules,
                "reviews": tuple(path.resolve() for path in (*self.reviews, *reviews)),
                "ontology": _whole(ontology or self.ontology),
            }
        )


def load_audit_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> AuditConfig:
    """An audit's configuration with the command line's overrides in place.

    Args:
        name_or_path: a path, or the name of a file in configs/audits/.
        overrides: `a.b=value` texts; the value is read as YAML.

    Raises:
        ConfigurationError: every fault of the file and the overrides, at once.
    """
    content = with_overrides(read_yaml(find_config("audits", name_or_path)), overrides)
    return validate(AuditConfig, content, where=str(name_or_path))


def _whole(path: Path | None) -> Path | None:
    return path and path.resolve()
