"""Sentences that a chat model makes fluent: checked against the glosses, else left as the rules made them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from loguru import logger

from app.pipeline.module4_language.support import unsupported

Ask = Callable[[str, str], Awaitable[str | None]]
"""Glosses, separated by spaces, and the sentence of the rules -> the model's; None where it is not there in time."""


class SentenceRewriter:
    """One for all sessions and clips of a process."""

    def __init__(self, ask: Ask) -> None:
        """ask: must be bounded in time."""
        self._ask = ask

    async def rewritten(self, glosses: Sequence[str], sentence: str) -> str | None:
        """None where the model does not answer in time, says what no gloss supports, or changes nothing."""
        found = await self._ask(" ".join(glosses), sentence) if sentence else None
        if found is None or found == sentence:
            return None
        if added := unsupported(found, glosses, sentence):
            logger.info("a sentence was not rewritten: {} of its words no gloss supports", len(added))
            return None
        return found
