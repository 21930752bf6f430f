"""From training runs on the signs corpus to a checkpoint: decoding and calibration chosen on dev, and a model card.

`python -m app release --runs runs/s1 runs/s2 runs/s3 --data DATA --out checkpoints/asl-everyday`; the first run is the
one released, the others show the spread over seeds.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from app.pipeline.checkpoint import CheckpointConfig, save_checkpoint
from app.pipeline.recogniser import Recogniser
from app.training.corpora.signs.clips import NONE, load_signs, signs_of
from app.training.corpora.signs.evaluation import CORE, Evaluation, read_instead, report
from app.training.corpora.signs.tuning import Tuning, choose
from app.training.corpora.tables import read_table
from app.training.evaluation.tables import markdown_table
from app.training.release.final import load_run
from app.training.release.model_card import commands_block, model_card


def release(folders: Sequence[Path], data: Path, out: Path) -> str:
    """Write the checkpoint `out`; returns the dev figures as Markdown.

    Raises OSError, CheckpointError where a run is not finished, CorpusError, ConfigError.
    """
    runs = [load_run(folder) for folder in folders]
    run, model = runs[0]
    vocabulary = tuple(run["vocabulary"])
    config = CheckpointConfig(
        model_id=out.name,
        sign_language="ase",
        vocabulary=vocabulary,
        model=model.config,
        provenance={
            "train_commands": run["commands"],
            "release_command": f"python -m app release --runs {' '.join(f'runs/{f.name}' for f in folders)} "
            f"--data DATA --out checkpoints/{out.name}",
            "train_clips": run["clips"],
            "seed": run["seed"],
        },
    )
    evaluation = Evaluation(load_signs(data, "dev"), vocabulary)
    decoder, temperature, calibration = choose(Tuning(Recogniser(config, model), evaluation))
    config = replace(config, decoder=decoder, temperature=temperature)
    figures = []
    for folder, (_, candidate) in zip(folders, runs, strict=True):
        logger.info("evaluating {}", folder)
        figures.append(evaluation.figures(Recogniser(config, candidate)))
    save_checkpoint(out, config, model)
    (out / "MODEL_CARD.md").write_text(_card(config, data, figures, calibration), encoding="utf-8")
    return report(figures[0]) + "\n\n" + spread(figures)


def spread(runs: Sequence[dict[str, Any]]) -> str:
    """Mean and range of the headline figures over seeds, as a table in Markdown."""
    rows = {
        "core exact": [r["core_exact"] for r in runs],
        "HELLO / THANK-YOU / I-LOVE-YOU exact": [r["common_exact"] for r in runs],
        "all shipped glosses exact": [r["all_exact"] for r in runs],
        "composed phrases, core: WER": [r["composed"]["core"]["wer"] for r in runs],
        "composed phrases, all: WER": [r["composed"]["all"]["wer"] for r in runs],
        "silent on NONE clips": [r["idle_silent"].get("none clips", math.nan) for r in runs],
    }
    shown = [
        (name, *(f"{value:.1%}" for value in (values[0], np.mean(values), min(values), max(values))))
        for name, values in rows.items()
    ]
    return markdown_table(("dev figure", "released", "mean over seeds", "lowest", "highest"), shown)


def signer_table(data: Path, vocabulary: Sequence[str], figures: dict[str, Any]) -> str:
    """Per gloss: tier, training signers and clips, dev signers, exact answers, what it is mistaken for."""
    signers: dict[tuple[str, str], set[str]] = defaultdict(set)
    clips: Counter[tuple[str, str]] = Counter()
    for row in read_table(data / "clips.csv", ("gloss", "split", "signer")):
        for gloss in set(signs_of(row["gloss"])) or {NONE}:
            signers[gloss, row["split"]].add(row["signer"])
            clips[gloss, row["split"]] += 1
    rows = []
    for gloss in sorted({*vocabulary, NONE}, key=lambda g: (g not in CORE, g)):
        tier, exact = "core" if gloss in CORE else "experimental", figures["gloss_exact"].get(gloss)
        train = f"{len(signers[gloss, 'train'])} / {clips[gloss, 'train']}"
        on_dev = "-" if exact is None else f"{exact:.0%}"
        rows.append((gloss, tier, train, len(signers[gloss, "dev"]), on_dev, read_instead(figures, gloss)))
    columns = ("gloss", "tier", "train signers / clips", "dev signers", "exact on dev", "otherwise read as")
    return markdown_table(columns, rows)


def licence_table(data: Path) -> str:
    """Training clips by the licence of their source."""
    counts: Counter[str] = Counter()
    sources: dict[str, set[str]] = defaultdict(set)
    for row in read_table(data / "clips.csv", ("split", "licence", "source")):
        if row["split"] == "train":
            counts[row["licence"]] += 1
            sources[row["licence"]].add(row["source"])
    rows = [(licence, len(sources[licence]), n) for licence, n in counts.most_common()]
    return markdown_table(("licence of the source", "sources", "training clips"), rows)


def _card(config: CheckpointConfig, data: Path, figures: Sequence[dict[str, Any]], calibration: float) -> str:
    """Data, splits, figures with their commands, limits."""
    provenance, decoder = config.provenance, config.decoder
    return model_card(
        config.model_id,
        f"""
