"""Benchmarks: our figures beside those of others and beside floors, in one run."""
