"""Live against offline: the same frames through CaptionStream, eight at a time, and in one piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.pipeline.recogniser import GlossSegment, Recogniser
from app.pipeline.streaming import CaptionStream, StreamConfig, run_jobs
from app.training.evaluation.reading import Example, read, word_errors
from app.training.evaluation.tables import markdown_table


def read_live(recogniser: Recogniser, example: Example, config: StreamConfig) -> tuple[GlossSegment, ...]:
    """The signs that became final while the example came in like a live stream."""
    stream = CaptionStream(recogniser, config)
    said: list[GlossSegment] = []
    for start in range(0, len(example.features), config.partial_every):
        stream.add_features(example.features[start : start + config.partial_every])
        while job := stream.next_job():
            update = stream.apply(job, run_jobs(recogniser, [(stream, job)])[0])
            if update.ended:
                said += update.segments
    return (*said, *stream.finish().segments)


def live_figures(recogniser: Recogniser, sets: Mapping[str, Sequence[Example]], config: StreamConfig) -> dict[str, Any]:
    """Per set of examples: errors offline and live (WER, S, D, I), both against what was signed."""
    figures: dict[str, Any] = {"window": config.window, "stride": config.stride, "endpoint_s": config.endpoint_s}
    for name, examples in sets.items():
        live = [read_live(recogniser, example, config) for example in examples]
        figures[name] = {
            "offline": word_errors(examples, read(recogniser, examples)),
            "live": word_errors(examples, live),
        }
    return figures


def report_live(figures: dict[str, Any]) -> str:
    """The figures as a table in Markdown."""
    rows = []
    for name, pair in figures.items():
        if isinstance(pair, dict):
            offline, live = pair["offline"], pair["live"]
            cells = [
                f"{e['wer']:.1%} ({e['substitutions']}/{e['deletions']}/{e['insertions']})" for e in (offline, live)
            ]
            rows.append((name, *cells, f"{(live['wer'] - offline['wer']) * 100:+.1f}"))
    head = f"window {figures['window']}, stride {figures['stride']} frames, pause {figures['endpoint_s']:g} s"
    columns = ("dev signers", "offline WER (S/D/I)", "live WER (S/D/I)", "difference")
    return f"{head}\n\n{markdown_table(columns, rows)}"
