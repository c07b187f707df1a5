"""Readers of records: each turns one kind of source into a dataset."""
