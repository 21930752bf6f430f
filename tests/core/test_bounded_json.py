from __future__ import annotations

import json

import pytest

from app.core import bounded_json


@pytest.mark.parametrize("element", ["[],", "1,", '"",', "{},", '"k":1,'])
def test_a_flood_of_elements_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch, element: str) -> None:
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    for text in ("[" + element * 300_000, ("[" + element * 300_000).encode()):
        with pytest.raises(ValueError, match="the limit is"):
            bounded_json.loads(text)


@pytest.mark.parametrize("element", ["[]", "{}", '"k":1'])
def test_what_is_expensive_has_a_smaller_bound(element: str) -> None:
    with pytest.raises(ValueError, match="the limit is"):
        bounded_json.loads("[" + ",".join([element] * 3_000) + "]")


def test_the_largest_honest_message_is_read() -> None:
    message = {"type": "landmarks", "points": [[0.123456789, 0.5, 1.0]] * 75, "timestamp": 1.5}
    assert bounded_json.loads(bounded_json.dumps(message, separators=(",", ":"))) == message
    picture = {"type": "frame", "data": "data:image/jpeg;base64," + "A" * 1_000_000}
    assert bounded_json.loads(json.dumps(picture)) == picture
    glosses = {"type": "vocabulary", "vocabulary": ["THANK-YOU"] * 10_000}  # too many, which the answer has to say
    assert bounded_json.loads(json.dumps(glosses)) == glosses
