"""Signs that people teach: rows made of a few recordings, which stand beside a network's own glosses on equal terms.

A recording's embedding is the normalised mean of what the convolutions make of its steps with a hand (weight
imprinting, Qi et al. 2018, arXiv:1712.07136). The trained rows of a classifier cannot be compared with such rows, so
the question "a taught sign, or one of the known glosses?" is put to *prototypes* of the known glosses, made of
recordings in the same way:

    q = softmax(scale * cos(step, rows of the taught signs and prototypes of the known glosses that are read)),

less a margin for the taught ones,

and what the network itself says keeps its say in everything else. With Q the share of the taught signs in q,

    p'(blank) = p(blank)    p'(gloss) = p(gloss) * (1 - Q)    p'(taught t) = (1 - p(blank)) * q(t) * a
    p'(OTHER) = (1 - p(blank)) * Q * (1 - a),    a = sigmoid(scale * (largest cosine - other)),

and the rest is masked, as ever when fewer signs are read. OTHER stands for signs that look like none of those taught;
it is never shown, and what is hardly more probable than it is unsure. So the known glosses among themselves are read
exactly as without taught signs, and a lattice of these columns goes through windows, streams and decoders as any other.
Steps of the convolutions see a fifth of a second around them: a sign looks the same alone and in a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

#: The last gloss of a vocabulary with taught signs: a sign that was not taught.
OTHER = ""
#: Rows of one sign that are compared with: its mean, and recordings from the most to the least typical.
MAX_ROWS = 8
#: A sign's probability is not less than this, in log units, so that a mean over steps is never infinite.
_FLOOR = -60.0


class NoHands(ValueError):
    """A recording shows no hand, so there is nothing to learn from it."""


@dataclass(frozen=True, slots=True)
class TaughtConfig:
    """How taught signs are weighed, chosen on dev signers; part of a checkpoint's config."""

    scale: float = 14.0
    """Log units for a difference of one in cosine, > 0."""
    other: float = 0.4
    """The cosine from which on a sign rather is a taught one than some OTHER, -1..1."""
    margin: float = 0.06
    """By so much more a sign must look like a taught one than like a known gloss, as cosine: rows of the person who
    signs lie nearer than prototypes of other people."""
    reach: int = 3
    """Steps before and after a step that are averaged with it before they are compared, >= 0."""
    temperature: float = 1.2
    """Calibrates the confidence of readings with taught signs."""
    unsure: float = 0.5
    """Readings with a lower confidence are marked as unsure."""

    def __post_init__(self) -> None:
        positive = self.scale > 0 and self.temperature > 0 and self.reach >= 0
        if not (positive and -1 <= self.other <= 1 and 0 <= self.unsure <= 1):
            raise ValueError(f"settings of taught signs are out of range: {self}")


@dataclass(frozen=True, eq=False)
class TaughtSign:
    """One sign."""

    gloss: str
    rows: NDArray[np.float32]
    """(n, D), n >= 1, each of length one."""

    @classmethod
    def of(cls, gloss: str, embeddings: NDArray[np.floating]) -> TaughtSign:
        """From the embeddings (n, D) of its recordings, n >= 1. Raises ValueError for none, or for what is none."""
        recordings = np.asarray(embeddings, np.float32)
        if recordings.ndim != 2 or not len(recordings) or not np.isfinite(recordings).all():
            raise ValueError(f"{gloss}: expected finite embeddings (n, D), n >= 1, got {recordings.shape}")
        mean = unit(recordings.mean(axis=0))
        if len(recordings) == 1:
            return cls(gloss, mean[None])
        typical = recordings[np.argsort(-(recordings @ mean), kind="stable")]
        kept = np.unique(np.linspace(0, len(typical) - 1, min(len(typical), MAX_ROWS - 1)).round().astype(int))
        return cls(gloss, np.concatenate([mean[None], unit(typical[kept])]))


