"""Vocabularies by name and as lists, and lattices without the other glosses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.module3_sequence.steps import to_log_probs
from app.pipeline.module3_sequence.vocabularies import (
    MAX_GLOSSES,
    NAMED,
    UnknownGlosses,
    UnknownVocabulary,
    chosen,
    chosen_glosses,
    columns_of,
    narrowed,
    read_vocabularies,
)

KNOWN = ("AGAIN", "HELLO", "MOTHER", "THANK-YOU", "WHAT")


def test_named_vocabularies_and_all(tmp_path: Path) -> None:
    folder = tmp_path / "vocabularies"
    folder.mkdir()
    (folder / "core.txt").write_text("# the first\nwhat\nHELLO # often\n\nthank you\nHELLO\n")
    assert read_vocabularies(tmp_path, KNOWN) == {"core": ("HELLO", "THANK-YOU", "WHAT"), "all": KNOWN}
    assert read_vocabularies(tmp_path / "none", KNOWN) == {"all": KNOWN}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("core", "", "core.txt: the list of glosses is empty"),
        ("core", "HELO", r"core.txt: the recogniser does not know HELO \(nearest: HELLO\)"),
        ("Core!", "HELLO", "a vocabulary is named with"),
        ("custom", "HELLO", "not 'custom'"),
    ],
)
def test_a_file_that_cannot_be_read_with_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / "vocabularies").mkdir()
    (tmp_path / "vocabularies" / f"{name}.txt").write_text(text)
    with pytest.raises(UnknownVocabulary, match=says):
        read_vocabularies(tmp_path, KNOWN)


def test_the_default_is_everyday_where_there_is_one() -> None:
    everyday = {"everyday": ("HELLO",), "all": KNOWN}
    assert chosen(None, everyday, KNOWN) == ("everyday", ("HELLO",))
    assert chosen(None, {"all": KNOWN}, KNOWN) == ("all", KNOWN)
    assert chosen("all", everyday, KNOWN) == ("all", KNOWN)
    assert chosen(["what", "Thank you", "WHAT"], everyday, KNOWN) == ("custom", ("THANK-YOU", "WHAT"))


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownVocabulary, match=r"no vocabulary 'everday', but all, everyday; did you mean 'everyday'"):
        chosen("everday", {"everyday": ("HELLO",), "all": KNOWN}, KNOWN)
    with pytest.raises(UnknownVocabulary) as refused:
        chosen("x" * 100_000, {"all": KNOWN}, KNOWN)
    assert len(str(refused.value)) < 200


def test_lists_that_cannot_be_read_with() -> None:
    with pytest.raises(UnknownVocabulary, match="empty"):
        chosen_glosses([], KNOWN)
    with pytest.raises(UnknownVocabulary, match=f"more than {MAX_GLOSSES} glosses"):
        chosen_glosses(["HELLO"] * 10_000, KNOWN)
    with pytest.raises(UnknownGlosses) as refused:
        chosen_glosses(["HELLO", "MOTER", *(f"{i}" * 100 for i in range(20))], KNOWN)
    assert "MOTER (nearest: MOTHER)" in str(refused.value)
    assert f"and {21 - NAMED} more" in str(refused.value)
    assert len(str(refused.value)) < 1000
    with pytest.raises(UnknownGlosses, match=r"does not know '' \(an empty entry\)"):
        chosen_glosses([" "], KNOWN)


@given(
    seed=st.integers(0, 2**32 - 1),
    labels=st.sets(st.integers(1, 20), min_size=1),
    bias=st.floats(0, 6),
)
def test_narrowing_is_exactly_masking_logits(seed: int, labels: set[int], bias: float) -> None:
    logits = torch.from_numpy(np.random.default_rng(seed).normal(0, 4, (7, 21)).astype(np.float32))
    known = [f"G{label:02}" for label in range(1, 21)]
    columns = columns_of([f"G{label:02}" for label in sorted(labels)], known)
    masked = torch.full_like(logits, -torch.inf)
    masked[:, columns] = logits[:, columns]
    expected = to_log_probs(masked, bias).numpy()[:, columns]
    narrow = narrowed(to_log_probs(logits).numpy(), columns, bias)
    np.testing.assert_allclose(narrow, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.exp(narrow).sum(axis=1), 1.0, rtol=1e-5)
