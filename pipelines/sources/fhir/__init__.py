"""FHIR R4 in bulk: NDJSON folders, Bundles and single resources become the columns of tables."""
