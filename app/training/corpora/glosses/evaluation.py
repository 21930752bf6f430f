"""Dev figures: single signs and composed phrases of signers that training never saw, with several vocabularies.

Reading with a smaller vocabulary is masking the logits of all other glosses. No thresholds. Composed phrases are fixed:
drawn once, by a seed. Most are glosses in random order; sentences are such as people sign.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig
from app.pipeline.module1_preprocessing.movement import MOVEMENT_DIM, hand_movement
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.ngram import NgramModel
from app.pipeline.module3_sequence.sign_times import Evidence
from app.pipeline.module3_sequence.steps import TIME_DIVISOR, to_log_probs
from app.pipeline.module3_sequence.vocabularies import columns_of
from app.pipeline.recogniser import GlossSegment, Recogniser
from app.training.corpora.glosses.bank import Bank
from app.training.corpora.glosses.batches import collate
from app.training.corpora.glosses.compose import FPS, Composer, Phrase, Recipe, Track
from app.training.corpora.glosses.device import DeviceBank, features
from app.training.corpora.glosses.names import NONE, left_out
from app.training.corpora.glosses.sentences import Sentence, everyday_sentences
from app.training.corpora.glosses.strokes import Strokes
from app.training.evaluation.times import Stretch, time_figures
from app.training.evaluation.wer import ErrorCounts, word_errors

#: Glosses of `signs` with eight or more signers.
CORE = (
    "HELLO", "THANK-YOU", "I-LOVE-YOU", "NO", "PLEASE", "YES", "HELP", "GOODBYE", "IX-1", "YOU", "SORRY", "EAT", "GOOD",
    "WELCOME", "HOW", "NAME",
)  # fmt: skip
#: The three that are recorded most.
COMMON = ("HELLO", "THANK-YOU", "I-LOVE-YOU")
#: Frames a second of webcams, which `signs` does not record.
RATES = (12.5, 16.7, 25.0)
#: Seconds a sign of the composed phrases.
PACES = (0.3, 0.45, 0.6)
_SEED = 20
#: How often each sentence is performed, by other signers where there are others.
TAKES = 2
#: Signs of a lower confidence are shown as unsure; see `vocabularies` in `checkpoints/asl-large/config.json`.
UNSURE = 0.4


@dataclass(frozen=True)
class Question:
    """One clip or phrase, and what should be read."""

    phrase: Phrase
    """What is shown."""
    signs: tuple[str, ...]
    """The right answer."""


@dataclass(frozen=True)
class Part:
    """Questions that make one figure."""

    name: str
    """Of the figure."""
    questions: tuple[Question, ...]
    """What is asked."""
    known: frozenset[str] | None
    """Glosses that may be read; None: all."""


def most_recorded(bank: Bank, vocabulary: Iterable[str], count: int) -> frozenset[str]:
    """The glosses with most training recordings in `wlasl`, ties by the alphabet."""
    clips = Counter(sign for i in bank.of("wlasl", "train") for sign in bank.clips[i].signs)
    return frozenset(sorted(vocabulary, key=lambda g: (-clips[g], g))[:count])


def webcam(bank: Bank) -> frozenset[str]:
    """Glosses of `signs`."""
    return frozenset(s for i in bank.of("signs", "train") for s in bank.clips[i].signs)


def single(bank: Bank, i: int, fps: float) -> Question:
    """A whole clip as if recorded at `fps`."""
    clip = bank.clips[i]
    track = Track()
    track.read(clip.start, clip.end - 1, max(8, round((clip.end - clip.start) * FPS / fps)))
    return Question(Phrase(track.first[0], track.second[0], track.weight[0], ()), clip.signs)


#: Phrases without anything that training adds to them.
_AS_SIGNED = Recipe(nothing=0, single=0, mixed=0, lost=0, false_start=0, wlasl=1.0, cut=0.15, longest=10_000)


def composed(
    bank: Bank, strokes: Strokes, clips: list[int], vocabulary: tuple[str, ...], phrases: int, sign_s: float | None
) -> tuple[Question, ...]:
    """Phrases of three to six signs of one signer; none of no clips. sign_s: seconds a sign, None for each clip's own
    pace."""
    if not clips:
        return ()
    composer = Composer(bank, strokes, clips, vocabulary, _AS_SIGNED)
    book = next(iter(composer.corpora.values()))
    rng = np.random.default_rng([_SEED, int(100 * (sign_s or 0))])
    out = []
    for _ in range(phrases):
        phrase = composer.compose(rng, book.phrase(rng, int(rng.integers(3, 7)), False), sign_s)
        signs = tuple(vocabulary[label - 1] for label in phrase.labels)
        out.append(Question(phrase, signs))
    return tuple(out)


def performed(
    bank: Bank,
    strokes: Strokes,
    clips: list[int],
    vocabulary: tuple[str, ...],
    sentences: Sequence[Sentence],
    sign_s: float,
) -> tuple[Question, ...]:
    """Sentences of two or more signs for all of which there are clips, TAKES times each: by a signer who has most of
    the signs, the others by anybody. sign_s: seconds a sign."""
    by: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i in clips:
        if len(bank.clips[i].signs) == 1:
            by[bank.clips[i].signs[0]][bank.clips[i].signer].append(i)
    composer = Composer(bank, strokes, clips, vocabulary, _AS_SIGNED)
    out = []
    for number, sentence in enumerate(s for s in sentences if len(s) > 1 and by.keys() >= set(s)):
        known = {signer: sum(signer in by[sign] for sign in sentence) for sign in sentence for signer in by[sign]}
        first = sorted(signer for signer, signs in known.items() if signs == max(known.values()))
        for take in range(TAKES):
            rng = np.random.default_rng([_SEED, int(100 * sign_s), number, take])
            signer, chosen = str(rng.choice(first)), []
            for sign in sentence:
                who = signer if signer in by[sign] else str(rng.choice(sorted(by[sign])))
                chosen.append(int(rng.choice(by[sign][who])))
            out.append(Question(composer.compose(rng, chosen, sign_s), sentence))
    return tuple(out)


def dev_parts(
    bank: Bank,
    strokes: Strokes,
    vocabulary: tuple[str, ...],
    phrases: int = 150,
    rates: tuple[float, ...] = RATES,
    useful: frozenset[str] | None = None,
) -> list[Part]:
    """Everything that is asked. Clips with a sign that is not in the vocabulary are left out.

    rates: frames a second that webcam clips are taken for, each clip at each; the corpus does not say. useful: the
    glosses of `everyday`; None: those of `signs` and the 300 most recorded of `wlasl`.
    """
    known = set(vocabulary)
    cam = webcam(bank) & known
    few, many = most_recorded(bank, known, 100), most_recorded(bank, known, 300)
    everyday = (cam | many) if useful is None else useful & known

    def clips(corpus: str, glosses: Iterable[str]) -> list[int]:
        wanted = set(glosses)
        return [i for i in bank.of(corpus, "dev") if bank.clips[i].gloss != NONE and set(bank.clips[i].signs) <= wanted]

    def singles(numbers: Iterable[int]) -> tuple[Question, ...]:
        return tuple(single(bank, i, 25.0) for i in numbers)

    def webcam_singles(numbers: Iterable[int]) -> tuple[Question, ...]:
        return tuple(single(bank, i, fps) for i in numbers for fps in rates)

    core = [i for i in clips("signs", cam) if bank.clips[i].gloss in CORE]
    webcam_core, webcam_all = webcam_singles(core), webcam_singles(clips("signs", cam))
    webcam_signs = tuple(q for q in webcam_all if len(q.signs) == 1)  # without the phrases recorded as one clip
    webcam_common = webcam_singles(i for i in core if bank.clips[i].gloss in COMMON)
    webcam_none = webcam_singles(i for i in bank.of("signs", "dev") if bank.clips[i].gloss == NONE)
    unknown = tuple(replace(q, signs=()) for q in singles(clips("wlasl", left_out())))
    parts = [
        Part("wlasl 100", singles(clips("wlasl", few)), few),
        Part("wlasl 300", singles(clips("wlasl", many)), many),
        Part("wlasl everyday", singles(clips("wlasl", everyday)), frozenset(everyday)),
        Part("wlasl all", singles(clips("wlasl", known)), None),
        Part("signs core, 34", webcam_core, frozenset(cam)),
        Part("signs core, everyday", webcam_core, frozenset(everyday)),
        Part("signs common, 34", webcam_common, frozenset(cam)),
        Part("signs single, 34", webcam_signs, frozenset(cam)),
        Part("signs single, everyday", webcam_signs, frozenset(everyday)),
        Part("signs all, 34", webcam_all, frozenset(cam)),
        Part("signs all, everyday", webcam_all, frozenset(everyday)),
        Part("signs all, all", webcam_all, None),
        Part("NONE, 34", webcam_none, frozenset(cam)),
        Part("NONE, everyday", webcam_none, frozenset(everyday)),
        Part("left out, everyday", unknown, frozenset(everyday)),
        Part("left out, all", unknown, None),
    ]
    for pace in (*PACES, None):
        name = f"{pace} s" if pace else "own pace"
        mine = clips("wlasl", everyday)
        phrases_w = composed(bank, strokes, mine, vocabulary, phrases, pace)
        parts.append(Part(f"wlasl phrases {name}, everyday", phrases_w, frozenset(everyday)))
        phrases_s = composed(bank, strokes, core, vocabulary, phrases, pace)
        parts.append(Part(f"signs phrases {name}, 34", phrases_s, frozenset(cam)))
        parts.append(Part(f"signs phrases {name}, everyday", phrases_s, frozenset(everyday)))
    kept, both = everyday_sentences(), clips("wlasl", everyday) + clips("signs", everyday)
    for pace in PACES:
        for name, sentences in (("sentences", kept.others), ("fillings", kept.same_patterns)):
            asked = performed(bank, strokes, both, vocabulary, sentences, pace)
            parts.append(Part(f"{name} {pace} s, everyday", asked, frozenset(everyday)))
    return [part for part in parts if part.questions]


class Output(NamedTuple):
    """What the network says of a question."""

    logits: Tensor
    """(S, 1 + labels)."""
    movement: NDArray[np.float32]
    """(T, MOVEMENT_DIM) of the hands."""


@torch.inference_mode()
def lattices(
    model: SignModel, bank: DeviceBank, questions: Sequence[Question], amp: torch.dtype, size: int = 128
) -> list[Output]:
    """The network's output for each question."""
    out = [Output(torch.empty(0), np.empty((0, MOVEMENT_DIM), np.float32))] * len(questions)
    order = sorted(range(len(questions)), key=lambda q: len(questions[q].phrase))
    device = bank.points.device
    for at in range(0, len(order), size):
        rows = order[at : at + size]
        batch = collate([questions[q].phrase for q in rows])
        moved = batch.to(device)
        x = features(*bank.gather(moved))
        with torch.autocast(device.type, dtype=amp, enabled=amp != torch.float32):
            # Each length by itself, so that every clip is read as it would be alone.
            lengths = batch.lengths.to(device)
            short, _ = model.encode_frames(x, lengths)
            logits = model.classify(short, lengths // TIME_DIVISOR).float()
        frames = x.float().cpu().numpy()
        for place, q in enumerate(rows):
            steps = int(batch.lengths[place]) // TIME_DIVISOR
            out[q] = Output(logits[place, :steps], hand_movement(frames[place, : len(questions[q].phrase)]))
    return out


def figures(
    model: SignModel,
    bank: DeviceBank,
    parts: Sequence[Part],
    vocabulary: tuple[str, ...],
    amp: torch.dtype,
    config: CheckpointConfig | None = None,
    unsure: float = UNSURE,
    lm: NgramModel | None = None,
) -> dict[str, dict[str, Any]]:
    """Part -> exact (whole answer right; a sign twice in a row counts once for single signs), top-1 and top-5 of the
    mean of the logits, WER with substitutions, deletions, insertions, the share of answers with a wrong sign whose
    confidence is not under `unsure`, and the number of questions. For phrases also `time_figures`, the true stretches
    being the strokes that were composed, and "peak_iou", their overlap with CTC's peaks alone.

    config: whose decoder settings and temperature are used; None: greedy decoding, no more. lm: over the vocabulary,
    used where the settings weigh it.
    """
    model.eval()
    done: dict[int, list[Output]] = {}
    out: dict[str, dict[str, Any]] = {}
    for part in parts:
        key = id(part.questions)
        if key not in done:
            done = {key: lattices(model, bank, part.questions, amp)}
        known = tuple(g for g in vocabulary if part.known is None or g in part.known)
        columns = torch.from_numpy(columns_of(known, vocabulary)).to(bank.points.device)
        reader = _reader(model, known, config, lm)
        bias = reader.config.decoder.blank_bias
        exact, first, five, asked, sure, errors = 0, 0, 0, 0, 0, ErrorCounts()
        timed: list[tuple[list[Stretch], tuple[GlossSegment, ...], tuple[GlossSegment, ...]]] = []
        for question, (logits, movement) in zip(part.questions, done[key], strict=True):
            log_probs = to_log_probs(logits[:, columns], bias).cpu().numpy()
            segments = reader.read(log_probs, reader.new_decoder())
            if spans := question.phrase.spans:
                signed = [(g, a / FPS, b / FPS) for g, (_, a, b) in zip(question.signs, spans, strict=True)]
                found = reader.timed(segments, Evidence(log_probs, movement)) if segments else ()
                timed.append((signed, found, segments))
            said = [s.gloss for s in segments]
            if len(question.signs) <= 1:
                said = [gloss for gloss, _ in itertools.groupby(said)]
            exact += said == list(question.signs)
            errors = errors + word_errors(question.signs, said)
            sure += any(s.gloss not in question.signs and s.confidence >= unsure for s in segments)
            if len(question.signs) == 1:
                best = [known[i] for i in logits.mean(dim=0)[columns[1:]].topk(min(5, len(known))).indices.tolist()]
                asked += 1
                first += best[0] == question.signs[0]
                five += question.signs[0] in best
        total = len(part.questions)
        row: dict[str, Any] = {"n": total, "exact": round(exact / total, 4), "sure_wrong": round(sure / total, 4)}
        if asked:
            row |= {"top1": round(first / asked, 4), "top5": round(five / asked, 4)}
        if errors.reference_length > asked:
            row |= {
                "wer": round(errors.wer, 4),
                "S": errors.substitutions,
                "D": errors.deletions,
                "I": errors.insertions,
            }
        if timed:
            row |= time_figures((signed, found) for signed, found, _ in timed)
            row["peak_iou"] = time_figures((signed, peaks) for signed, _, peaks in timed)["iou"]
        out[part.name] = row
    return out


def _reader(
    model: SignModel, known: tuple[str, ...], config: CheckpointConfig | None, lm: NgramModel | None
) -> Recogniser:
    """Reads lattices whose columns are the blank and these glosses, as the service would with this vocabulary."""
    if config is None:
        return Recogniser(CheckpointConfig("greedy", "ase", known, model.config, 1.0, DecoderConfig(beam=1)), model)
    return Recogniser(replace(config, vocabulary=known), model, lm=None if lm is None else lm.narrowed(known))
