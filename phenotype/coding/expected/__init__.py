"""Codes that the rest of a stay's record lets one expect, held against those that are coded."""
