"""CTC decoders that are fed step by step: greedy best path and prefix beam search, with times and n-best.

A lattice is (S, V) natural log-probabilities, column 0 = blank, one row per step. The repeat rule is CTC's own
(Graves et al. 2006): one label on neighbouring steps is one token, with a blank between it is two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappush, heapreplace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.pipeline.module3_sequence.ngram import Context, NgramModel
from app.pipeline.module3_sequence.steps import BLANK

#: Highest value accepted as a log-probability: above 0 by the rounding of half precision.
MAX_LOG_PROB = 1e-2
_IMPOSSIBLE = -math.inf


class InvalidLattice(ValueError):
    """The input is not rows of log-probabilities (wrong shape, NaN, positive values, an impossible step)."""


@dataclass(frozen=True, slots=True)
class DecodedToken:
    """One label and the steps of its single most probable alignment."""

    label: int
    start_step: int
    """Step at which the label was first emitted."""
    end_step: int
    """Last step it was emitted at, plus one."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A label sequence and its total log score (sum over all its CTC paths, plus language model and length bonus)."""

    tokens: tuple[DecodedToken, ...]
    score: float

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(token.label for token in self.tokens)


class Decoder(Protocol):
    """A stateful CTC decoder. How the steps are cut into calls of `feed` never changes the result."""

    steps: int
    """Number of the next step: steps fed since the last reset, plus the step given to it."""

    def feed(self, log_probs: ArrayLike) -> None: ...

    def copy(self) -> Decoder: ...

    def best(self) -> Hypothesis: ...

    def committed(self) -> tuple[DecodedToken, ...]: ...

    def reset(self, step: int = 0) -> None: ...


def checked_log_probs(log_probs: ArrayLike, width: int | None = None) -> NDArray[np.floating]:
    """(n, V) log-probabilities as a floating array; `width` is the V it has to have.

    -inf (probability zero) is allowed as long as every step has something possible.
    Raises InvalidLattice otherwise, naming the fault.
    """
    rows = np.asarray(log_probs)
    if not np.issubdtype(rows.dtype, np.floating):
        raise InvalidLattice(f"log-probabilities must be floating point numbers, got {rows.dtype}")
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise InvalidLattice(f"expected log-probabilities of shape (steps, labels + blank), got {rows.shape}")
    if width is not None and rows.shape[1] != width:
        raise InvalidLattice(f"{rows.shape[1]} columns, but {width} before: all steps must come from one vocabulary")
    if len(rows):
        peaks = rows.max(axis=1)  # NaN anywhere in a row comes out as NaN here
        if not np.isfinite(peaks).all():
            raise InvalidLattice("log-probabilities contain NaN, +inf, or a step on which nothing is possible")
        if peaks.max() > MAX_LOG_PROB:
            raise InvalidLattice(
                f"a log-probability of {peaks.max():.4g} is above 0: take the logarithm (log_softmax) before decoding"
            )
    return rows


class GreedyDecoder:
    """Best path: the most probable symbol of every step, repeats joined, blanks removed.

    The score is the log-probability of that one path.
    """

    def __init__(self) -> None:
        self._width: int | None = None
        self.reset()

    def reset(self, step: int = 0) -> None:
        """Forget everything; the next row is step number `step`."""
        self.steps = step
        self._tokens: list[DecodedToken] = []
        self._label = BLANK  # symbol of the latest step; where it is a label its run is still open
        self._start = step
        self._score = 0.0

    def copy(self) -> GreedyDecoder:
        """An independent decoder in the same state."""
        twin = GreedyDecoder()
        twin.__dict__.update(self.__dict__)
        twin._tokens = self._tokens.copy()
        return twin

    def feed(self, log_probs: ArrayLike) -> None:
        """Take the next (n, V) log-probabilities, n >= 0. Raises InvalidLattice."""
        rows = checked_log_probs(log_probs, self._width)
        self._width = rows.shape[1]
        for label, log_prob in zip(rows.argmax(axis=1).tolist(), rows.max(axis=1).tolist(), strict=True):
            if label != self._label:
                self._tokens += self._open_run()
                self._label, self._start = label, self.steps
            self._score += log_prob
            self.steps += 1

    def best(self) -> Hypothesis:
        return Hypothesis((*self._tokens, *self._open_run()), self._score)

    def committed(self) -> tuple[DecodedToken, ...]:
        """Tokens that later steps cannot change, except that the end of the last one may still grow."""
        return self.best().tokens

    def _open_run(self) -> tuple[DecodedToken, ...]:
        """The token of the run that reaches the latest step, if there is one."""
        return () if self._label == BLANK else (DecodedToken(self._label, self._start, self.steps),)


#: A path as a linked list of its tokens: (path before, label, start, end). Links are never changed, so beams and copies
#: share them.
TokenPath = tuple["TokenPath | None", int, int, int]


def tokens_of(path: TokenPath | None) -> tuple[DecodedToken, ...]:
    tokens = []
    while path is not None:
        path, label, start, end = path
        tokens.append(DecodedToken(label, start, end))
    return tuple(reversed(tokens))


