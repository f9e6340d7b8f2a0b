"""Where hosts run."""
