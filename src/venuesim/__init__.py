"""Simulated venues that speak the real wire protocols; knows nothing of tradefleet."""
