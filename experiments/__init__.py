"""The laboratory: configuration, splits, training, evaluation, tracking."""
