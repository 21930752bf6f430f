"""Engines that translate between English and Spanish."""
