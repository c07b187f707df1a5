"""Datasets in the forms of others: OMOP CDM and plain MEDS."""
