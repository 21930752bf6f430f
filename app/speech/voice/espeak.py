"""espeak-ng: robotic, instant, offline; one process for each text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.speech import programs
from app.speech.engines import Availability, EngineFailed, EngineMissing, OwnUse, Reference, Sound, known
from app.speech.text import cleaned, sentences

REMEDY = "apt-get install espeak-ng"
VOICES = {"en": "en-us", "es": "es"}
#: Words per minute, and the highest and lowest that it can do.
RATE, MIN_RATE, MAX_RATE = 165, 80, 450
TIMEOUT_S = 20.0
#: Samples per second of its voices.
SAMPLE_RATE = 22_050
_HEADER = 44


#: Its option for the pitch, and the Hertz that come out, in both languages.
_PITCHES = ((0, 69.0), (25, 82.7), (50, 102.6), (75, 132.2), (99, 172.0))
#: Characters a second at RATE, and the slowest and fastest that a voice is fitted to, in words a minute.
_CHARACTERS_A_S, _SLOWEST, _FASTEST = 18.5, 110, 240


def fitted(reference: Reference) -> tuple[int, int]:
    """Words a minute, and the option for the pitch, nearest to a person's voice. Voices higher than it can do get its
    highest."""
    options, hertz = zip(*_PITCHES, strict=True)
    pitch = round(float(np.interp(np.log(reference.pitch_hz), np.log(hertz), options)))
    pace = reference.characters_a_s
    rate = RATE if pace is None else round(RATE * pace / _CHARACTERS_A_S)
    return min(max(rate, _SLOWEST), _FASTEST), pitch


class Espeak:
    """A Voice."""

    name = "espeak-ng"
    own: OwnUse = "fitted"

    def __init__(self, rate: int = RATE, pitch: int = 50) -> None:
        """rate: words per minute. pitch: 0 to 99."""
        self._rate, self._pitch = rate, pitch

    def availability(self) -> Availability:
        if programs.found("espeak-ng") is None:
            return Availability(False, "espeak-ng is not installed.", REMEDY)
        return Availability(True, "espeak-ng, English and Spanish")

    def speak(self, text: str, language: str, reference: Reference | None = None) -> Iterator[Sound]:
        voice, program = VOICES[known(language)], programs.found("espeak-ng")
        if program is None:
            raise EngineMissing(self.availability())
        rate, pitch = (self._rate, self._pitch) if reference is None else fitted(reference)
        options = ["-s", str(min(max(rate, MIN_RATE), MAX_RATE)), "-p", str(min(max(pitch, 0), 99))]
        return self._spoken([program, "-v", voice, *options, "--stdin", "--stdout"], text)

    def _spoken(self, command: list[str], text: str) -> Iterator[Sound]:
        for sentence in sentences(cleaned(text)):
            # By standard input, so that no text can be taken for an option; without -m, no mark-up is read.
            wav = programs.run(command, sentence.encode() + b"\n", TIMEOUT_S)
            if len(wav) < _HEADER or not wav.startswith(b"RIFF"):
                raise EngineFailed("espeak-ng made no sound.")
            rate = int.from_bytes(wav[24:28], "little")
            samples = np.frombuffer(wav[_HEADER : len(wav) - len(wav) % 2], "<i2")
            yield Sound(samples, rate)

    def close(self) -> None:
        pass
