"""One network a file, plain torch."""
