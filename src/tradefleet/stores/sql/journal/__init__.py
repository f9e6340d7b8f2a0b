"""The hot path: many users' records, written in one transaction with few, large statements."""
