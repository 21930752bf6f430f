"""Manifest corpora: a folder of videos or landmarks with the table clips.csv."""
