"""Building the prototype signer: averages of aligned recordings, one for each gloss."""
