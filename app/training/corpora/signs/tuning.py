"""How lattices are decoded and confidences calibrated, chosen on the dev signers of the signs corpus."""

from __future__ import annotations

import itertools
from collections.abc import Container
from dataclasses import dataclass

import numpy as np
import torch
from loguru import logger
from numpy.typing import NDArray

from app.pipeline.checkpoint import DecoderConfig
from app.pipeline.module3_sequence.confidence import (
    confidence,
    expected_calibration_error,
    fit_temperature,
    token_evidence,
)
from app.pipeline.module3_sequence.decoders import BeamDecoder, DecodedToken
from app.pipeline.module3_sequence.steps import BLANK, label_ids, to_log_probs
from app.pipeline.recogniser import STEP_S, GlossSegment, Recogniser, merged
from app.training.corpora.signs.clips import NONE
from app.training.corpora.signs.evaluation import COMMON, CORE, Evaluation
from app.training.errors import ConfigError
from app.training.evaluation.reading import Example, lattices
from app.training.evaluation.wer import Edit, align, corpus_errors

BIASES = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.5)
MERGES = (0.0, 0.64, 0.96, 1.44)
#: Settings that leave less idle input silent are out; of the others, those that read the most common first signs
#: this well are preferred.
MIN_SILENT = 0.97
MIN_COMMON = 0.88

Lattice = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Token:
    token: DecodedToken
    gloss: str
    evidence: NDArray[np.float64]

    def segment(self, temperature: float) -> GlossSegment:
        sure = confidence(self.evidence, self.token.label, temperature)
        return GlossSegment(self.gloss, self.token.start_step * STEP_S, self.token.end_step * STEP_S, sure)


@dataclass(frozen=True, slots=True)
class _Score:
    cost: float
    """Mean of five error rates: isolated core, all, and core at speed; phrases core and all."""
    common: float
    """Share of HELLO, THANK-YOU and I-LOVE-YOU read right."""
    silent: float
    """Share of idle examples without a gloss."""

    @property
    def rank(self) -> tuple[bool, float]:
        """Less is better."""
        return self.common < MIN_COMMON, self.cost


class Tuning:
    """Lattices of the dev examples, computed once, and what decoding settings make of them."""

    def __init__(self, recogniser: Recogniser, evaluation: Evaluation) -> None:
        self.vocabulary = recogniser.vocabulary
        isolated = list(itertools.chain(*evaluation.isolated.values()))
        self.sets: dict[str, list[Example]] = {
            "isolated": isolated,
            "fast": list(itertools.chain(*evaluation.fast.values())),
            **evaluation.composed,
            "idle": list(itertools.chain(*evaluation.idle.values())),
        }
        self.lattices = {name: lattices(recogniser, examples) for name, examples in self.sets.items()}

    def decode(self, bias: float, beam: int) -> dict[str, list[list[_Token]]]:
        """Every example of every set decoded: its tokens with their evidence."""
        out: dict[str, list[list[_Token]]] = {}
        for name, of_set in self.lattices.items():
            out[name] = []
            for lattice in of_set:
                table = to_log_probs(torch.from_numpy(lattice), bias).numpy()
                decoder = BeamDecoder(beam)
                decoder.feed(table)
                tokens = decoder.best().tokens
                out[name].append([_Token(t, self.vocabulary[t.label - 1], token_evidence(table, t)) for t in tokens])
        return out

    def evidence(self, decoded: dict[str, list[list[_Token]]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Of every decoded dev token: its pooled log-probabilities (N, V) and what was really signed there (N,)."""
        label = label_ids(self.vocabulary)
        rows, truth = [], []
        for name in ("isolated", "core", "all"):
            for example, tokens in zip(self.sets[name], decoded[name], strict=True):
                true = [
                    label[pair.reference] if pair.edit is not Edit.INSERTION and pair.reference else BLANK
                    for pair in align(example.glosses, [t.gloss for t in tokens])
                    if pair.edit is not Edit.DELETION
                ]
                rows += [t.evidence for t in tokens]
                truth += true
        return np.stack(rows), np.array(truth)

    def score(self, segments: dict[str, list[list[GlossSegment]]], threshold: float, merge_s: float) -> _Score:
        read = {
            name: [
                [s.gloss for s in merged([s for s in example if s.confidence >= threshold], merge_s)]
                for example in examples
            ]
            for name, examples in segments.items()
        }

        def wrong(name: str, glosses: Container[str]) -> float:
            return 1 - float(
                np.mean(
                    [
                        tuple(answer) == example.glosses
                        for example, answer in zip(self.sets[name], read[name], strict=True)
                        if (example.glosses[0] if example.glosses else NONE) in glosses
                    ]
                )
            )

        wers = [
            corpus_errors((e.glosses, a) for e, a in zip(self.sets[name], read[name], strict=True)).wer
            for name in ("core", "all")
        ]
        everything = {*self.vocabulary, NONE}
        errors = [wrong("isolated", CORE), wrong("isolated", everything), wrong("fast", CORE), *wers]
        silent = float(np.mean([not a for a in read["idle"]]))
        return _Score(sum(errors) / len(errors), 1 - wrong("isolated", COMMON), silent)


def choose(tuning: Tuning, beam: int = 5) -> tuple[DecoderConfig, float, float]:
    """Decoder settings, temperature and the calibration error left, all by the dev signers. Raises ConfigError."""
    best: tuple[_Score, DecoderConfig, float, NDArray[np.float64], NDArray[np.int64]] | None = None
    for bias in BIASES:
        decoded = tuning.decode(bias, beam)
        logits, truth = tuning.evidence(decoded)
        temperature = fit_temperature(logits, truth)
        segments = {k: [[t.segment(temperature) for t in tokens] for tokens in of] for k, of in decoded.items()}
        for threshold, merge_s in itertools.product(THRESHOLDS, MERGES):
            score = tuning.score(segments, threshold, merge_s)
            logger.info("bias {} threshold {} merge {} s: {}", bias, threshold, merge_s, score)
            if score.silent >= MIN_SILENT and (best is None or score.rank < best[0].rank):
                config = DecoderConfig(beam=beam, blank_bias=bias, min_confidence=threshold, merge_s=merge_s)
                best = (score, config, temperature, logits, truth)
    if best is None:
        raise ConfigError("no decoder setting is silent on idle input; train longer or with more idle examples")
    _, config, temperature, logits, truth = best
    scaled = logits / temperature
    probs = np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))
    winner = probs.argmax(axis=1)
    return config, temperature, expected_calibration_error(probs.max(axis=1), winner == truth)
