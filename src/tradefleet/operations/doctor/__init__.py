"""What `tradefleet doctor` looks at, each with its cure."""
