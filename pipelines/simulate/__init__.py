"""A synthetic Norwegian hospital with known truth."""
