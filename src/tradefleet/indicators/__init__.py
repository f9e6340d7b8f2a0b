"""Streaming indicators: one bar in, values out; pure."""
