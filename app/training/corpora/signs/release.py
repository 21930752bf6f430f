"""From training runs to a checkpoint: decoding and calibration chosen on dev, figures and model card written.

`python -m app.training.release --runs runs/s1 runs/s2 runs/s3 --data DATA --out checkpoints/asl-everyday`; the first
run is the one released, the others show the spread over seeds.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig, save_checkpoint
from app.pipeline.module3_sequence.confidence import expected_calibration_error, fit_temperature, token_evidence
from app.pipeline.module3_sequence.decoders import BeamDecoder, DecodedToken
from app.pipeline.module3_sequence.model import BLANK
from app.pipeline.recogniser import STEP_S, GlossSegment, Recogniser, merged
from app.training.corpora.signs.clips import NONE, load_signs, signs_of
from app.training.corpora.signs.evaluation import COMMON, CORE, Evaluation, Example, lattices, report
from app.training.evaluation.wer import Edit, align, corpus_errors
from app.training.release.final import load_run

BIASES = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.5)
MERGES = (0.0, 0.64, 0.96, 1.44)
#: Settings that leave less idle input silent are out; of the others, those that read the signs everybody tries first
#: this well go before those that do not.
MIN_SILENT = 0.97
MIN_COMMON = 0.88

Lattice = NDArray[np.float32]


def biased(lattice: Lattice, bias: float) -> Lattice:
    """The lattice as the recogniser makes it with this `blank_bias`."""
    out = lattice.copy()
    out[:, BLANK] -= bias
    return out - np.logaddexp.reduce(out, axis=1, keepdims=True)


@dataclass(frozen=True, slots=True)
class _Token:
    token: DecodedToken
    gloss: str
    evidence: NDArray[np.float64]

    def segment(self, temperature: float) -> GlossSegment:
        scaled = self.evidence / temperature
        confidence = float(np.exp(scaled[self.token.label] - np.logaddexp.reduce(scaled)))
        return GlossSegment(self.gloss, self.token.start_step * STEP_S, self.token.end_step * STEP_S, confidence)


@dataclass(frozen=True, slots=True)
class _Score:
    """cost: mean of five error rates (isolated core, all, and core at speed; phrases core and all); common: share of
    HELLO, THANK-YOU and I-LOVE-YOU read right; silent: share of idle examples without a gloss."""

    cost: float
    common: float
    silent: float

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
                table = biased(lattice, bias)
                decoder = BeamDecoder(beam)
                decoder.feed(table)
                tokens = decoder.best().tokens
                out[name].append([_Token(t, self.vocabulary[t.label - 1], token_evidence(table, t)) for t in tokens])
        return out

    def evidence(self, decoded: dict[str, list[list[_Token]]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Of every decoded dev token: its pooled log-probabilities (N, V) and what was really signed there (N,)."""
        label = {g: i for i, g in enumerate(self.vocabulary, 1)}
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

    def segments(
        self, decoded: dict[str, list[list[_Token]]], temperature: float
    ) -> dict[str, list[list[GlossSegment]]]:
        return {
            name: [[t.segment(temperature) for t in tokens] for tokens in examples]
            for name, examples in decoded.items()
        }

    def score(self, segments: dict[str, list[list[GlossSegment]]], threshold: float, merge_s: float) -> _Score:
        said = {
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
                        for example, answer in zip(self.sets[name], said[name], strict=True)
                        if (example.glosses[0] if example.glosses else NONE) in glosses
                    ]
                )
            )

        wers = [
            corpus_errors((e.glosses, a) for e, a in zip(self.sets[name], said[name], strict=True)).wer
            for name in ("core", "all")
        ]
        everything = {*self.vocabulary, NONE}
        errors = [wrong("isolated", CORE), wrong("isolated", everything), wrong("fast", CORE), *wers]
        silent = float(np.mean([not a for a in said["idle"]]))
        return _Score(sum(errors) / len(errors), 1 - wrong("isolated", COMMON), silent)


