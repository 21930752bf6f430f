"""The four modules joined: landmarks of a clip in, glosses with times and confidence and a sentence out."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from app.pipeline.backends import amx
from app.pipeline.backends.amx import AmxBackend
from app.pipeline.backends.base import Backend, TorchBackend
from app.pipeline.checkpoint import CheckpointConfig, CheckpointError, load_checkpoint
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.crops import num_views, to_channels_first
from app.pipeline.module1_preprocessing.movement import hand_movement
from app.pipeline.module1_preprocessing.normalise import LEFT_FEATURES, NUM_FEATURES, RIGHT_FEATURES, normalise
from app.pipeline.module1_preprocessing.resample import MODEL_FPS, nearest_frames, resample
from app.pipeline.module3_sequence.confidence import token_confidence
from app.pipeline.module3_sequence.decoders import BeamDecoder, DecodedToken, Decoder, GreedyDecoder
from app.pipeline.module3_sequence.lattice import GlobalLattice
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.neighbours import SignContext
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, InvalidNgramModel, NgramModel, checkpoint_lm
from app.pipeline.module3_sequence.prototypes import InvalidPrototypes, NoPrototypes, Prototypes, read_prototypes
from app.pipeline.module3_sequence.sign_times import Evidence, sign_times
from app.pipeline.module3_sequence.steps import BLANK, TIME_DIVISOR, label_ids, steps_in, to_log_probs, whole_steps
from app.pipeline.module3_sequence.stretches import KnownEvidence, decided, reread, second_look
from app.pipeline.module3_sequence.taught import OTHER, TaughtSigns, embedding, joined_columns, unit, with_taught
from app.pipeline.module3_sequence.vocabularies import (
    ALL,
    UnknownVocabulary,
    chosen,
    columns_of,
    narrowed,
    read_vocabularies,
)
from app.pipeline.module4_language import to_english
from app.pipeline.module4_language import warm_up as warm_up_language
from app.pipeline.stages import DECODING, FEATURES, LANGUAGE, TEMPORAL, Stopwatch

STEP_S = TIME_DIVISOR / MODEL_FPS
#: Frames around a lattice step in which a hand counts as present: a fast hand is lost for up to a third of a second.
HAND_REACH = 8
#: Log-probability of every sign where no hand is in sight.
SILENT = -50.0


@dataclass(frozen=True, slots=True)
class GlossSegment:
    """One recognised sign. Times in seconds from the start of the clip or stream."""

    gloss: str
    start_s: float
    end_s: float
    confidence: float
    """Calibrated, 0..1."""
    unsure: bool = False
    """The confidence is below the vocabulary's threshold: it may well be another sign, or none of the vocabulary."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was signed in a clip."""

    segments: tuple[GlossSegment, ...]
    sentence: str
    confidence: float
    """Mean over the segments, 0 when nothing was signed."""
    frame_count: int
    """Frames handed in."""
    duration_s: float
    fps: float
    """The model's rate."""
    attention: dict[str, float]
    """Mean weight of each stream, "rgb" and "pose", summing to 1."""
    stage_s: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each stage."""

    @property
    def gloss(self) -> list[str]:
        return [segment.gloss for segment in self.segments]


class WindowOutput(NamedTuple):
    """The network's output for a window."""

    log_probs: NDArray[np.float32]
    """(S, 1 + vocabulary), column 0 the blank."""
    rgb: NDArray[np.float32]
    """(S,) weight of the images in each step, 0..1; the pose has the rest."""
    short: NDArray[np.float32] | None = None
    """(S, model_dim) what the network's first half made of the steps, by which taught signs are known; None where
    nothing reads any."""


def padded_frames(
    windows: Sequence[NDArray[np.float32]], width: int = NUM_FEATURES, frames: int = 0
) -> tuple[NDArray[np.float32], list[int]]:
    """Windows (T, width) side by side, each with its last frame repeated, to at least `frames`; lengths as multiples of
    4. Narrower windows are filled up with NaN, which stands for no image."""
    lengths = [whole_steps(len(w)) for w in windows]
    batch = np.full((len(windows), max(frames, *lengths), width), np.nan, np.float32)
    for row, window in zip(batch, windows, strict=True):
        row[: len(window), : window.shape[1]] = window
        row[len(window) :] = row[len(window) - 1]
    return batch, lengths


