"""Signing in: by password, Telegram or a one-time link; sessions, their renewal and their end."""
