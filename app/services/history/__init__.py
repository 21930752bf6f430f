"""Stored captions of the accounts that asked for it."""