@dataclass(frozen=True, eq=False)
class TaughtSigns:
    """Signs that are read beside, or instead of, the known glosses. Raises ValueError for a gloss named twice."""

    signs: tuple[TaughtSign, ...]
    name: str = "taught"
    """What the answer calls this vocabulary."""
    sign_language: str | None = None
    """ISO 639-3 code; None: that of the recogniser."""
    space: str | None = None
    """`Recogniser.embedding_space` of their rows; None: whichever reads them."""

    def __post_init__(self) -> None:
        if not self.signs or len(set(self.glosses)) != len(self.signs):
            raise ValueError("taught signs are at least one, each named once")

    @property
    def glosses(self) -> tuple[str, ...]:
        return tuple(sign.gloss for sign in self.signs)

    @cached_property
    def rows(self) -> NDArray[np.float32]:
        """(R, D), the rows of all signs one after the other."""
        return np.concatenate([sign.rows for sign in self.signs])

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """(n,) the first row of each sign."""
        return np.cumsum([0, *(len(sign.rows) for sign in self.signs[:-1])])

    def cosines(self, looks: NDArray[np.floating]) -> NDArray[np.float32]:
        """(S, D) of length one -> (S, n): of the nearest row of each sign."""
        nearest: NDArray[np.float32] = np.maximum.reduceat(looks @ self.rows.T, self.starts, axis=1)
        return nearest


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """(..., D) -> the same, each of length one; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def embedding(looks: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Of one recording: (S, D) what its steps look like, and (S,) in which of them a hand was seen -> (D,) of length
    one. Raises NoHands."""
    if not seen.any():
        raise NoHands("no hand is seen in this recording")
    return unit(looks[seen].astype(np.float64).mean(axis=0))


def smoothed(looks: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """(S, D) -> the same, each step averaged with `reach` steps before and after it, of length one."""
    sums = np.cumsum(np.pad(looks, ((reach + 1, reach), (0, 0))), axis=0, dtype=np.float64)
    return unit(sums[2 * reach + 1 :] - sums[: len(looks)])


def with_taught(
    log_probs: NDArray[np.float32],
    looks: NDArray[np.float32],
    taught: TaughtSigns,
    columns: NDArray[np.intp],
    prototypes: NDArray[np.float32] | None,
    config: TaughtConfig,
) -> NDArray[np.float32]:
    """(S, 1 + V) log-probabilities and (S, D) looks of the same steps -> (S, len(columns) + n + 1), by the rule above.

    columns: the blank's and those of the known glosses that are read beside the taught signs. prototypes:
    (len(columns) - 1, D), theirs; None where there are none. The last column is that of OTHER.
    """
    near = smoothed(looks, config.reach)
    cosines = taught.cosines(near).astype(np.float64)
    scores = config.scale * (cosines - config.margin)
    own = _log_sum(scores)
    others = np.full((len(near), 1), -np.inf) if prototypes is None else _log_sum(config.scale * (near @ prototypes.T))
    signed = _log_sum(log_probs[:, 1:])
    known = log_probs[:, columns].astype(np.float64)
    total = np.logaddexp(own, others)
    known[:, 1:] += np.maximum(others - total, _FLOOR)
    margin = config.scale * (cosines.max(axis=1, keepdims=True) - config.other)
    mine = signed + np.maximum(scores - total - np.logaddexp(0, -margin), _FLOOR)
    other = signed + np.maximum(own - total - np.logaddexp(0, margin), _FLOOR)
    return np.concatenate([known, mine, other], axis=1).astype(np.float32)


def joined_columns(
    table: NDArray[np.float32], known: int, places: NDArray[np.intp], labels: int
) -> NDArray[np.float32]:
    """A table of `with_taught` with `known` columns in front (S, known + n) -> (S, 1 + labels): each taught sign, and
    OTHER, at its place; where a known gloss stands there, their probabilities are added.

    places: (n,), each once.
    """
    rows = np.full((len(table), 1 + labels), -np.inf, np.float32)
    rows[:, :known] = table[:, :known]
    rows[:, places] = np.logaddexp(rows[:, places], table[:, known:])
    return rows


def _log_sum(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """(S, n) -> (S, 1), in float64."""
    top = scores.max(axis=1, keepdims=True).astype(np.float64)
    return top + np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
