"""The prototype signer: an averaged performance of every gloss that belongs to nobody, as landmarks and as video."""
