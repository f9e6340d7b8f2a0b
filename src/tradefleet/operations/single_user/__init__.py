"""Reads what a program for one user kept, and makes it one user's here."""
