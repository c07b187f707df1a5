"""Phenotype definitions: the language, what it means over a dataset, and how it reads in words."""
