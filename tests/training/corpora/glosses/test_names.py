from __future__ import annotations

from app.training.corpora.glosses.bank import chosen_recordings
from app.training.corpora.glosses.names import gloss_of, left_out, synonyms


def test_synonyms_bear_the_common_word() -> None:
    assert gloss_of("mom") == gloss_of("mother") == "MOTHER"
    assert gloss_of("food") == "EAT"
    assert gloss_of("thank you") == "THANK-YOU"
    assert (gloss_of("fine"), gloss_of("cost")) == ("FINE", "COST")
    assert gloss_of("b") is None
    assert not left_out() & set(synonyms().values())


def test_a_recording_under_two_glosses_counts_for_the_more_recorded() -> None:
    def row(gloss: str, recording: int, variation: str = "0") -> dict[str, str]:
        return {"gloss": gloss, "recording": str(recording), "variation": variation}

    rows = [row("go", 1), row("attend", 1), row("go", 2), row("mom", 3), row("mother", 3), row("go", 4, "1")]
    assert chosen_recordings(rows) == {0: "GO", 2: "GO", 3: "MOTHER"}
