"""The recogniser of tracks: sentences as wrists and nose in, glosses out; offline only."""

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

from app.pipeline.checkpoint import CheckpointError, save_checkpoint
from app.pipeline.module3_sequence.confidence import token_confidence
from app.pipeline.module3_sequence.decoders import BeamDecoder, DecodedToken, GreedyDecoder, Hypothesis
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, InvalidNgramModel, NgramModel
from app.pipeline.module3_sequence.steps import steps_in, to_log_probs
from app.pipeline.recogniser import GlossSegment
from app.training.corpora.boston104.checkpoint import TracksCheckpoint, load_ensemble
from app.training.corpora.boston104.features import TRACK_FPS, track_features
from app.training.corpora.boston104.network import DIVISOR, SignEnsemble
from app.training.corpora.boston104.segmental import SegmentConfig, SegmentDecoder, SignLengths

#: Ways to read a lattice: best path; prefix beam over CTC; signs with lengths. The last two with a language model or
#: without.
Method = Literal["greedy", "beam", "segments"]
LENGTHS, SEARCH = "sign_lengths.json", "segments.json"
STEP_S = DIVISOR / TRACK_FPS


@torch.inference_mode()
def track_lattices(
    model: SignEnsemble | SignModel, clips: Sequence[NDArray[np.float32]], device: str = "cpu"
) -> list[NDArray[np.float32]]:
    """(T, 6) of `nose_relative` -> log-probabilities (ceil(T / DIVISOR), V) of each, one by one: they are few."""
    out = []
    for clip in clips:
        features = track_features(clip)
        steps = steps_in(len(features), DIVISOR)
        held = np.concatenate([features, np.repeat(features[-1:], steps * DIVISOR - len(features), axis=0)])
        lattice = model(torch.from_numpy(held)[None].to(device), torch.tensor([len(held)], device=device))
        out.append(to_log_probs(lattice.logits[0]).cpu().numpy())
    return out


@dataclass(frozen=True)
class TrackRecogniser:
    """A loaded checkpoint that reads tracks."""

    config: TracksCheckpoint
    model: SignEnsemble
    search: SegmentConfig
    lengths: SignLengths
    lm: NgramModel

    @classmethod
    def load(cls, folder: Path) -> TrackRecogniser:
        """Raises CheckpointError with what to do."""
        config, model = load_ensemble(folder)
        try:
            search = SegmentConfig(**json.loads((folder / SEARCH).read_text(encoding="utf-8")))
            lengths = SignLengths.load(folder / LENGTHS, 1 + len(config.vocabulary))
            lm = NgramModel.load(folder / LANGUAGE_MODEL, config.vocabulary)
        except (OSError, TypeError, ValueError, InvalidNgramModel) as error:
            raise CheckpointError(
                f"checkpoint '{config.model_id}' is incomplete: {error}. Beside the weights it needs {SEARCH}, "
                f"{LENGTHS} and {LANGUAGE_MODEL}; release it again or fetch it again"
            ) from error
        return cls(config, model, search, lengths, lm)

    def save(self, folder: Path) -> None:
        """Write everything into `folder`, the weights in half precision, which is enough for them."""
        half = copy.deepcopy(self.model).half()
        save_checkpoint(folder, self.config, half.members[0] if len(half.members) == 1 else half)
        (folder / SEARCH).write_text(json.dumps(asdict(self.search), indent=1) + "\n", encoding="utf-8")
        self.lengths.save(folder / LENGTHS)
        self.lm.save(folder / LANGUAGE_MODEL)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.config.vocabulary

    def lattices(self, clips: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """As `track_lattices`."""
        return track_lattices(self.model, clips)

    def read(self, lattice: NDArray[np.float32], method: Method = "segments", with_lm: bool = True) -> Hypothesis:
        """A clip's lattice as signs. The greedy and beam decoders take `blank_bias` from the blank first."""
        lm = self.lm if with_lm else None
        if method == "segments":
            return SegmentDecoder(self.lengths, self.search, lm).decode(lattice)
        biased = to_log_probs(torch.from_numpy(lattice), self.config.decoder.blank_bias).numpy()
        decoder: GreedyDecoder | BeamDecoder = GreedyDecoder()
        if method == "beam":
            beam = self.config.decoder
            decoder = BeamDecoder(beam.beam, lm, beam.lm_weight, beam.length_bonus) if lm else BeamDecoder(beam.beam)
        decoder.feed(biased)
        return decoder.best()

    def segment(self, lattice: NDArray[np.float32], token: DecodedToken) -> GlossSegment:
        """What was decoded from the lattice, as a sign with times and calibrated confidence."""
        sure = token_confidence(lattice, token, self.config.temperature)
        return GlossSegment(self.vocabulary[token.label - 1], token.start_step * STEP_S, token.end_step * STEP_S, sure)

    def glosses(self, hypothesis: Hypothesis) -> tuple[str, ...]:
        return tuple(self.vocabulary[label - 1] for label in hypothesis.labels)
