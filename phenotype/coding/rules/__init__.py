"""Coding rules as data, and contacts judged by them."""
