"""Tradefleet: thousands of users' trading bots, side by side, in one service."""
