"""Examples from which a large vocabulary learns the times of its signs: phrases and clips of training signers."""

from __future__ import annotations

import math

import numpy as np
import torch

from app.pipeline.module3_sequence.steps import to_log_probs
from app.pipeline.module3_sequence.vocabularies import columns_of
from app.pipeline.recogniser import Recogniser
from app.training.corpora.glosses.bank import NONE, Bank
from app.training.corpora.glosses.device import DeviceBank
from app.training.corpora.glosses.evaluation import CORE, PACES, RATES, Question, composed, lattices, single, webcam
from app.training.corpora.glosses.strokes import Strokes, find_strokes
from app.training.sign_times import TimedExample, example

_SEED = 3


def timed_examples(recogniser: Recogniser, bank: Bank, phrases: int = 150, singles: int = 250) -> list[TimedExample]:
    """Of each corpus: `phrases` at every pace of the dev figures and at that of the clips, and whole clips; `wlasl`
    read with the vocabulary of the recogniser, `signs` with its own glosses. The signs are where their strokes are."""
    strokes, device = find_strokes(bank), DeviceBank(bank, torch.device("cpu"))
    whole, rng = recogniser.whole, np.random.default_rng(_SEED)
    cam = webcam(bank) & set(whole.vocabulary)
    out = []
    for corpus, glosses in (("wlasl", set(recogniser.vocabulary)), ("signs", cam)):
        reader = whole.reading_with([g for g in whole.vocabulary if g in glosses])
        clips = [
            i for i in bank.of(corpus, "train") if bank.clips[i].gloss != NONE and set(bank.clips[i].signs) <= glosses
        ]
        common = [i for i in clips if corpus != "signs" or bank.clips[i].gloss in CORE]
        asked = [
            (question, [(a, b) for _, a, b in question.phrase.spans])
            for pace in (*PACES, None)
            for question in composed(bank, strokes, common, whole.vocabulary, phrases, pace)
        ]
        alone = [i for i in clips if len(bank.clips[i].signs) == 1]
        for n, i in enumerate(rng.permutation(alone)[:singles].tolist()):
            asked.append(_single(bank, strokes, i, RATES[n % len(RATES)] if corpus == "signs" else 25.0))
        outputs = lattices(whole.model, device, [question for question, _ in asked], torch.float32)
        columns = torch.from_numpy(columns_of(reader.vocabulary, whole.vocabulary))
        for (question, frames), output in zip(asked, outputs, strict=True):
            log_probs = to_log_probs(output.logits[:, columns], reader.config.decoder.blank_bias).numpy()
            out.append(example(reader, log_probs, output.movement, question.signs, frames))
    return out


def _single(bank: Bank, strokes: Strokes, i: int, fps: float) -> tuple[Question, list[tuple[int, int]]]:
    """A whole clip, and where its stroke is in it."""
    question, clip = single(bank, i, fps), bank.clips[i]
    pace = len(question.phrase) / (clip.end - clip.start)
    first, end = ((at - clip.start) * pace for at in strokes.stroke[i].tolist())
    return question, [(int(first), max(math.ceil(end), int(first) + 2))]