def choose(tuning: Tuning, beam: int = 5) -> tuple[DecoderConfig, float, float]:
    """Decoder settings, temperature and the calibration error left, all by the dev signers."""
    best: tuple[_Score, DecoderConfig, float, NDArray[np.float64], NDArray[np.int64]] | None = None
    for bias in BIASES:
        decoded = tuning.decode(bias, beam)
        logits, truth = tuning.evidence(decoded)
        temperature = fit_temperature(logits, truth)
        segments = tuning.segments(decoded, temperature)
        for threshold, merge_s in itertools.product(THRESHOLDS, MERGES):
            score = tuning.score(segments, threshold, merge_s)
            logger.info("bias {} threshold {} merge {} s: {}", bias, threshold, merge_s, score)
            if score.silent >= MIN_SILENT and (best is None or score.rank < best[0].rank):
                config = DecoderConfig(beam=beam, blank_bias=bias, min_confidence=threshold, merge_s=merge_s)
                best = (score, config, temperature, logits, truth)
    if best is None:
        raise SystemExit("no decoder setting keeps quiet on idle input; train longer or with more idle examples")
    _, config, temperature, logits, truth = best
    scaled = logits / temperature
    probs = np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))
    winner = probs.argmax(axis=1)
    return config, temperature, expected_calibration_error(probs.max(axis=1), winner == truth)


def spread(runs: Sequence[dict[str, Any]]) -> str:
    """Mean and range of the headline figures over seeds, as a table in Markdown."""
    rows = {
        "core exact": [r["core_exact"] for r in runs],
        "HELLO / THANK-YOU / I-LOVE-YOU exact": [r["common_exact"] for r in runs],
        "all shipped glosses exact": [r["all_exact"] for r in runs],
        "composed phrases, core: WER": [r["composed"]["core"]["wer"] for r in runs],
        "composed phrases, all: WER": [r["composed"]["all"]["wer"] for r in runs],
        "silent on NONE clips": [r["idle_silent"]["none clips"] for r in runs],
    }
    lines = ["| dev figure | released | mean over seeds | lowest | highest |", "|---|---|---|---|---|"]
    for name, values in rows.items():
        lines.append(f"| {name} | {values[0]:.1%} | {np.mean(values):.1%} | {min(values):.1%} | {max(values):.1%} |")
    return "\n".join(lines)