@dataclass(frozen=True, slots=True)
class _Prior:
    """What may follow a prefix; queried from the language model once per prefix, not once per step."""

    context: Context
    log_probs: Sequence[float] | None  # by label; None without a language model
    highest: float  # the most that appending any label adds to the score


@dataclass(slots=True)
class _Prefix:
    """One entry of the beam: a label sequence, the mass of all paths that spell it, and its best single path.

    Never changed once made (copies of a decoder share entries); not frozen only because that triples the cost of
    making one, and a beam makes thousands a second.
    """

    labels: tuple[int, ...]
    last: int  # last label; -1 for the empty sequence
    blank: float  # log mass of the paths that end in blank
    label: float  # log mass of the paths that end in `last`
    total: float  # log of both together
    lm: float  # weighted language model plus length bonus
    prior: _Prior
    best_blank: float  # log-probability of the best single path that ends in blank, and its tokens
    path_blank: TokenPath | None
    best_label: float  # the same for the paths that end in `last`
    path_label: TokenPath | None

    def tokens(self) -> tuple[DecodedToken, ...]:
        return tokens_of(self.path_blank if self.best_blank >= self.best_label else self.path_label)


class BeamDecoder:
    """CTC prefix beam search (Hannun et al. 2014, arXiv:1408.2873), exact where nothing is pruned.

    A prefix scores  log p_ctc(prefix) + lm_weight * log p_lm(prefix) + length_bonus * len(prefix),  the language model
    and the bonus being added when a token is appended. The end-of-sentence probability is left out: a running stream
    has no end yet.

    beam: prefixes kept after every step, >= 1.
    lm_weight: >= 0. length_bonus: log units per token.
    prune_log_prob: a label is appended only on steps where its log-probability is within this distance (<= 0) of the
        step's best symbol; None appends whatever is possible.
    top_labels: at most that many labels, the best of the step, are appended; None for all. Blank and staying on the
        same label are never pruned.
    """

    def __init__(
        self,
        beam: int = 5,
        lm: NgramModel | None = None,
        lm_weight: float = 0.0,
        length_bonus: float = 0.0,
        prune_log_prob: float | None = -10.0,
        top_labels: int | None = 12,
    ) -> None:
        if beam < 1:
            raise ValueError(f"a beam keeps at least one prefix, got beam={beam}")
        if lm_weight < 0 or not math.isfinite(lm_weight) or not math.isfinite(length_bonus):
            raise ValueError(f"lm_weight={lm_weight} must be >= 0 and length_bonus={length_bonus} finite")
        if prune_log_prob is not None and not prune_log_prob <= 0:
            raise ValueError(f"prune_log_prob is a distance below the best, so <= 0 or None, got {prune_log_prob}")
        if top_labels is not None and top_labels < 1:
            raise ValueError(f"top_labels must be at least 1 or None, got {top_labels}")
        self._size = beam
        self._lm = lm if lm_weight > 0 else None
        self._lm_weight = lm_weight
        self._bonus = length_bonus
        self._prune = -math.inf if prune_log_prob is None else prune_log_prob
        self._top = top_labels
        self._width: int | None = None if self._lm is None else self._lm.num_labels
        self.reset()

    def reset(self, step: int = 0) -> None:
        """Forget everything; the next row is step number `step`."""
        self.steps = step
        prior = _Prior((), None, self._bonus) if self._lm is None else self._prior(self._lm, self._lm.start())
        root = _Prefix((), -1, 0.0, _IMPOSSIBLE, 0.0, 0.0, prior, 0.0, None, _IMPOSSIBLE, None)
        self._beam = [root]  # always sorted, best first

    def copy(self) -> BeamDecoder:
        """An independent decoder in the same state; costs O(1), entries are shared and never changed."""
        twin = object.__new__(BeamDecoder)
        twin.__dict__.update(self.__dict__)
        return twin

    def feed(self, log_probs: ArrayLike) -> None:
        """Take the next (n, V) log-probabilities, n >= 0. Raises InvalidLattice."""
        rows = checked_log_probs(log_probs, self._width)
        self._width = rows.shape[1]
        ranked = (1 + np.argsort(-rows[:, 1:], axis=1, kind="stable")[:, : self._top]).tolist()
        floors = (rows.max(axis=1).astype(float) + self._prune).tolist()
        for row, labels, floor in zip(rows.tolist(), ranked, floors, strict=True):
            self._beam = self._advance(row, labels, floor)
            self.steps += 1

    def best(self) -> Hypothesis:
        return self.n_best(1)[0]

    def n_best(self, n: int) -> list[Hypothesis]:
        """The n best prefixes of the beam (fewer where it holds fewer), best first; n >= 1."""
        return [Hypothesis(prefix.tokens(), prefix.total + prefix.lm) for prefix in self._beam[:n]]

    def committed(self) -> tuple[DecodedToken, ...]:
        """Tokens every prefix of the beam begins with: no later step can take them back.

        Times are those of the best hypothesis now; the end of the last token may still grow.
        """
        shortest = min(len(prefix.labels) for prefix in self._beam)
        best, others = self._beam[0], self._beam[1:]
        shared = 0
        while shared < shortest and all(prefix.labels[shared] == best.labels[shared] for prefix in others):
            shared += 1
        return best.tokens()[:shared]

    def _advance(self, row: list[float], labels: list[int], floor: float) -> list[_Prefix]:
        """The beam after one more step: `row` its V log-probabilities, `labels` what may be appended, best first."""
        beam, step = self._beam, self.steps
        index = {prefix.labels: i for i, prefix in enumerate(beam)}
        # Labels whose appending to beam[i] gives another prefix of the beam: that mass flows into the other's stay.
        joined: list[list[int]] = [[] for _ in beam]
        stays = []
        for prefix in beam:
            parent = index.get(prefix.labels[:-1]) if prefix.labels else None
            if parent is None:
                stays.append(_stay(prefix, None, row, step))
            else:
                joined[parent].append(prefix.last)
                stays.append(_stay(prefix, beam[parent], row, step))

        # A heap of the best so far, worst on top: (score, -place in the beam, -label to append, or 0 to stay).
        # The positions break ties deterministically.
        best = [(stay.total + stay.lm, -i, BLANK) for i, stay in enumerate(stays) if stay.total > _IMPOSSIBLE]
        heapify(best)
        worst = best[0][0] if len(best) >= self._size else _IMPOSSIBLE
        for i, prefix in enumerate(beam):
            lm, bound = prefix.prior.log_probs, worst - prefix.lm - prefix.prior.highest
            for label in labels:
                log_prob = row[label]
                if log_prob < floor or prefix.total + log_prob <= bound:
                    break  # labels come best first: no later one can do better
                if label in joined[i]:
                    continue
                mass = (prefix.blank if label == prefix.last else prefix.total) + log_prob
                score = mass + (prefix.lm + self._gain(lm, label))
                if score <= worst:
                    continue
                if len(best) < self._size:
                    heappush(best, (score, -i, -label))
                else:
                    heapreplace(best, (score, -i, -label))
                if len(best) == self._size:
                    worst = best[0][0]
                    bound = worst - prefix.lm - prefix.prior.highest
        best.sort(reverse=True)
        return [self._append(beam[-i], -label, row[-label]) if label else stays[-i] for _, i, label in best]

    def _append(self, prefix: _Prefix, label: int, log_prob: float) -> _Prefix:
        mass, best, path = _arrival(prefix, label)
        prior = prefix.prior
        lm = prefix.lm + self._gain(prior.log_probs, label)
        if self._lm is not None:
            prior = self._prior(self._lm, self._lm.advance(prior.context, label))
        mass += log_prob
        new_path = (path, label, self.steps, self.steps + 1)
        labels = (*prefix.labels, label)
        return _Prefix(labels, label, _IMPOSSIBLE, mass, mass, lm, prior, _IMPOSSIBLE, None, best + log_prob, new_path)

    def _gain(self, lm: Sequence[float] | None, label: int) -> float:
        """What appending `label` adds to the score besides its probability on the step."""
        return self._bonus if lm is None else self._bonus + self._lm_weight * lm[label]

    def _prior(self, lm: NgramModel, context: Context) -> _Prior:
        log_probs = lm.log_probs(context)
        return _Prior(context, log_probs, self._bonus + self._lm_weight * max(log_probs[1:]))


