"""Findings gathered into cases, the order in which stays are opened, and what reviewers answer."""
