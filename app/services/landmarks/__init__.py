"""The landmark engine in a process of its own, which may crash without ending the service."""
