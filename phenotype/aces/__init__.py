"""Tasks written for ACES: read, judged and evaluated over a whole dataset at once."""
