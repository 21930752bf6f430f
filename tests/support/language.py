"""What a language model over glosses makes of a whole sentence."""

from __future__ import annotations

from collections.abc import Sequence

from app.pipeline.module3_sequence.ngram import END, NgramModel


def sentence_log_prob(model: NgramModel, labels: Sequence[int]) -> float:
    """Natural log-probability of the whole sentence, its end included."""
    context, total = model.start(), 0.0
    for label in (*labels, END):
        total += model.log_probs(context)[label]
        context = model.advance(context, label)
    return total
