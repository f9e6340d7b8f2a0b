"""Tradefleet: thousands of users' trading bots, side by side, in one service."""

__version__ = "0.1.0"
