"""Configuration as data: sources, tasks, runs, scenarios, labels."""
