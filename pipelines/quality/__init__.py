"""Quality checks as data: what a check says, what it counts in a dataset, and whether it holds."""
