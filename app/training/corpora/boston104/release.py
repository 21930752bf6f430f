"""From training runs on all BOSTON-104 training sentences to a checkpoint: networks, language model, lengths, card.

`python -m app release --runs runs/b1 runs/b2 runs/b3 --held-out runs/h1 --config configs/boston104.yaml --data DATA
--out checkpoints/boston104`. Nothing is chosen here: how lattices are read stands in the config, chosen on held-out
training sentences. The runs under --held-out held sentences out (`boston104.held_out`); they give the temperature of
confidences and the card's dev figures. Test sentences are not read.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from app.pipeline.checkpoint import CheckpointError
from app.pipeline.module3_sequence.confidence import fit_temperature, token_evidence
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.steps import BLANK, label_ids
from app.training.config import load_config
from app.training.corpora.boston104.checkpoint import TracksCheckpoint
from app.training.corpora.boston104.evaluation import SETS, track_figures
from app.training.corpora.boston104.network import SignEnsemble
from app.training.corpora.boston104.recogniser import TrackRecogniser
from app.training.corpora.boston104.sentences import Sentence, hold_out, load_boston104
from app.training.corpora.boston104.source import BostonSections, language_model, sign_lengths
from app.training.corpora.boston104.splicing import BostonConfig
from app.training.evaluation.tables import ways_table
from app.training.evaluation.wer import Edit, align
from app.training.release.final import load_run
from app.training.release.model_card import commands_block, model_card
from app.training.run_folder import DATA_REPORT


def release(folders: Sequence[Path], held_out_folders: Sequence[Path], config_file: Path, data: Path, out: Path) -> str:
    """Write the checkpoint `out`; returns its temperature and the figures on held-out sentences.

    Raises OSError, CheckpointError where a run is not finished or of the wrong kind, CorpusError, ConfigError.
    """
    config = load_config(config_file).own(BostonSections).boston104
    sentences = load_boston104(data, "train")
    groups = held_out_groups(held_out_folders)
    runs = [load_run(folder) for folder in folders]
    if any(held_out(folder) >= 0 for folder in folders):
        raise CheckpointError("a released run learns all training sentences: boston104.held_out is negative")
    readers = []
    for split, members in groups.items():
        kept, left = hold_out(sentences, split)
        readers.append((recogniser("held-out", members, kept, config), kept, left))
    temperature = temperature_on([(reader, left) for reader, _, left in readers])
    counts = Counter(gloss for s in sentences for gloss in s.glosses)
    names = " ".join(f"runs/{r.name}" for r in folders)
    held = " ".join(f"runs/{r.name}" for r in held_out_folders)
    released = recogniser(out.name, runs, sentences, config, temperature, {
        "train_commands": [c for run, _ in itertools.chain(runs, *groups.values()) for c in run["commands"]],
        "release_command": f"python -m app release --runs {names} --held-out {held} "
        f"--config configs/{config_file.name} --data DATA --out checkpoints/{out.name}",
        "train_clips": len(sentences),
        "signs": sum(counts.values()),
        "once": sum(n == 1 for n in counts.values()),
    })  # fmt: skip
    parts = []
    for (reader, kept, left), split in zip(readers, groups, strict=True):
        logger.info("evaluating split {}", split)
        ways = track_figures(reader, left, kept)["ways"]
        title = f"WER, split {split}, {len(kept)} learnt, {len(left)} held out, {reader.config.members} networks"
        parts.append(ways_table(title, ways, SETS))
    dev = "\n\n".join(parts)
    released.save(out)
    (out / "MODEL_CARD.md").write_text(_card(released, dev), encoding="utf-8")
    return json.dumps({"temperature": temperature, "members": released.config.members}) + "\n\n" + dev


def recogniser(
    name: str,
    runs: Sequence[tuple[dict[str, Any], SignModel]],
    sentences: Sequence[Sentence],
    config: BostonConfig,
    temperature: float = 1.0,
    provenance: dict[str, Any] | None = None,
) -> TrackRecogniser:
    """The networks of `runs` as one, with language model and lengths of `sentences`. Raises CheckpointError where the
    runs differ in vocabulary or make."""
    vocabulary, make = tuple(runs[0][0]["vocabulary"]), runs[0][1].config
    if any(tuple(run["vocabulary"]) != vocabulary or model.config != make for run, model in runs):
        raise CheckpointError(
            "the runs differ in vocabulary or settings of the network; only like ones can be averaged"
        )
    checkpoint = TracksCheckpoint(
        model_id=name,
        sign_language="ase",
        vocabulary=vocabulary,
        model=make,
        temperature=temperature,
        decoder=config.decoder,
        provenance=provenance or {},
        members=len(runs),
    )
    return TrackRecogniser(
        checkpoint,
        SignEnsemble(model for _, model in runs).eval(),
        config.segments,
        sign_lengths(sentences, vocabulary),
        language_model(sentences, vocabulary, config.lm_order),
    )


def held_out_groups(folders: Sequence[Path]) -> dict[int, list[tuple[dict[str, Any], SignModel]]]:
    """Runs by the split they held out. Raises CheckpointError for one that held nothing out."""
    groups: dict[int, list[tuple[dict[str, Any], SignModel]]] = {}
    for folder in folders:
        split = held_out(folder)
        if split < 0:
            raise CheckpointError(f"the run {folder.name} held no sentence out; set boston104.held_out to 0 or more")
        groups.setdefault(split, []).append(load_run(folder))
    return groups


def held_out(folder: Path) -> int:
    """Which split of the training sentences a run held out, negative for none."""
    report = json.loads((folder / DATA_REPORT).read_text(encoding="utf-8"))
    return int(report["held_out"])


def temperature_on(recognisers: Sequence[tuple[TrackRecogniser, Sequence[Sentence]]]) -> float:
    """Temperature that fits the confidences of what is read from these sentences."""
    evidence, truth = [], []
    for reader, sentences in recognisers:
        label = label_ids(reader.vocabulary)
        for sentence, lattice in zip(sentences, reader.lattices([s.tracks for s in sentences]), strict=True):
            found = reader.read(lattice)
            evidence += [token_evidence(lattice, t) for t in found.tokens]
            for pair in align(sentence.glosses, reader.glosses(found)):
                if pair.edit is not Edit.DELETION:
                    truth.append(label[pair.reference] if pair.reference else BLANK)
    return fit_temperature(np.stack(evidence), np.array(truth))


def _card(reader: TrackRecogniser, dev: str) -> str:
    """MODEL_CARD.md but for the test figures, which `evaluate --model-card` adds."""
    config, provenance = reader.config, reader.config.provenance
    return model_card(
        config.model_id,
        f"""
