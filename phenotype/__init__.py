"""What can be computed from trajectories: labels, features, networks, predictions, explanations."""
