"""The audit log over the years: its keys, looking all of it through, and checkpoints of it."""
