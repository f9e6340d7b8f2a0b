"""Pure simulation: matching, costs, markets and backtests."""
