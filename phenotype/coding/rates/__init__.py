"""Rates of units against what is expected of their patients."""
