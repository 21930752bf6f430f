"""Time the CTC decoders on synthetic lattices: greedy, prefix beam, and the textbook prefix beam without shortcuts.

    python -m scripts.bench_decoders [--beam 5] [--steps 16] [--labels 60] [--json]

Median milliseconds of wall clock per lattice, state reset and best hypothesis included, one thread. "peaky" lattices
look like a trained recogniser's (blank with spikes), "even" ones spread their probability and are the hard case.
`agree` is how often the best hypothesis is the textbook beam's.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import BeamDecoder, GreedyDecoder
from app.pipeline.module3_sequence.ngram import NgramModel

Labels = tuple[int, ...]
Lattice = NDArray[np.float32]


def textbook_beam(lattice: Lattice, size: int) -> Labels:
    """Hannun et al. 2014, algorithm 1 as written: every label of every step, one dictionary, no times, no n-best."""
    beam: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}
    for row in np.exp(lattice.astype(np.float64)).tolist():
        blank: dict[Labels, float] = {}
        label: dict[Labels, float] = {}
        for prefix, (p_blank, p_label) in beam.items():
            blank[prefix] = blank.get(prefix, 0.0) + row[0] * (p_blank + p_label)
            for symbol in range(1, len(row)):
                longer = (*prefix, symbol)
                if prefix and prefix[-1] == symbol:
                    label[prefix] = label.get(prefix, 0.0) + row[symbol] * p_label
                    label[longer] = label.get(longer, 0.0) + row[symbol] * p_blank
                else:
                    label[longer] = label.get(longer, 0.0) + row[symbol] * (p_blank + p_label)
        both = {prefix: (blank.get(prefix, 0.0), label.get(prefix, 0.0)) for prefix in blank.keys() | label.keys()}
        beam = dict(sorted(both.items(), key=lambda item: sum(item[1]), reverse=True)[:size])
    return next(iter(beam))


def lattices(kind: str, count: int, steps: int, width: int, seed: int = 0) -> list[Lattice]:
    """`count` lattices (steps, width), softmax of Gaussian logits; "peaky" has spikes of 1 to 3 steps among blanks."""
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(count):
        logits = rng.normal(size=(steps, width)) * (2.0 if kind == "peaky" else 1.0)
        if kind == "peaky":
            logits[:, 0] += 9
            step = int(rng.integers(0, 4))
            while step < steps:
                length = int(rng.integers(1, 4))
                logits[step : step + length, rng.integers(1, width)] += 10
                step += length + int(rng.integers(0, 5))
        result.append((logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32))
    return result


def median_ms(decode: Callable[[Lattice], Labels], inputs: list[Lattice]) -> tuple[float, list[Labels]]:
    for lattice in inputs[:3]:
        decode(lattice)
    answers, times = [], []
    for lattice in inputs:
        start = time.perf_counter()
        answers.append(decode(lattice))
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times), answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--labels", type=int, default=60, help="width of the lattice, blank included")
    parser.add_argument("--lattices", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    shuffled = random.Random(0)
    sentences = [[shuffled.randrange(1, options.labels) for _ in range(4)] for _ in range(2000)]
    model = NgramModel.fit(sentences, [f"G{k}" for k in range(1, options.labels)], order=3)
    greedy = GreedyDecoder()
    beam = BeamDecoder(options.beam)
    full = BeamDecoder(options.beam, prune_log_prob=None, top_labels=None)
    with_lm = BeamDecoder(options.beam, lm=model, lm_weight=0.3, length_bonus=0.5)

    def run(decoder: GreedyDecoder | BeamDecoder) -> Callable[[Lattice], Labels]:
        def decode(lattice: Lattice) -> Labels:
            decoder.reset()
            decoder.feed(lattice)
            return decoder.best().labels

        return decode

    decoders: dict[str, Callable[[Lattice], Labels]] = {
        "textbook beam": lambda lattice: textbook_beam(lattice, options.beam),
        "beam, nothing pruned": run(full),
        "beam": run(beam),
        "beam + 3-gram": run(with_lm),
        "greedy": run(greedy),
    }
    rows = []
    for kind in ("peaky", "even"):
        inputs = lattices(kind, options.lattices, options.steps, options.labels)
        reference_ms, reference = math.nan, list[Labels]()
        for name, decode in decoders.items():
            milliseconds, answers = median_ms(decode, inputs)
            if not reference:
                reference_ms, reference = milliseconds, answers
            agree = sum(a == b for a, b in zip(answers, reference, strict=True)) / len(reference)
            rows.append(
                {"lattices": kind, "decoder": name, "ms": milliseconds, "times": reference_ms / milliseconds}
                | {"agree": agree}
            )
    if options.json:
        print(json.dumps({"beam": options.beam, "steps": options.steps, "labels": options.labels, "rows": rows}))
        return
    print(f"beam {options.beam}, {options.steps} steps, {options.labels} labels, {options.lattices} lattices each")
    print(f"{'lattices':<9} {'decoder':<21} {'ms':>8} {'x textbook':>11} {'agree':>7}")
    for row in rows:
        print(f"{row['lattices']:<9} {row['decoder']:<21} {row['ms']:8.3f} {row['times']:10.1f}x {row['agree']:7.1%}")


if __name__ == "__main__":
    main()