Reads {len(config.vocabulary)} American Sign Language glosses from MediaPipe landmarks (pose stream only), as a CTC
lattice. Made for captions of single signs and short phrases in front of a webcam; not an interpreter.
""",
        {
            "How it was made": f"""
{commands_block([*provenance["train_commands"], provenance["release_command"]])}

Data: `signs`, MediaPipe Holistic keypoints of isolated ASL signs recorded with webcams by 112 training signers; file
`train.npz`, {provenance["train_clips"]} clips. Training sentences are *composed*: clips of one signer, trimmed, sped up
or slowed down, joined by interpolated transitions. Clips recorded as a phrase (HOW-ARE-YOU, NICE-TO-MEET-YOU,
GOOD-MORNING) train their parts. The fingerspelled letters of the corpus are left out: two or three training signers
each do not carry over to new people.

Decoding, chosen on the dev signers: prefix beam {decoder.beam}, blank bias {decoder.blank_bias}, signs under confidence
{decoder.min_confidence} are not said, the same gloss again within {decoder.merge_s:g} s is one sign.
Temperature {config.temperature:.3f}; expected calibration error on dev after it {calibration:.3f} (the dev figures are
those the temperature was fitted on).
""",
            "Figures": f"""
The dev split: 19 signers, none of them in training, but the ones every choice was made with. Isolated clips are decoded
like any video, not knowing that there is exactly one sign; right means the whole answer is that one gloss, or
nothing for NONE. The recordings' frame rate is unknown: every figure is over the clips taken as 12.5, 16.7 and 25
frames a second. Composed phrases have 3 to 6 signs of one dev signer; real continuous signing is harder.
`python -m app evaluate --checkpoint {config.model_id} --data DATA` prints them.

{report(figures[0])}

Over {len(figures)} seeds, same recipe, same decoder settings:

{spread(figures)}
""",
            "Per gloss": f"""
"Core" glosses have eight or more signers in the corpus and carry the claims. For the experimental ones the dev figure
is mostly one person's, so it says little either way.

{signer_table(data, config.vocabulary, figures[0])}
""",
            "Licences": f"""
{licence_table(data)}

"none stated" means that the author published the recordings without naming a licence, which gives no right to
redistribute them. The recordings are not part of this repository. Because of them the weights are for **research and
evaluation**; train on a corpus of your own for anything else.
""",
            "Limits": """
* The signers are mostly hearing students who learned a few signs; hardly any is a native signer. Sign forms vary.
* Only isolated signs were recorded: facial grammar, classifiers, role shift and real co-articulation are unknown to it.
* Two-dimensional points: GOOD / THANK-YOU, PLEASE / SORRY / MY and GOODBYE / HELLO look alike and are confused.
* Hands must be in the picture; MediaPipe loses small and fast hands.
""",
        },
    )
