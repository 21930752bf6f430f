"""Answers that are sent while they are made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator


async def begun(pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """All the pieces, once the first is there: what is raised before it can still be an answer of its own. They are
    closed when the client goes, or when there is no first one."""
    try:
        first = await anext(pieces)
    except BaseException:
        await pieces.aclose()
        raise

    async def whole() -> AsyncIterator[bytes]:
        try:
            yield first
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    return whole()
