"""Engines that read text aloud."""
