"""The everyday sentences and the gloss language model that is counted on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.pipeline.checkpoint import read_config
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, NgramModel
from app.pipeline.module3_sequence.vocabularies import read_vocabularies
from app.training.corpora.aslg.everyday import aslg_sentences
from app.training.corpora.glosses.sentences import PER_PATTERN, counted, everyday_sentences, expanded, perplexity
from app.training.errors import ConfigError, CorpusError

FOLDER = Path(__file__).parents[4] / "checkpoints" / "asl-large"


def test_patterns_are_expanded() -> None:
    lines = ["@family = MOTHER FATHER", "@who = @family SHE", "MY [@family] [SAD -]", "@who WHO"]
    assert expanded(lines) == [
        ("MY", "MOTHER", "SAD"), ("MY", "MOTHER"), ("MY", "FATHER", "SAD"), ("MY", "FATHER"),
        ("MOTHER", "WHO"), ("FATHER", "WHO"), ("SHE", "WHO"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no list @food"):
        expanded(["EAT @food"])


def test_a_pattern_with_many_fillings_does_not_drown_the_others() -> None:
    line = "[A B C D E F] [G H I J K L]"
    some = expanded([line])
    assert len(set(some)) == PER_PATTERN
    assert some == expanded([line])


def test_sentences_that_are_kept_apart_are_not_counted() -> None:
    kept = everyday_sentences()
    assert not set(kept.counted) & (set(kept.same_patterns) | set(kept.others))
    assert len(set(kept.counted)) == len(kept.counted) > 2000
    known = set(read_config(FOLDER).vocabulary)
    for sentences in (kept.counted, kept.same_patterns, kept.others):
        assert {gloss for sentence in sentences for gloss in sentence} <= known
    everyday = set(read_vocabularies(FOLDER, read_config(FOLDER).vocabulary)["everyday"])
    assert everyday <= {gloss for sentence in kept.counted for gloss in sentence}


def test_the_shipped_model_is_counted_on_them_and_knows_sentences_from_single_glosses() -> None:
    glosses, kept = read_config(FOLDER).vocabulary, everyday_sentences()
    shipped = NgramModel.load(FOLDER / LANGUAGE_MODEL, glosses)
    assert (FOLDER / LANGUAGE_MODEL).stat().st_size < 1e6
    # ASLG's clauses, which are not part of the repository, come on top.
    ours = counted(kept.counted, glosses, 2)
    everyday = read_vocabularies(FOLDER, glosses)["everyday"]
    for model in (ours, shipped):
        narrow, alone = model.narrowed(everyday), counted(kept.counted, glosses, 1).narrowed(everyday)
        fitting = [sentence for sentence in kept.others if set(sentence) <= set(everyday)]
        assert perplexity(narrow, fitting) < 35 < 50 < perplexity(alone, fitting)


def test_a_gloss_that_the_checkpoint_does_not_know_is_named() -> None:
    with pytest.raises(ConfigError, match="does not know UNICORN"):
        counted([("ME", "UNICORN")], ("ME",), 2)


def test_perplexity_by_hand() -> None:
    # Nothing counted: every symbol, the end included, is one of three.
    assert perplexity(NgramModel.fit([], ("A", "B"), 2), [("A", "B"), ("B",)]) == pytest.approx(3)


def test_clauses_of_aslg_where_all_glosses_are_known(tmp_path: Path) -> None:
    text = "X-I BE DESC-HAPPY , X-WE AGREE .\nX-I BE DESC-HAPPY .\nPARLIAMENT AGREE .\nAGREE .\n"
    (tmp_path / "dev.gloss").write_text(text)
    known = {"IX-1", "HAPPY", "WE", "AGREE"}
    assert aslg_sentences(tmp_path, known) == [("IX-1", "HAPPY"), ("WE", "AGREE")]
    with pytest.raises(CorpusError, match="pass the folder of ASLG-PC12"):
        aslg_sentences(tmp_path / "nowhere", known)