def _arrival(prefix: _Prefix, label: int) -> tuple[float, float, TokenPath | None]:
    """Log mass and best single path of `prefix` to which `label` can be appended: a repeat needs a blank before it."""
    if prefix.best_blank >= prefix.best_label or label == prefix.last:
        best, path = prefix.best_blank, prefix.path_blank
    else:
        best, path = prefix.best_label, prefix.path_label
    return (prefix.blank if label == prefix.last else prefix.total), best, path


def _stay(prefix: _Prefix, parent: _Prefix | None, row: list[float], step: int) -> _Prefix:
    """The same labels one step later: a blank, the last label going on, or `parent` arriving here by that label."""
    last, log_prob, blank_log_prob = prefix.last, row[prefix.last], row[BLANK]
    label, best_label, path_label = prefix.label, prefix.best_label, prefix.path_label
    if path_label is not None:
        before, _, start, _ = path_label
        path_label = (before, last, start, step + 1)
    if parent is not None:
        mass, best, path = _arrival(parent, last)
        label = _log_add(label, mass)
        if best > best_label:
            best_label, path_label = best, (path, last, step, step + 1)
    label += log_prob
    if prefix.best_blank >= prefix.best_label:
        best_blank, path_blank = prefix.best_blank, prefix.path_blank
    else:
        best_blank, path_blank = prefix.best_label, prefix.path_label
    blank = prefix.total + blank_log_prob
    total = _log_add(blank, label)
    return _Prefix(
        prefix.labels, last, blank, label, total, prefix.lm, prefix.prior,
        best_blank + blank_log_prob, path_blank, best_label + log_prob, path_label,
    )  # fmt: skip


def _log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b)), -inf included."""
    if a < b:
        a, b = b, a
    return a if b == _IMPOSSIBLE else a + math.log1p(math.exp(b - a))
