"""Reasons: value functions, attributions and the sentences that say them."""
