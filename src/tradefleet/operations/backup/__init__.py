"""Copies of the whole database: made while it is written, sealed, tried out, kept, brought back."""
