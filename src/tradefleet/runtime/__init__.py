"""Where asyncio lives: feeds, hosts, journal, lanes."""
