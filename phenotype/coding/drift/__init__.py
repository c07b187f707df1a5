"""Practice over time, with what is known to have changed it."""
