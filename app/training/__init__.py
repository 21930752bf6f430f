"""Datasets, augmentation, phrase composition, trainer, evaluation."""
