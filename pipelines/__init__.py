"""The outer door: sources in, reports and services out, the command line."""
