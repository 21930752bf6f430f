"""JSON of live messages, read with a bound on its elements: it is parsed on the event loop.

Has the two functions of the module `json` that Socket.IO asks for.
"""

from __future__ import annotations

import json
from typing import Any

#: The largest message, the landmarks of a frame, has 225 numbers.
MAX_COMMAS = 2_000

dumps = json.dumps


def loads(text: str | bytes, **options: Any) -> Any:
    """As json.loads. Raises ValueError also for text with more elements than a live message has, before parsing it:
    a megabyte of `[],[],...` would block the event loop for a hundred milliseconds."""
    commas = text.count(b",") if isinstance(text, bytes) else text.count(",")
    if commas > MAX_COMMAS:
        raise ValueError(f"the message has {commas} commas, the limit is {MAX_COMMAS}")
    return json.loads(text, **options)
