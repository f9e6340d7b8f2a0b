"""What keeps the service healthy and what its operator runs: start-up, checks, upkeep."""
