"""Addresses and shapes that clients of earlier services know, besides those of /api/v1."""
