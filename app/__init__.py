"""Glossline: live captions for sign language."""

__version__ = "0.1.0"
