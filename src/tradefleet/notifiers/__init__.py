"""Ways to reach a user outside a conversation: one per file."""