class Recogniser:
    """A loaded checkpoint, ready to read clips; methods may be called from several threads at once."""

    fps = MODEL_FPS

    def __init__(
        self,
        config: CheckpointConfig,
        model: SignModel,
        device: str = "cpu",
        amp: bool = False,
        backend: Backend | None = None,
        vocabularies: Mapping[str, tuple[str, ...]] | None = None,
        lm: NgramModel | None = None,
        prototypes: Prototypes | None = None,
    ) -> None:
        """backend: what computes in place of `model`; vocabularies: the named ones, beside that of all glosses; lm: a
        gloss language model over all of them, used where the decoder settings give it a weight; prototypes:
        of all glosses, with which taught signs are compared."""
        self.config = config
        self.vocabularies = {ALL: config.vocabulary, **(vocabularies or {})}
        self.reads = ALL
        """Name of the vocabulary that it reads with."""
        self._whole: Recogniser | None = None  # not itself: without a cycle, one that was replaced is freed at once
        self._columns: NDArray[np.intp] | None = None  # None: all
        self._named: WeakValueDictionary[str, Recogniser] = WeakValueDictionary()
        self.lm, self.prototypes = lm, prototypes
        self._space: str | None = None
        self._taught: TaughtSigns | None = None
        self._places: NDArray[np.intp] = np.zeros(0, np.intp)  # of the taught signs among the columns
        self._rivals: NDArray[np.float32] | None = None  # prototypes of the glosses beside them
        self.model = model.eval()
        self.device = device
        self.backend: Backend = backend or _backend(self.model, device, amp)

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str = "cpu",
        amp: bool = False,
        threads: int | None = None,
        backend: Literal["torch", "onnx"] = "torch",
        lm_weight: float | None = None,
    ) -> Recogniser:
        """Load `folder`; `threads` sets the CPU threads of a call, `lm_weight` the weight of the gloss language model
        where there is one, in place of the checkpoint's own. Raises CheckpointError with what to do."""
        if threads:
            torch.set_num_threads(threads)
        exported: Backend | None = None
        if backend == "onnx":
            from app.pipeline.backends.onnx_runtime import open_export  # only here: its package is optional

            exported = open_export(folder, device, threads or 1)
        config, model = load_checkpoint(folder, device if exported is None else "cpu")
        try:
            vocabularies = read_vocabularies(folder, config.vocabulary)
            lm = checkpoint_lm(folder, config.vocabulary)
            prototypes = read_prototypes(folder, config.vocabulary)
        except (UnknownVocabulary, InvalidNgramModel, InvalidPrototypes) as problem:
            raise CheckpointError(str(problem)) from problem
        if lm is None and config.wants_lm:
            raise CheckpointError(f"{folder} weighs a language model but has no {LANGUAGE_MODEL}; fetch it again")
        if lm_weight is not None:
            config = config.weighing_lm(lm_weight)
        return cls(config, model, device, amp, exported, vocabularies, lm, prototypes)

    def reading_with(self, wanted: str | Sequence[str] | None = None) -> Recogniser:
        """This recogniser with the vocabulary of this name or with these glosses, by default "everyday" where there is
        one; it shares the network. Decoder and calibration are those of the vocabulary; for a list, those of the
        smallest named vocabulary that is not smaller. Raises UnknownVocabulary, UnknownGlosses."""
        whole = self.whole
        name, glosses = chosen(wanted, self.vocabularies, whole.vocabulary)
        if (known := whole._named.get(name)) is not None:
            return known
        if name == ALL and ALL not in whole.config.vocabularies:
            return whole
        view = copy.copy(whole)
        view._whole, view.reads = whole, name
        view._columns = None if name == ALL else columns_of(glosses, whole.vocabulary)
        like = min((len(own), other) for other, own in self.vocabularies.items() if len(own) >= len(glosses))[1]
        view.config = whole.config.reading(name if name in self.vocabularies else like, glosses)
        view.lm = None if whole.lm is None else whole.lm.narrowed(glosses)
        if name in self.vocabularies:
            whole._named[name] = view
        return view

    def taught_with(self, taught: TaughtSigns, vocabulary: str | Sequence[str] | None = None) -> Recogniser:
        """This recogniser with signs that people taught it: alone, or beside the glosses of a vocabulary as
        `reading_with` takes them. A taught sign with the gloss of a known one is another way to sign that one.

        Raises UnknownVocabulary, UnknownGlosses, and NoPrototypes where it cannot weigh known glosses against taught
        ones.
        """
        whole = self.whole
        wrong_width = taught.rows.shape[1] != whole.model.config.model_dim
        if wrong_width or taught.space not in (None, self.embedding_space):
            raise UnknownVocabulary("these signs were taught to another recogniser; teach them to this one")
        if vocabulary is not None and whole.prototypes is None:
            raise NoPrototypes(
                f"{whole.model_id} has no prototypes of its glosses, so taught signs can only be read alone: leave the "
                f"vocabulary out, or make them with: python -m app signs prototypes"
            )
        beside = None if vocabulary is None else whole.reading_with(vocabulary)
        glosses = () if beside is None else beside.vocabulary
        new = [gloss for gloss in (*taught.glosses, OTHER) if gloss not in set(glosses)]
        view = copy.copy(whole)
        view._whole, view._taught = whole, taught
        view.reads = taught.name if beside is None else f"{beside.reads}+{taught.name}"
        settings = whole.config if beside is None else beside.config
        language = taught.sign_language or whole.sign_language
        view.config = settings.with_taught((*glosses, *new), language)
        view._columns = np.array([BLANK, *(label_ids(whole.vocabulary)[gloss] for gloss in glosses)], np.intp)
        places = label_ids(view.vocabulary)
        if whole.prototypes is not None and len(glosses):
            view._rivals = whole.prototypes.rows[view._columns[1:] - 1]
        view._places = np.array([places[gloss] for gloss in (*taught.glosses, OTHER)], np.intp)
        view.lm = None if beside is None or beside.lm is None else beside.lm.beside(new)
        return view

    @property
    def whole(self) -> Recogniser:
        """The recogniser of all glosses, whose network this one shares."""
        return self._whole or self

    def narrow(self, output: WindowOutput) -> WindowOutput:
        """What the network of `whole` says, for the glosses of this recogniser."""
        bias = self.config.decoder.blank_bias - self.whole.config.decoder.blank_bias
        if self._taught is not None:
            assert output.short is not None
            assert self._columns is not None
            looks = self.looks(output.short)
            how = self.whole.config.taught
            table = with_taught(output.log_probs, looks, self._taught, self._columns, self._rivals, how)
            rows = joined_columns(table, len(self._columns), self._places, len(self.vocabulary))
            return output._replace(log_probs=narrowed(rows, slice(None), bias))
        if self._columns is None and not bias:
            return output
        columns = slice(None) if self._columns is None else self._columns
        return output._replace(log_probs=narrowed(output.log_probs, columns, bias))

    @property
    def model_id(self) -> str:
        return self.config.model_id

    @property
    def amp(self) -> bool:
        """Whether the network computes in bfloat16."""
        return self.backend.amp

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.config.vocabulary

    @property
    def knows(self) -> str:
        """How many glosses, and how many of them it reads by default, in words."""
        default, known = self.reading_with(), len(self.whole.vocabulary)
        return f"{known} glosses" + (f", {len(default.vocabulary)} of them by default" if default.reads != ALL else "")

    @property
    def sign_language(self) -> str:
        return self.config.sign_language

    def warm_up(self) -> None:
        """Run one window through everything, so that the first real clip does not pay for lazy initialisation."""
        rng = np.random.default_rng(0)
        self.log_probs([rng.standard_normal((64, self.frame_dim), dtype=np.float32)])
        if rgb := self.backend.rgb:
            self.encode_images(np.zeros((1, num_views(rgb.hands), rgb.size, rgb.size, 3), np.uint8))
        warm_up_language()

    def recognise(self, clip: Keypoints) -> Recognition:
        watch = Stopwatch()
        with watch.stage(FEATURES):
            features = self.features(clip)
        with watch.stage(TEMPORAL):
            ((lattice, attention),) = self.lattices([features])
        return self.recognition(clip, lattice, attention, watch, hand_movement(features))

    def recognition(
        self,
        clip: Keypoints,
        lattice: NDArray[np.float32],
        attention: dict[str, float],
        watch: Stopwatch,
        movement: NDArray[np.float32],
    ) -> Recognition:
        """The answer for a clip, given its whole lattice (S, 1 + vocabulary), its `attention` and the `hand_movement`
        of its features; `watch` times it."""
        with watch.stage(DECODING):
            read = self.read(lattice, self.new_decoder(), movement)
            # The last frame of the model's grid may reach beyond the clip.
            end_s = clip.duration_s
            segments = tuple(replace(s, end_s=end_s) if s.end_s > end_s + 1e-6 else s for s in read)
        with watch.stage(LANGUAGE):
            sentence = to_english([s.gloss for s in segments], self.sign_language)
        return Recognition(
            segments=segments,
            sentence=sentence,
            confidence=float(np.mean([s.confidence for s in segments])) if segments else 0.0,
            frame_count=len(clip),
            duration_s=clip.duration_s,
            fps=MODEL_FPS,
            attention=attention,
            stage_s=watch.seconds,
        )

    @property
    def frame_dim(self) -> int:
        """Width of a frame: NUM_FEATURES, and what the RGB encoder makes of its images where they are read."""
        return NUM_FEATURES + (self.model.rgb.out_dim if self.backend.rgb and self.model.rgb else 0)

    @torch.inference_mode()
    def encode_images(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (N, views, S, S, 3) as `Cropper` cuts them for `backend.rgb` -> (N, frame_dim - NUM_FEATURES), what the
        RGB encoder makes of each frame. N >= 1."""
        return self.backend.encode_images(torch.from_numpy(to_channels_first(crops))).float().cpu().numpy()

    def features(self, clip: Keypoints) -> NDArray[np.float32]:
        """A clip on the model's frame grid: (T, NUM_FEATURES), or (T, frame_dim) where it comes with images that this
        recogniser has encoded."""
        landmarks = normalise(resample(clip), clip.aspect)
        if clip.rgb_features is None:
            return landmarks
        return np.concatenate([landmarks, clip.rgb_features[nearest_frames(clip.times)]], axis=1)

    def lattices(self, features: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray[np.float32], dict[str, float]]]:
        """Whole-clip log-probabilities (S, 1 + vocabulary) and stream weights of each clip's `features`, T >= 0.

        Clips longer than the checkpoint's window are read in overlapping windows on one global lattice.
        """
        decoder = self.config.decoder
        windows = [
            (clip, start, frames[start : start + decoder.window])
            for clip, frames in enumerate(features)
            for start in window_starts(len(frames), decoder.window, decoder.stride)
        ]
        outputs = self.log_probs([frames for _, _, frames in windows])
        joined = [ClipLattice(self.config) for _ in features]
        for (clip, start, _), output in zip(windows, outputs, strict=True):
            joined[clip].add(start, output)
        return [lattice.result() for lattice in joined]

    def log_probs(self, windows: Sequence[NDArray[np.float32]]) -> list[WindowOutput]:
        """One pass of the network over windows of `features`, T >= 1, padded together: ceil(T / 4) steps of each."""
        return self.decode_steps(self.steps(windows), windows)

    @property
    def step_dim(self) -> int:
        """Width of a row of `steps`."""
        return self.model.config.short_dim + 1

    @torch.inference_mode()
    def steps(self, windows: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """First half: windows of `features`, T >= 1 -> (ceil(T / 4), step_dim) of what the convolutions make of
        them; the last column is the weight of the images. A stream keeps these rows."""
        if not windows:
            return []
        batch, lengths = padded_frames(windows, self.frame_dim)
        short, gates = self.backend.encode_frames(torch.from_numpy(batch), lengths)
        rgb = gates[..., :1].float().unflatten(1, (-1, TIME_DIVISOR)).mean(dim=2)
        rows = torch.cat([short.float(), rgb], dim=-1).cpu().numpy()
        return [rows[i, : steps_in(length)] for i, length in enumerate(lengths)]

    @torch.inference_mode()
    def decode_steps(
        self, steps: Sequence[NDArray[np.float32]], windows: Sequence[NDArray[np.float32]]
    ) -> list[WindowOutput]:
        """Second half: the rows of `steps` for whole windows, and the windows themselves -> their outputs.

        Where no hand is present, only the blank is possible.
        """
        if self._taught is not None:  # their columns need those of all glosses
            return [self.narrow(output) for output in self.whole.decode_steps(steps, windows)]
        if not windows:
            return []
        lengths = [len(rows) for rows in steps]
        batch = np.zeros((len(steps), max(lengths), self.step_dim), np.float32)
        for place, rows in zip(batch, steps, strict=True):
            place[: len(rows)] = rows
        logits = self.backend.classify(torch.from_numpy(batch[..., :-1]), lengths)
        if self._columns is not None:
            logits = logits[..., torch.from_numpy(self._columns)]  # the others masked
        table: NDArray[np.float32] = to_log_probs(logits, self.config.decoder.blank_bias).cpu().numpy()
        out = []
        for row, rows, frames in zip(table, steps, windows, strict=True):
            log_probs = row[: len(rows)]
            quiet = ~hand_near(frames)
            log_probs[quiet], log_probs[quiet, BLANK] = SILENT, 0.0
            out.append(WindowOutput(log_probs, rows[:, -1], rows[:, : self.model.config.model_dim]))
        return out

    @property
    def embedding_space(self) -> str:
        """Names what embeddings can be compared with: those of a recogniser with the same first half."""
        whole = self.whole
        if whole._space is None:
            digest = hashlib.sha256(b"" if whole.prototypes is None else whole.prototypes.centre.tobytes())
            for name, weights in sorted(whole.model.state_dict().items()):
                if name.startswith(("pose.", "convolution.")):
                    digest.update(weights.float().cpu().numpy().tobytes())
            whole._space = f"{whole.model_id}/{digest.hexdigest()[:16]}"
        return whole._space

    def looks(self, short: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the steps of a `WindowOutput` look like, as taught signs are compared: (S, model_dim) of length one."""
        prototypes = self.whole.prototypes
        return unit(short if prototypes is None else short - prototypes.centre)

    def embedding(self, output: WindowOutput, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of a recording of one sign, read in one window: (model_dim,) of length one. Raises NoHands."""
        assert output.short is not None
        return embedding(self.looks(output.short), hand_near(features))

    def with_decoder(self, **changes: Any) -> Recogniser:
        """This recogniser with other fields of its DecoderConfig; it shares the network."""
        view = copy.copy(self)
        view._whole = self.whole
        view.config = replace(self.config, decoder=replace(self.config.decoder, **changes))
        return view

    def new_decoder(self) -> Decoder:
        config = self.config.decoder
        if config.beam < 2:
            return GreedyDecoder()
        if self.lm is None or not config.lm_weight or config.stretch:  # with stretches it has its say in `readings`
            return BeamDecoder(config.beam)
        return BeamDecoder(config.beam, self.lm, config.lm_weight, config.length_bonus)

    @property
    def around(self) -> SignContext | None:
        """What the neighbours of a sign say about it when it is decided by its whole stretch."""
        weight = self.config.decoder.lm_weight
        return SignContext(self.lm, weight) if self.lm is not None and weight else None

    def read(
        self, lattice: NDArray[np.float32], decoder: Decoder, movement: NDArray[np.float32] | None = None
    ) -> tuple[GlossSegment, ...]:
        """The signs of a whole lattice (S, 1 + vocabulary), by a decoder that is new or reset.

        movement: `hand_movement` (T, MOVEMENT_DIM) of the same frames; without it the times are those of CTC's peaks.
        """
        decoder.feed(lattice)
        peaks = self.joined(self.last_readings(decoder, lattice))
        return peaks if movement is None or not peaks else self.timed(peaks, Evidence(lattice, movement))

    def last_readings(
        self, decoder: Decoder, lattice: NDArray[np.float32], first_step: int = 0, known: KnownEvidence | None = None
    ) -> list[tuple[DecodedToken, float]]:
        """`readings` of what was decoded of a lattice that has ended; where that is nothing, of what a second look
        finds. known: of this sentence, where it was read before it ended."""
        if tokens := decoder.best().tokens:
            return self.readings(tokens, lattice, first_step, known)
        config = self.config.decoder
        found = second_look(lattice, config.second_look, first_step) if config.second_look else ()
        readings = self.readings(found, lattice, first_step)
        return [(token, confidence) for token, confidence in readings if confidence >= config.second_confidence]

    def readings(
        self,
        tokens: Sequence[DecodedToken],
        lattice: NDArray[np.float32],
        first_step: int = 0,
        known: KnownEvidence | None = None,
    ) -> list[tuple[DecodedToken, float]]:
        """Tokens with their calibrated confidence; where the config says so, decided by their whole stretch.

        lattice: (S, 1 + vocabulary) log-probabilities that cover the tokens, its first row being step `first_step`.
        """
        config = self.config
        if config.decoder.stretch:
            return reread(tokens, lattice, config.decoder.stretch, config.temperature, first_step, self.around, known)
        return [(token, token_confidence(lattice, token, config.temperature, first_step)) for token in tokens]

    def live_readings(
        self,
        tokens: Sequence[DecodedToken],
        committed: int,
        lattice: NDArray[np.float32],
        final: int,
        first_step: int,
        known: KnownEvidence,
    ) -> tuple[list[tuple[DecodedToken, float]], int]:
        """`readings` of a sentence that goes on, and how many of the first are final.

        committed: how many of the tokens are; final: of the rows. known: of this sentence.
        """
        config = self.config
        if not config.decoder.stretch:
            return self.readings(tokens, lattice, first_step), committed
        evidence = known.of(tokens, lattice, config.decoder.stretch, first_step, final)
        return decided(tokens, evidence, config.temperature, self.around, committed)

    def joined(self, readings: Iterable[tuple[DecodedToken, float]]) -> tuple[GlossSegment, ...]:
        """The same as signs with the times of their peaks; those under the threshold are left out, as are OTHER signs
        than those taught, and repetitions of one sign that were decoded as several are merged."""
        config = self.config
        out = []
        for token, confidence in readings:
            gloss = config.vocabulary[token.label - 1]
            if confidence >= config.decoder.min_confidence and gloss != OTHER:
                times = token.start_step * STEP_S, token.end_step * STEP_S
                out.append(GlossSegment(gloss, *times, confidence, confidence < config.decoder.unsure))
        return merged(out, config.decoder.merge_s)

    def timed(self, peaks: Sequence[GlossSegment], evidence: Evidence, free_from: int = 0) -> tuple[GlossSegment, ...]:
        """The signs of `joined` with the times at which they are signed, see `sign_times`."""
        tokens = [
            DecodedToken(1 + self.vocabulary.index(p.gloss), round(p.start_s / STEP_S), round(p.end_s / STEP_S))
            for p in peaks
        ]
        times = sign_times(tokens, evidence, self.config.times, free_from)
        return tuple(
            replace(peak, start_s=start / MODEL_FPS, end_s=end / MODEL_FPS)
            for peak, (start, end) in zip(peaks, times, strict=True)
        )


def _backend(model: SignModel, device: str, amp: bool) -> Backend:
    if amp and amx.suits(model.config, device):
        return AmxBackend(model)
    return TorchBackend(model, device, amp)


class ClipLattice:
    """What the windows of one clip add up to."""

    def __init__(self, config: CheckpointConfig) -> None:
        self._lattice = GlobalLattice(config.decoder.window, config.decoder.stride)
        self._width = 1 + len(config.vocabulary)
        self._rgb: list[NDArray[np.float32]] = []

    def add(self, start: int, output: WindowOutput) -> None:
        """The output of the window that starts at this frame; windows are added in order."""
        self._lattice.add(start // TIME_DIVISOR, output.log_probs)
        self._rgb.append(output.rgb)

    def result(self) -> tuple[NDArray[np.float32], dict[str, float]]:
        """The whole lattice (S, 1 + vocabulary), and the mean weight of each stream."""
        if not self._rgb:
            return np.zeros((0, self._width), np.float32), {"rgb": 0.0, "pose": 1.0}
        rgb = float(np.concatenate(self._rgb).mean())
        return self._lattice.flush(), {"rgb": rgb, "pose": 1.0 - rgb}


def merged(segments: Sequence[GlossSegment], gap_s: float) -> tuple[GlossSegment, ...]:
    """The signs, with repetitions of a gloss less than `gap_s` apart merged into one, with the higher confidence.

    Many signs repeat their movement, and at a learner's pace CTC emits it twice. Segments that do not change keep their
    places, so what is final in a stream stays so.
    """
    out: list[GlossSegment] = []
    for segment in segments:
        last = out[-1] if out else None
        if last is not None and last.gloss == segment.gloss and segment.start_s - last.end_s < gap_s - 1e-9:
            confidence, unsure = max(last.confidence, segment.confidence), last.unsure and segment.unsure
            out[-1] = replace(last, end_s=segment.end_s, confidence=confidence, unsure=unsure)
        else:
            out.append(segment)
    return tuple(out)


def hand_near(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(T, NUM_FEATURES) -> (ceil(T / 4),): whether a hand was seen during the step or HAND_REACH frames around it.

    Where none was, nothing can have been signed: an empty room or hands in the lap never give a sign.
    """
    steps = steps_in(len(features))
    seen = (features[:, [LEFT_FEATURES.start, RIGHT_FEATURES.start]] > 0.5).any(axis=1)
    count = np.concatenate([[0], np.cumsum(seen)])
    first = np.arange(steps) * TIME_DIVISOR
    low = np.maximum(first - HAND_REACH, 0)
    high = np.minimum(first + TIME_DIVISOR + HAND_REACH, len(features))
    return count[high] > count[low]


def window_starts(frames: int, window: int, stride: int) -> list[int]:
    """First frames of the windows that cover a clip: none for an empty clip, one up to `window` frames."""
    return list(range(0, max(frames - window, 0) + stride, stride)) if frames else []
