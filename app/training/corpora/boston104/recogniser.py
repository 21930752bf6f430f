"""A recogniser of tracked points: sentences as wrists and nose in, glosses out; offline only, for corpora of tracks."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from app.pipeline.checkpoint import CheckpointConfig, CheckpointError, load_ensemble, save_checkpoint
from app.pipeline.module1_preprocessing.tracks import TRACK_FEATURES, TRACKS, track_features
from app.pipeline.module3_sequence.decoders import BeamDecoder, GreedyDecoder, Hypothesis
from app.pipeline.module3_sequence.ensemble import SignEnsemble
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.ngram import InvalidNgramModel, NgramModel
from app.pipeline.module3_sequence.segmental import SegmentConfig, SegmentDecoder, SignLengths
from app.pipeline.module3_sequence.steps import BLANK

#: Ways to read a lattice: best path; prefix beam over CTC; signs with lengths. The last two with a language model or
#: without.
Method = Literal["greedy", "beam", "segments"]
LANGUAGE_MODEL, LENGTHS, SEARCH = "gloss_lm.json", "sign_lengths.json", "segments.json"


@torch.inference_mode()
def track_lattices(
    model: SignEnsemble | SignModel, clips: Sequence[NDArray[np.float32]], divisor: int, device: str = "cpu"
) -> list[NDArray[np.float32]]:
    """(T, 6) of `nose_relative` -> log-probabilities (ceil(T / divisor), V) of each, one by one: they are few."""
    out = []
    for clip in clips:
        features = track_features(clip)
        steps = -(-len(features) // divisor)
        held = np.concatenate([features, np.repeat(features[-1:], steps * divisor - len(features), axis=0)])
        lattice = model(torch.from_numpy(held)[None].to(device), torch.tensor([len(held)], device=device))
        out.append(torch.log_softmax(lattice.logits[0].float(), dim=-1).cpu().numpy())
    return out


@dataclass(frozen=True)
class TrackRecogniser:
    """A loaded checkpoint that reads tracks."""

    settings: CheckpointConfig
    model: SignEnsemble
    search: SegmentConfig
    lengths: SignLengths
    lm: NgramModel
    device: str = "cpu"

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> TrackRecogniser:
        """Raises CheckpointError with what to do."""
        settings, model = load_ensemble(folder, device)
        if settings.keypoints != TRACKS or settings.model.features != TRACK_FEATURES:
            raise CheckpointError(
                f"checkpoint '{settings.model_id}' reads {settings.keypoints} with {settings.model.features} features, "
                f"not {TRACKS} with {TRACK_FEATURES}"
            )
        try:
            search = SegmentConfig(**json.loads((folder / SEARCH).read_text(encoding="utf-8")))
            lengths = SignLengths.load(folder / LENGTHS, 1 + len(settings.vocabulary))
            lm = NgramModel.load(folder / LANGUAGE_MODEL, settings.vocabulary)
        except (OSError, TypeError, ValueError, InvalidNgramModel) as error:
            raise CheckpointError(
                f"checkpoint '{settings.model_id}' is incomplete: {error}. Beside the weights it needs {SEARCH}, "
                f"{LENGTHS} and {LANGUAGE_MODEL}; release it again or fetch it again"
            ) from error
        return cls(settings, model, search, lengths, lm, device)

    def save(self, folder: Path) -> None:
        """Write everything into `folder`, the weights in half precision, which is enough for them."""
        half = copy.deepcopy(self.model).half()
        save_checkpoint(folder, self.settings, half.members[0] if len(half.members) == 1 else half)
        (folder / SEARCH).write_text(json.dumps(asdict(self.search), indent=1) + "\n", encoding="utf-8")
        self.lengths.save(folder / LENGTHS)
        self.lm.save(folder / LANGUAGE_MODEL)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.settings.vocabulary

    def lattices(self, clips: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """As `track_lattices`."""
        return track_lattices(self.model, clips, self.settings.model.time_divisor, self.device)

    def read(self, lattice: NDArray[np.float32], method: Method = "segments", with_lm: bool = True) -> Hypothesis:
        """A clip's lattice as signs. The greedy and beam decoders take `blank_bias` from the blank first."""
        lm = self.lm if with_lm else None
        if method == "segments":
            return SegmentDecoder(self.lengths, self.search, lm).decode(lattice)
        biased = lattice.copy()
        biased[:, BLANK] -= self.settings.decoder.blank_bias
        biased -= np.logaddexp.reduce(biased, axis=1, keepdims=True)
        decoder: GreedyDecoder | BeamDecoder = GreedyDecoder()
        if method == "beam":
            beam = self.settings.decoder
            decoder = BeamDecoder(
                beam.beam, lm, beam.lm_weight if with_lm else 0.0, beam.length_bonus if with_lm else 0.0
            )
        decoder.feed(biased)
        return decoder.best()

    def glosses(self, hypothesis: Hypothesis) -> tuple[str, ...]:
        return tuple(self.vocabulary[label - 1] for label in hypothesis.labels)
