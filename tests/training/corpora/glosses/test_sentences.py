"""The everyday sentences and the gloss language model that is counted on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.pipeline.checkpoint import read_config
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, NgramModel
from app.pipeline.module3_sequence.vocabularies import read_vocabularies
from app.training.corpora.aslg.everyday import aslg_sentences
from app.training.corpora.glosses.evaluation import TAKES, performed
from app.training.corpora.glosses.sentences import PER_PATTERN, counted, everyday_sentences, expanded, perplexity
from app.training.corpora.glosses.strokes import find_strokes
from app.training.errors import ConfigError, CorpusError
from tests.support.commands import glosses
from tests.support.glosses_corpus import GLOSSES, small_bank

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
    known, kept = read_config(FOLDER).vocabulary, everyday_sentences()
    shipped = NgramModel.load(FOLDER / LANGUAGE_MODEL, known)
    assert (FOLDER / LANGUAGE_MODEL).stat().st_size < 1e6
    # ASLG's clauses, which are not part of the repository, come on top.
    ours = counted(kept.counted, known, 2)
    everyday = read_vocabularies(FOLDER, known)["everyday"]
    for model in (ours, shipped):
        narrow, alone = model.narrowed(everyday), counted(kept.counted, known, 1).narrowed(everyday)
        fitting = [sentence for sentence in kept.others if set(sentence) <= set(everyday)]
        assert perplexity(narrow, fitting) < 35 < 50 < perplexity(alone, fitting)


def test_the_command_counts_the_shipped_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lm.json"
    (tmp_path / "dev.gloss").write_text("X-I BE DESC-HAPPY .\n")
    assert glosses(["lm", "--checkpoint", FOLDER, "--aslg", tmp_path, "--out", out]) == 0
    said = capsys.readouterr().out
    assert f"{len(everyday_sentences().counted)} sentences, 1 clauses of ASLG; " in said
    assert "everyday: perplexity " in said
    assert NgramModel.load(out, read_config(FOLDER).vocabulary).order == 2
    assert glosses(["lm", "--checkpoint", FOLDER, "--order", 9, "--out", out]) == 2
    assert "--order is 1 to 6, got 9" in capsys.readouterr().err


def test_sentences_are_performed_with_clips_of_each_sign() -> None:
    bank = small_bank()
    clips = bank.of("wlasl", "dev")
    asked = performed(bank, find_strokes(bank), clips, GLOSSES, [("A", "C", "B"), ("D",), ("E", "UNICORN")], 0.45)
    assert [question.signs for question in asked] == [("A", "C", "B")] * TAKES
    for question in asked:
        assert question.phrase.labels == [1, 3, 2]
    assert performed(bank, find_strokes(bank), clips, GLOSSES, [("D",)], 0.45) == ()


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
