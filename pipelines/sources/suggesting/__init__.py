"""A first mapping for tables that nobody has described yet, for a person to correct."""

from pipelines.sources.suggesting.suggestion import suggest_mapping

__all__ = ["suggest_mapping"]
