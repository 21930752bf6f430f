"""A corpus of one's own: a folder of videos or landmarks with the table clips.csv."""