Reads {len(config.vocabulary)} American Sign Language glosses from the tracks of two wrists and the nose, in the
sentences of RWTH-BOSTON-104: a real, if small, corpus of continuous signing. It shows what the temporal part of the
recogniser does with whole sentences. **It makes no captions**: no camera gives such tracks, and the service refuses it.
""",
        {
            "How it was made": f"""
{commands_block([*provenance["train_commands"], provenance["release_command"]])}

Data: `boston104`, wrist and nose positions of 161 training sentences with hand-set boundaries of their
{provenance["signs"]} signs, three signers who also sign the 40 test sentences. {config.members} networks (seeds) of
{sum(p.numel() for p in reader.model.members[0].parameters()) / 1e6:.2f} million weights; their lattices are averaged.
Boundaries teach each half frame rate step which sign it belongs to, beside CTC; in reading they are not known. Training
sentences are spliced differently each time: signs change places between sentences.

Reading (chosen on training sentences that were held out, see below): signs with lengths
(`app/training/corpora/boston104/segmental.py`) and a {reader.lm.order}-gram model of the glosses of the 161 training
sentences; settings in `segments.json`. Temperature of confidences {config.temperature:.3f}, fitted there too.
""",
            "On held-out training sentences": dev,
            "Limits": f"""
* Three points say nothing of hand shapes and little of the face; many signs differ in nothing else.
* Three signers, all known from training; new people were never tried.
* {provenance["once"]} of the {len(config.vocabulary)} glosses were seen once.
* 26 of the 40 test sentences have the wording of a training sentence, so the language model knows them; look at the
  others apart.
""",
            "Licence of the data": """
Tracks and boundaries: MIT (udacity/AIND-Recognizer), derived from RWTH-BOSTON-104, which has terms of its own. No
recording or track is part of this repository; the counts of glosses in `gloss_lm.json` are. The weights are for
research and evaluation.
""",
        },
    )
