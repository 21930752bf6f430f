"""Module 2: RGB stream, pose stream, gated fusion."""
