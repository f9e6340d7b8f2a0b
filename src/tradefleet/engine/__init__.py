"""How a bot decides: pure, event in, effects out."""
