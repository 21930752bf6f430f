"""Live against offline: the same frames through CaptionStream, eight at a time, and in one piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import CaptionStream, StreamConfig, run_jobs
from app.training.evaluation.reading import Example, read, word_errors


def read_live(recogniser: Recogniser, example: Example, config: StreamConfig) -> list[str]:
    """The glosses that became final while the example came in like a live stream."""
    stream = CaptionStream(recogniser, config)
    said: list[str] = []
    for start in range(0, len(example.features), config.partial_every):
        stream.add_features(example.features[start : start + config.partial_every])
        while job := stream.next_job():
            update = stream.apply(job, run_jobs(recogniser, [(stream, job)])[0])
            if update.ended:
                said += update.gloss
    return said + stream.finish().gloss


def live_figures(recogniser: Recogniser, sets: Mapping[str, Sequence[Example]], config: StreamConfig) -> dict[str, Any]:
    """Per set of examples: errors offline and live (WER, S, D, I), both against what was signed."""
    figures: dict[str, Any] = {"window": config.window, "stride": config.stride, "endpoint_s": config.endpoint_s}
    for name, examples in sets.items():
        offline = [[s.gloss for s in answer] for answer in read(recogniser, examples)]
        live = [read_live(recogniser, example, config) for example in examples]
        figures[name] = {"offline": word_errors(examples, offline), "live": word_errors(examples, live)}
    return figures


def report_live(figures: dict[str, Any]) -> str:
    """The figures as a table in Markdown."""
    lines = [
        f"window {figures['window']}, stride {figures['stride']} frames, pause {figures['endpoint_s']:g} s",
        "",
        "| dev signers | offline WER (S/D/I) | live WER (S/D/I) | difference |",
        "|---|---|---|---|",
    ]
    for name, pair in figures.items():
        if isinstance(pair, dict):
            cells = [
                f"{e['wer']:.1%} ({e['substitutions']}/{e['deletions']}/{e['insertions']})"
                for e in (pair["offline"], pair["live"])
            ]
            lines.append(
                f"| {name} | {' | '.join(cells)} | {(pair['live']['wer'] - pair['offline']['wer']) * 100:+.1f} |"
            )
    return "\n".join(lines)
