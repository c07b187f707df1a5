"""What findings are worth: groups, weights, prices, and how the public cases were settled."""
