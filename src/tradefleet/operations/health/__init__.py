"""Measures how the service is, judges it by the rules in alerts/, and ends what hangs."""