def signer_table(data: Path, vocabulary: Sequence[str], figures: dict[str, Any]) -> str:
    """Per gloss: tier, training signers and clips, dev signers, exact answers, what it is mistaken for."""
    signers: dict[tuple[str, str], set[str]] = defaultdict(set)
    clips: Counter[tuple[str, str]] = Counter()
    with (data / "clips.csv").open(newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            for gloss in set(signs_of(row["gloss"])) or {NONE}:
                signers[gloss, row["split"]].add(row["signer"])
                clips[gloss, row["split"]] += 1
    lines = ["| gloss | tier | train signers / clips | dev signers | exact on dev | otherwise read as |"]
    lines.append("|---|---|---|---|---|---|")
    for gloss in sorted({*vocabulary, NONE}, key=lambda g: (g not in CORE, g)):
        others = ", ".join(f"{g or 'nothing'} {n}" for g, n in figures["confused_with"].get(gloss, {}).items())
        exact = figures["gloss_exact"].get(gloss)
        lines.append(
            f"| {gloss} | {'core' if gloss in CORE else 'experimental'} | {len(signers[gloss, 'train'])} / "
            f"{clips[gloss, 'train']} | {len(signers[gloss, 'dev'])} | {'-' if exact is None else f'{exact:.0%}'} | "
            f"{others} |"
        )
    return "\n".join(lines)


def licence_table(data: Path) -> str:
    counts: Counter[str] = Counter()
    sources: dict[str, set[str]] = defaultdict(set)
    with (data / "clips.csv").open(newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            if row["split"] == "train":
                counts[row["licence"]] += 1
                sources[row["licence"]].add(row["source"])
    lines = ["| licence of the source | sources | training clips |", "|---|---|---|"]
    lines += [f"| {licence} | {len(sources[licence])} | {n} |" for licence, n in counts.most_common()]
    return "\n".join(lines)


def model_card(config: CheckpointConfig, data: Path, figures: Sequence[dict[str, Any]], calibration: float) -> str:
    """MODEL_CARD.md: data, splits, figures with their commands, limits."""
    provenance = config.provenance
    decoder = config.decoder
    return f"""# {config.model_id}

Reads {len(config.vocabulary)} American Sign Language glosses from MediaPipe landmarks (pose stream only), as a CTC
lattice. Made for captions of single signs and short phrases in front of a webcam; not an interpreter.

## How it was made

```
{chr(10).join(provenance["train_commands"])}
{provenance["release_command"]}
```

Data: `signs`, MediaPipe Holistic keypoints of isolated ASL signs recorded with webcams by 112 training signers; file
`train.npz`, {provenance["train_clips"]} clips. Training sentences are *composed*: clips of one signer, trimmed, sped up
or slowed down, joined by interpolated transitions. Clips recorded as a phrase (HOW-ARE-YOU, NICE-TO-MEET-YOU,
GOOD-MORNING) train their parts. The fingerspelled letters of the corpus are left out: two or three training signers
each do not carry over to new people.

Decoding, chosen on the dev signers: prefix beam {decoder.beam}, blank bias {decoder.blank_bias}, signs under confidence
{decoder.min_confidence} are not said, the same gloss again within {decoder.merge_s:g} s is one sign.
Temperature {config.temperature:.3f}; expected calibration error on dev after it {calibration:.3f} (the dev figures are
those the temperature was fitted on).

## Figures

The dev split: 19 signers, none of them in training, but the ones every choice was made with. Isolated clips are decoded
like any video, without being told that there is exactly one sign; right means the whole answer is that one gloss, or
nothing for NONE. The recordings' frame rate is unknown: every figure is over the clips taken as 12.5, 16.7 and 25
frames a second. Composed phrases have 3 to 6 signs of one dev signer; real continuous signing is harder.
`python -m app evaluate --checkpoint {config.model_id} --data DATA` prints them.

{report(figures[0])}

Over {len(figures)} seeds, same recipe, same decoder settings:

{spread(figures)}

## Per gloss

"Core" glosses have eight or more signers in the corpus and carry the claims. For the experimental ones the dev figure
is mostly one person's, so it says little either way.

{signer_table(data, config.vocabulary, figures[0])}

## Licences

{licence_table(data)}

"none stated" means that the author published the recordings without naming a licence, which gives no right to
redistribute them. The recordings are not part of this repository. Because of them the weights are for **research and
evaluation**; train on a corpus of your own for anything else.

## Limits

* The signers are mostly hearing students who learned a few signs; hardly any is a native signer. Sign forms vary.
* Only isolated signs were recorded: facial grammar, classifiers, role shift and real co-articulation are unknown to it.
* Two-dimensional points: GOOD / THANK-YOU, PLEASE / SORRY / MY and GOODBYE / HELLO look alike and are confused.
* Hands must be in the picture; MediaPipe loses small and fast hands.
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app.training.release", description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders; the first one is released")
    parser.add_argument("--data", type=Path, required=True, help="folder of the signs corpus")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write; its name becomes the id")
    args = parser.parse_args(argv)
    runs = [load_run(folder) for folder in args.runs]
    run, model = runs[0]
    vocabulary = tuple(run["vocabulary"])
    config = CheckpointConfig(
        model_id=args.out.name,
        sign_language="ase",
        vocabulary=vocabulary,
        model=model.config,
        provenance={
            "train_commands": run["commands"],
            "release_command": f"python -m app.training.release --runs {' '.join(f'runs/{r.name}' for r in args.runs)} "
            f"--data DATA --out checkpoints/{args.out.name}",
            "train_clips": run["clips"],
            "seed": run["seed"],
        },
    )
    evaluation = Evaluation(load_signs(args.data, "dev"), vocabulary)
    decoder, temperature, calibration = choose(Tuning(Recogniser(config, model), evaluation))
    config = replace(config, decoder=decoder, temperature=temperature)
    figures = []
    for folder, (_, candidate) in zip(args.runs, runs, strict=True):
        logger.info("evaluating {}", folder)
        figures.append(evaluation.figures(Recogniser(config, candidate)))
    save_checkpoint(args.out, config, model)
    (args.out / "MODEL_CARD.md").write_text(model_card(config, args.data, figures, calibration), encoding="utf-8")
    print(report(figures[0]) + "\n\n" + spread(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
