"""Sends users' events to where they want them: a queue that survives, and a careful client."""
