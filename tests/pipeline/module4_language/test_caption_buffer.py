"""The caption buffer: revisions, replaced partials, closing, and how often the grammar runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.module4_language import CaptionBuffer, to_english


def test_partials_are_replaced_and_finals_stay() -> None:
    buffer = CaptionBuffer()
    assert buffer.update(partial=["MY"]).revision == 1
    caption = buffer.update(final=["MY"], partial=["NAME", "FS-A"])
    assert (caption.final, caption.partial) == (("MY",), ("NAME", "FS-A"))
    caption = buffer.update(final=["NAME"], partial=["FS-A", "FS-N", "FS-N"])
    assert caption.sentence == "My name is Ann."
    assert caption.glosses == ("MY", "NAME", "FS-A", "FS-N", "FS-N")
    assert not caption.closed


def test_the_grammar_runs_once_per_change() -> None:
    calls: list[tuple[str, ...]] = []

    def translate(glosses: tuple[str, ...]) -> str:
        calls.append(glosses)
        return " ".join(glosses)

    buffer = CaptionBuffer(translate=translate)
    calls.clear()
    buffer.update(partial=["HELLO"])
    buffer.update(partial=["HELLO"])
    buffer.update(final=["HELLO"])  # the partial became final: same text
    _ = buffer.sentence, buffer.revision, buffer.caption
    assert calls == [("HELLO",)]
    assert buffer.revision == 1


def test_a_change_of_glosses_that_leaves_the_text_is_no_revision() -> None:
    buffer = CaptionBuffer()
    buffer.update(partial=["IX-1", "HUNGRY"])
    assert buffer.update(partial=["HUNGRY", "IX-1"]).revision == 1


def test_a_withdrawn_partial_empties_the_caption() -> None:
    buffer = CaptionBuffer()
    buffer.update(partial=["HELLO"])
    caption = buffer.update()
    assert (caption.sentence, caption.revision) == ("", 2)


def test_flush_closes_what_is_shown_and_starts_afresh() -> None:
    buffer = CaptionBuffer()
    buffer.update(final=["WATER"], partial=["PLEASE"])
    closed = buffer.flush()
    assert closed.closed
    assert (closed.segment, closed.sentence, closed.glosses) == (0, "Water, please.", ("WATER", "PLEASE"))
    assert closed.partial == ()
    assert (buffer.sentence, buffer.revision, buffer.caption.segment) == ("", 0, 1)
    assert buffer.update(final=["YES"]).sentence == "Yes."


def test_flushing_silence_gives_an_empty_closed_caption() -> None:
    closed = CaptionBuffer().flush()
    assert closed.closed
    assert closed.sentence == ""


SIGNS = st.lists(st.sampled_from(["HELLO", "IX-1", "YOU", "HUNGRY", "NO", "WATER"]), max_size=4)


@given(st.lists(st.tuples(SIGNS, SIGNS), max_size=8))
def test_revision_grows_by_one_exactly_when_the_text_changes(updates: list[tuple[list[str], list[str]]]) -> None:
    buffer = CaptionBuffer("ase")
    said: list[str] = []
    for final, partial in updates:
        before = buffer.caption
        after = buffer.update(final, partial)
        said += final
        assert after.sentence == to_english([*said, *partial])
        assert after.revision == before.revision + (after.sentence != before.sentence)
        assert after.final == tuple(said)
