"""Brings alerts to people: Slack, Discord, a webhook, Telegram, and whatever Apprise reaches."""
