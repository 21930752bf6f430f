"""The caption being signed: final glosses, replaceable partial ones, and the sentence they make so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial as bind

from app.pipeline.module4_language.translate import to_english


@dataclass(frozen=True, slots=True)
class Caption:
    """What a reader sees of one segment at one moment.

    Attributes:
        segment: number of the segment in its session, from 0.
        revision: grows by one each time ``sentence`` changes; 0 while nothing has been shown.
        final: glosses that will not change.
        partial: glosses after them that the next update replaces.
        sentence: English for both together.
        closed: True once the segment has ended: this caption will never change.
    """

    segment: int
    revision: int
    final: tuple[str, ...]
    partial: tuple[str, ...]
    sentence: str
    closed: bool = False

    @property
    def glosses(self) -> tuple[str, ...]:
        return self.final + self.partial


class CaptionBuffer:
    """Collects the glosses of the running segment and rewrites its sentence once per change.

    Not thread safe: one buffer belongs to one stream.
    """

    def __init__(self, sign_language: str = "ase", translate: Callable[[tuple[str, ...]], str] | None = None) -> None:
        """``translate`` turns glosses into text; by default the grammar of ``sign_language``."""
        self._translate = translate or bind(to_english, sign_language=sign_language)
        self._caption = Caption(0, 0, (), (), "")

    @property
    def caption(self) -> Caption:
        """The caption as it stands."""
        return self._caption

    @property
    def sentence(self) -> str:
        return self._caption.sentence

    @property
    def revision(self) -> int:
        return self._caption.revision

    def update(self, final: Iterable[str] = (), partial: Iterable[str] = ()) -> Caption:
        """Append newly ``final`` glosses, replace the partial ones by ``partial``, and return the caption.

        The grammar runs only if the row of glosses changed; a partial gloss that merely becomes final changes nothing.
        """
        old = self._caption
        finals, partials = old.final + tuple(final), tuple(partial)
        sentence = old.sentence if finals + partials == old.glosses else self._translate(finals + partials)
        revision = old.revision + (sentence != old.sentence)
        self._caption = Caption(old.segment, revision, finals, partials, sentence)
        return self._caption

    def flush(self) -> Caption:
        """End the segment: return it closed, with what is still partial taken as said, and start the next one empty."""
        old = self._caption
        self._caption = Caption(old.segment + 1, 0, (), (), "")
        return Caption(old.segment, old.revision, old.glosses, (), old.sentence, closed=True)
