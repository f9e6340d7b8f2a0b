"""What counts requests: in this process, or in Redis for all processes together."""
