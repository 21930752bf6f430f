"""Accounts: who people are, how they sign in, their API keys, and how every door learns who asks."""
