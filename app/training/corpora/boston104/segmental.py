"""A lattice read as signs with a length: semi-Markov search with a duration model, for networks taught boundaries.

Where every step was taught which sign it belongs to (0 = between signs), a step's probabilities are those of a frame
classifier, and the hybrid of speech recognition applies (Bourlard and Morgan, 1994; segments as in Ostendorf et al.,
1996): find the signs w_1..w_n with their steps, gaps in between, that maximise

    sum over steps of   log p(label | step) - prior_weight * log p(label)            (minus gap_bias in gaps)
    + sum over signs of duration_weight * log N(log length; mean of w, spread) + length_bonus
    + lm_weight * log p_lm(w_1 .. w_n, end)

A clip has an end, so the end of the sentence counts, and a sign unlike all others must still fill its steps with
something: that is what a CTC blank, which may stand for anything, gives away.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.pipeline.module3_sequence.decoders import Hypothesis, TokenPath, checked_log_probs, tokens_of
from app.pipeline.module3_sequence.ngram import Context, NgramModel
from app.pipeline.module3_sequence.steps import BLANK

#: Stands for probability zero; finite, so that sums stay numbers.
_FLOOR = -1e4
#: Lengths seen of a gloss are drawn towards the mean over all glosses as if it had been seen so often more.
SHRINK = 2.0


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """The search and its weights, chosen on held-out sentences."""

    prior_weight: float = 0.5
    gap_bias: float = 1.0
    duration_weight: float = 1.0
    length_bonus: float = 0.0
    lm_weight: float = 1.0
    beam: int = 32
    """Contexts kept at every step."""
    longest: int = 24
    """Most steps of a sign."""


@dataclass(frozen=True)
class SignLengths:
    """How long signs last in training sentences, for labels 0..V-1."""

    log_prior: NDArray[np.float64]
    """(V,) log share of steps."""
    mean: NDArray[np.float64]
    """(V,) mean log length in steps."""
    spread: float
    """Of log lengths around these means."""

    @classmethod
    def fit(cls, sentences: Iterable[NDArray[np.int64]], signs: Iterable[tuple[int, float]], width: int) -> SignLengths:
        """sentences: labels of their steps; signs: (label, length in steps) of every sign; width: V.

        Every label counts one step more than seen, so none is impossible. Raises ValueError where there is no sign.
        """
        steps = np.ones(width)
        for labels in sentences:
            steps += np.bincount(labels, minlength=width)
        logs: dict[int, list[float]] = {}
        for label, length in signs:
            logs.setdefault(label, []).append(math.log(max(length, 1.0)))
        if not logs:
            raise ValueError("lengths of signs cannot be learnt from sentences without a sign")
        overall = float(np.mean([x for of_label in logs.values() for x in of_label]))
        mean = np.full(width, overall)
        for label, of_label in logs.items():
            mean[label] = (sum(of_label) + SHRINK * overall) / (len(of_label) + SHRINK)
        rest = [x - mean[label] for label, of_label in logs.items() for x in of_label]
        return cls(np.log(steps / steps.sum()), mean, max(float(np.std(rest)), 0.1))

    def save(self, path: Path) -> None:
        """Write JSON."""
        body = {
            "log_prior": [round(float(x), 4) for x in self.log_prior],
            "mean_log_steps": [round(float(x), 4) for x in self.mean],
            "spread": round(self.spread, 4),
        }
        path.write_text(json.dumps(body) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, width: int) -> SignLengths:
        """Read what `save` wrote for V = width. Raises ValueError for anything else, OSError where it is not there."""
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            prior, mean = (np.array(body[key], np.float64) for key in ("log_prior", "mean_log_steps"))
            spread = float(body["spread"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name} does not hold lengths of signs: {error}") from error
        if prior.shape != (width,) or mean.shape != (width,) or not np.isfinite([*prior, *mean]).all() or spread <= 0:
            raise ValueError(f"{path.name} does not hold lengths of the {width - 1} signs of this vocabulary")
        return cls(prior, mean, spread)


class SegmentDecoder:
    """The search; exact where nothing is pruned (beam and longest large enough). lm: None for no language model."""

    def __init__(self, lengths: SignLengths, config: SegmentConfig, lm: NgramModel | None = None) -> None:
        if config.beam < 1 or config.longest < 1:
            raise ValueError(f"beam and longest are at least 1, got {config.beam} and {config.longest}")
        if lm is not None and lm.num_labels != len(lengths.mean):
            raise ValueError(f"language model of {lm.num_labels} labels, lengths of {len(lengths.mean)}")
        self._lengths, self._config = lengths, config
        self._lm = lm if config.lm_weight else None
        steps = np.log(np.arange(1, config.longest + 1))[:, None]
        duration = -0.5 * ((steps - lengths.mean) / lengths.spread) ** 2 - math.log(
            lengths.spread * math.sqrt(2 * math.pi)
        )
        #: Score of a sign (column) for lasting so many steps (row + 1), the bonus for being one included.
        self._of_length = config.duration_weight * duration + config.length_bonus
        self._of_length[:, BLANK] = _FLOOR
        self._said: dict[Context, NDArray[np.float64]] = {}

    def decode(self, log_probs: ArrayLike) -> Hypothesis:
        """(S, V) log-probabilities of a whole clip -> its signs. Raises InvalidLattice."""
        rows = checked_log_probs(log_probs, len(self._lengths.mean))
        scores = np.maximum(rows.astype(np.float64), _FLOOR) - self._config.prior_weight * self._lengths.log_prior
        scores[:, BLANK] -= self._config.gap_bias
        total = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0)])
        # Per step: the best way to have got there with everything said, by language model context.
        ways: list[dict[Context, tuple[float, TokenPath | None]]] = [{} for _ in range(len(rows) + 1)]
        ways[0][self._lm.start() if self._lm else ()] = (0.0, None)
        for step, here in enumerate(ways[:-1]):
            best = sorted(here.items(), key=lambda way: -way[1][0])[: self._config.beam]
            for context, (score, path) in best:
                _keep(ways[step + 1], context, score + scores[step, BLANK], path)
            self._say(best, step, total, ways)
        ends = [(score + self._after(context)[BLANK], path) for context, (score, path) in ways[-1].items()]
        score, last = max(ends, key=lambda end: end[0])
        return Hypothesis(tokens_of(last), score)

    def _say(
        self,
        best: Sequence[tuple[Context, tuple[float, TokenPath | None]]],
        step: int,
        total: NDArray[np.float64],
        ways: list[dict[Context, tuple[float, TokenPath | None]]],
    ) -> None:
        """Every sign of every length from `step` on, after each of the ways to get there."""
        longest = min(self._config.longest, len(total) - 1 - step)
        lasting = total[step + 1 : step + 1 + longest] - total[step] + self._of_length[:longest]
        begun = np.stack([score + self._after(context) for context, (score, _) in best])
        begun[:, BLANK] = _FLOOR
        width = begun.shape[1]
        for length, of_sign in enumerate(lasting, 1):
            table = (begun + of_sign).ravel()
            count = min(self._config.beam, len(table))
            for place in np.argpartition(-table, count - 1)[:count].tolist():
                row, label = divmod(place, width)
                if label == BLANK:
                    continue
                context, (_, path) = best[row]
                after = self._lm.advance(context, label) if self._lm else ()
                _keep(ways[step + length], after, float(table[place]), (path, label, step, step + length))

    def _after(self, context: Context) -> NDArray[np.float64]:
        """(V,) weighted language model scores after a context, the end of the sentence at 0."""
        found = self._said.get(context)
        if found is None:
            given = self._lm.log_probs(context) if self._lm else np.zeros(len(self._lengths.mean))
            found = self._said[context] = self._config.lm_weight * np.asarray(given, np.float64)
        return found


def _keep(
    ways: dict[Context, tuple[float, TokenPath | None]], context: Context, score: float, path: TokenPath | None
) -> None:
    known = ways.get(context)
    if known is None or score > known[0]:
        ways[context] = (score, path)
