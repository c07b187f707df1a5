"""Value sets: named sets of concepts by rule, from YAML, and what they hold of a dataset's codes."""
