"""One person, many sources: datasets made under one key become one dataset."""

from __future__ import annotations

from pipelines.joining.account import JoinAccount
from pipelines.joining.datasets import join_datasets
from pipelines.joining.rule import JoinRule, load_rule

__all__ = ["JoinAccount", "JoinRule", "join_datasets", "load_rule"]
