"""JSON of live messages, read with a bound on its elements: it is parsed on the event loop.

Has the two functions of the module `json` that Socket.IO asks for.
"""

from __future__ import annotations

import json
from typing import Any

#: How often each of these may occur in a message. The landmarks of a frame are 75 lists of 3 numbers; a list of glosses
#: has more commas, but strings cost less than lists, objects and keys.
MOST = {",": 12_000, "[": 1_000, "{": 1_000, ":": 2_000}

dumps = json.dumps


def loads(text: str | bytes, **options: Any) -> Any:
    """As json.loads. Raises ValueError also for text with more elements than a live message has, before parsing it:
    a megabyte of `[],[],...` would block the event loop for a hundred milliseconds."""
    for sign, most in MOST.items():
        count = text.count(sign.encode()) if isinstance(text, bytes) else text.count(sign)
        if count > most:
            raise ValueError(f"the message has '{sign}' {count} times, the limit is {most}")
    return json.loads(text, **options)
