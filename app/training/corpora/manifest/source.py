"""A manifest corpus as the trainer sees it: whole clips, a vocabulary from its training split, WER on its dev split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from app.pipeline.checkpoint import CheckpointConfig
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import nearest_frames, resample
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.steps import label_ids
from app.signer.prototypes import load
from app.training.batches import Batch
from app.training.config import OptimConfig, TrainConfig
from app.training.corpora.manifest.cache import PictureConfig
from app.training.corpora.manifest.clip_batches import ClipBatches
from app.training.corpora.manifest.clips import Clip, Clips, glosses_of, learnable, load_clips, require_landmarks
from app.training.corpora.manifest.dev_wer import DevClip, measure, prepared
from app.training.corpora.manifest.manifest import Entry, Manifest, read_manifest, require_split
from app.training.corpora.manifest.report import manifest_report
from app.training.errors import CorpusError
from app.training.loop.distributed import Ranks


@dataclass(frozen=True)
class ManifestConfig:
    """Sections of a config that only this corpus reads: none."""


class ManifestSource:
    """Whole clips of a manifest."""

    settings: ClassVar[type[Any]] = ManifestConfig

    checkpoint_type: ClassVar[type[CheckpointConfig]] = CheckpointConfig

    def __init__(
        self,
        manifest: Manifest,
        clips: Clips,
        config: TrainConfig,
        pictures: PictureConfig | None,
        known: tuple[str, ...] = (),
    ) -> None:
        """clips: of train and dev. pictures: crops that the model's RGB stream reads, None for landmarks alone. known:
        glosses that come first in the vocabulary, whether there are clips of them or not. Raises ConfigError for
        glosses the corpus lacks, CorpusError where nothing is left to train on.
        """
        self.manifest, self.config, self.pictures = manifest, config, pictures
        self.model: dict[str, Any] = {}
        self.checkpoint: dict[str, Any] = {"sign_language": manifest.sign_language}
        chosen = config.chosen(set(glosses_of(clips.split("train"))))
        self.vocabulary = (*known, *sorted(chosen - set(known)))
        self._label = label_ids(self.vocabulary)
        self.train, unusable = learnable(clips.split("train"), self._label)
        self.left_out = [*clips.left_out, *unusable]
        grows = len(self.vocabulary) > len(known) > 0
        self.rehearsed = _performances(known, config.rehearse) if grows and config.rehearse else []
        if not self.train:
            raise CorpusError(
                f"no training clip of {manifest.root} can be used, for example: "
                + "; ".join(f"{o.entry.part}: {o.why}" for o in self.left_out[:3])
            )
        # Everything signed there counts, whether the network can say it or not: leaving it out would flatter the WER.
        self.dev = clips.split("dev")
        self._prepared: list[DevClip] | None = None

    @classmethod
    def open(cls, folder: Path, config: TrainConfig, known: tuple[str, ...] = ()) -> ManifestSource:
        """Raises CorpusError (with the command to run where landmarks are missing), ConfigError."""
        manifest = read_manifest(folder)
        require_split(manifest, "dev")
        pictures = PictureConfig.of(config.model_config(labels=1).rgb)
        clips = load_clips(manifest, manifest.split("train") + manifest.split("dev"), pictures)
        require_landmarks(manifest, clips, pictures)
        return cls(manifest, clips, config, pictures, known)

    def recordings(self, glosses: Iterable[str]) -> dict[str, list[NDArray[np.float32]]]:
        """Gloss -> features (T, NUM_FEATURES) of its training clips that show nothing else."""
        return {
            gloss: [normalise(clip.points, clip.aspect) for clip in self.train if clip.entry.glosses == (gloss,)]
            for gloss in glosses
        }

    def epoch_steps(self, batch_size: int) -> int:
        return -(-(len(self.train) + len(self.rehearsed)) // batch_size)

    def batches(self, optim: OptimConfig, ranks: Ranks) -> Dataset[Batch]:
        clips = [*self.train, *self.rehearsed]
        labels = [[self._label[gloss] for gloss in clip.entry.glosses] for clip in clips]
        augment = self.config.augment
        return ClipBatches(clips, labels, augment, optim.batch_size, optim.steps, optim.seed, ranks)

    def evaluate(self, model: SignModel, ranks: Ranks) -> dict[str, Any]:
        """Greedy decoding of whole clips, not augmented.

        WER of the fused streams, and where the model sees crops, of each stream alone (`wer_pose`, `wer_rgb`) and of
        its own head, with the share of the RGB stream (`rgb_gate`).
        """
        if self._prepared is None:
            self._prepared = prepared(ranks.share(self.dev))
        return measure(model, self._prepared, self.vocabulary)

    def report(self) -> dict[str, Any]:
        return manifest_report(self.manifest, self.train, self.dev, self.left_out, self.vocabulary)


def _performances(glosses: Iterable[str], times: int) -> list[Clip]:
    """Those of the prototype signer, who belongs to no corpus, each `times` times."""
    signer = load()
    clips = []
    for gloss in glosses:
        if gloss in signer:
            played = signer[gloss]
            entry = Entry(f"prototype/{gloss}", (gloss,), "prototype", "train")
            clip = Clip(entry, resample(played), played.aspect, nearest_frames(played.times))
            clips += [clip] * times
    return clips
