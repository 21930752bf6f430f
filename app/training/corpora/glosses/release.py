"""What makes a trained network a checkpoint to ship: an expert beside it, confidence calibrated for each vocabulary,
and dev figures of the vocabularies and of every gloss."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.pipeline.checkpoint import CheckpointConfig, load_checkpoint, save_checkpoint
from app.pipeline.module3_sequence.confidence import expected_calibration_error, fit_temperature
from app.pipeline.module3_sequence.model import ExpertConfig, SignModel
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL
from app.pipeline.module3_sequence.steps import label_ids, to_log_probs
from app.pipeline.module3_sequence.stretches import KnownEvidence
from app.pipeline.recogniser import Recogniser, WindowOutput
from app.pipeline.whole_files import write_whole
from app.training.corpora.glosses.bank import Bank
from app.training.corpora.glosses.device import DeviceBank
from app.training.corpora.glosses.evaluation import RATES, UNSURE, Question, lattices, single
from app.training.corpora.glosses.names import NONE, left_out
from app.training.errors import ConfigError
from app.training.loop.optimise import precision

#: A temperature is fitted for vocabularies that so many dev signers have signs of; others take that of a larger one.
FEWEST_SIGNERS = 16
#: Random halvings of the dev signers whose calibration errors are averaged.
HALVINGS = 10


def join(checkpoint: Path, expert: Path, weight: float, out: Path) -> None:
    """Write the network in `checkpoint` with that in `expert`, whose glosses it knows too, beside it as its `Expert`.

    Raises CheckpointError, and ConfigError where the two do not fit.
    """
    config, model = load_checkpoint(checkpoint)
    other, network = load_checkpoint(expert)
    labels = label_ids(config.vocabulary)
    if unknown := [gloss for gloss in other.vocabulary if gloss not in labels]:
        raise ConfigError(f"{checkpoint} does not know {', '.join(unknown[:8])} of the expert {expert}")
    says = ExpertConfig(tuple(labels[gloss] for gloss in other.vocabulary), weight, other.model)
    try:
        both = SignModel(replace(config.model, expert=says))
    except ValueError as problem:
        raise ConfigError(f"{expert} cannot be an expert: {problem}") from problem
    weights = {k: v for k, v in model.state_dict().items() if not k.startswith("expert.")}
    both.load_state_dict({**weights, **{f"expert.model.{k}": v for k, v in network.state_dict().items()}})
    provenance = {**config.provenance, "expert": {"model_id": other.model_id, **other.provenance}}
    save_checkpoint(out, replace(config, model=both.config, provenance=provenance), both.half())
    if (lists := checkpoint / "vocabularies").is_dir() and out.resolve() != checkpoint.resolve():
        shutil.copytree(lists, out / "vocabularies", dirs_exist_ok=True)
    if (lm := checkpoint / LANGUAGE_MODEL).is_file() and out.resolve() != checkpoint.resolve():
        shutil.copyfile(lm, out / LANGUAGE_MODEL)


@dataclass(frozen=True)
class _Asked:
    """One dev recording and the network's answer to it."""

    question: Question
    signer: str
    corpus: str
    log_probs: NDArray[np.float32]
    """(S, 1 + labels), all glosses."""


@dataclass(frozen=True)
class _Read:
    """One recording as read with a vocabulary."""

    asked: _Asked
    said: list[str]
    """Glosses, a sign twice in a row once."""
    evidence: list[NDArray[np.float64]]
    """(V,) of each token, see `stretch_evidence`."""

    @property
    def right(self) -> bool:
        return self.said == list(self.asked.question.signs)


def calibrate(folder: Path, bank: Bank, device: torch.device) -> CheckpointConfig:
    """Fit the temperature of each vocabulary of a checkpoint on the dev signers, measure the vocabularies and the
    glosses, and write config.json and glosses.json anew. Raises CheckpointError, and ConfigError where no sign is read.

    Read are the single signs of `signs`, each clip taken for every one of RATES, of `wlasl`, and of glosses that are
    left out of training.
    """
    recogniser = Recogniser.load(folder, str(device))
    asked, unknown = _dev_answers(recogniser, bank, device)
    vocabularies: dict[str, dict[str, Any]] = {}
    recall: dict[str, dict[str, list[bool]]] = {}
    temperature: float | None = None
    for name, glosses in sorted(recogniser.vocabularies.items(), key=lambda item: -len(item[1])):
        known = frozenset(glosses)
        mine = [a for a in asked if a.question.signs[0] in known]
        read = _read(recogniser, name, mine)
        many = len({a.signer for a in mine}) >= FEWEST_SIGNERS
        if many or temperature is None:
            temperature = _temperature(read, glosses)
        error = {"dev_ece_other_half": _error_of_other_half(read, glosses)} if many else {}
        dev = {**_exact(read), **error, **_not_unsure(read, _read(recogniser, name, unknown), temperature, glosses)}
        own = recogniser.config.vocabularies.get(name, {})
        decoder = {"unsure": UNSURE, **own.get("decoder", {})}
        vocabularies[name] = {**own, "temperature": round(temperature, 3), "decoder": decoder, "dev": dev}
        if name in ("core", "everyday", "all"):
            recall[name] = defaultdict(list)
            for r in read:
                recall[name][r.asked.question.signs[0]].append(r.right)
    everyday = vocabularies.get("everyday", vocabularies["all"])
    config = replace(recogniser.config, vocabularies=vocabularies, temperature=everyday["temperature"])
    write_whole(folder / "config.json", json.dumps(config.to_dict(), indent=1) + "\n")
    write_whole(folder / "glosses.json", _gloss_table(recogniser.vocabulary, bank, asked, recall))
    return config


def _dev_answers(recogniser: Recogniser, bank: Bank, device: torch.device) -> tuple[list[_Asked], list[_Asked]]:
    """Single signs of dev signers that the network knows, and such as it was never trained on."""
    labels, never = label_ids(recogniser.vocabulary), left_out()
    rows: list[tuple[Question, str, str]] = []
    for i in bank.of(split="dev"):
        clip = bank.clips[i]
        if clip.gloss == NONE or len(clip.signs) != 1 or not (clip.gloss in labels or clip.gloss in never):
            continue
        rates: Iterable[float] = RATES if clip.corpus == "signs" else (clip.fps,)
        rows += [(single(bank, i, fps), clip.signer, clip.corpus) for fps in rates]
    outputs = lattices(recogniser.model, DeviceBank(bank, device), [q for q, _, _ in rows], precision("auto", device))
    bias = recogniser.config.decoder.blank_bias
    asked = [
        _Asked(*row, to_log_probs(output.logits, bias).cpu().numpy().astype(np.float32))
        for row, output in zip(rows, outputs, strict=True)
    ]
    return [a for a in asked if a.question.signs[0] in labels], [a for a in asked if a.question.signs[0] in never]


def _read(whole: Recogniser, name: str, asked: Sequence[_Asked]) -> list[_Read]:
    recogniser = whole.reading_with(name)
    out = []
    for a in asked:
        log_probs = recogniser.narrow(WindowOutput(a.log_probs, np.zeros(len(a.log_probs), np.float32))).log_probs
        decoder = recogniser.new_decoder()
        decoder.feed(log_probs)
        readings = recogniser.last_readings(decoder, log_probs)
        tokens = [token for token, _ in readings]
        known = KnownEvidence().of(tokens, log_probs, recogniser.config.decoder.stretch, 0, len(log_probs))
        evidence = [scores[1:] for scores in known]
        said = [gloss for gloss, _ in itertools.groupby(s.gloss for s in recogniser.joined(readings))]
        out.append(_Read(a, said, evidence))
    return out


def _evidence(read: Iterable[_Read], glosses: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Evidence (n, V) of all tokens, and which gloss each should be."""
    place = {gloss: i for i, gloss in enumerate(glosses)}
    rows = [(e, place[r.asked.question.signs[0]]) for r in read for e in r.evidence]
    return np.array([e for e, _ in rows]).reshape(-1, len(glosses)), np.array([truth for _, truth in rows], np.int64)


def _temperature(read: Iterable[_Read], glosses: Sequence[str]) -> float:
    evidence, truth = _evidence(read, glosses)
    if not len(truth):
        raise ConfigError("no sign of the dev signers was read, so there is no confidence to calibrate; train longer")
    return fit_temperature(evidence, truth)


def _sure(evidence: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Evidence (n, V) -> (n,) confidence in the best gloss."""
    scaled = (evidence - evidence.max(axis=1, keepdims=True)) / temperature
    return np.asarray(1 / np.exp(scaled).sum(axis=1), np.float64)


def _error_of_other_half(read: Sequence[_Read], glosses: Sequence[str]) -> float:
    """Expected calibration error where the temperature is fitted on one half of the signers and read on the other: the
    mean over both ways of HALVINGS random halvings."""
    signers = sorted({r.asked.signer for r in read})
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(HALVINGS):
        half = set(rng.permutation(signers)[: len(signers) // 2].tolist())
        parts = [[r for r in read if (r.asked.signer in half) is inside and r.evidence] for inside in (True, False)]
        for fit, other in (parts, parts[::-1]):
            temperature = _temperature(fit, glosses)
            evidence, truth = _evidence(other, glosses)
            errors.append(expected_calibration_error(_sure(evidence, temperature), evidence.argmax(axis=1) == truth))
    return round(float(np.mean(errors)), 3)


def _exact(read: Iterable[_Read]) -> dict[str, float]:
    by_corpus: dict[str, list[bool]] = defaultdict(list)
    for r in read:
        by_corpus[r.asked.corpus].append(r.right)
    out: dict[str, float] = {}
    for corpus, right in sorted(by_corpus.items()):
        out |= {f"dev_exact_{corpus}": round(float(np.mean(right)), 3), f"dev_readings_{corpus}": len(right)}
    return out


def _not_unsure(
    read: Iterable[_Read], unknown: Iterable[_Read], temperature: float, glosses: Sequence[str]
) -> dict[str, float]:
    """Shares of right and of wrong signs that are not marked as unsure, and of recordings of left-out glosses that are
    read as a sign which is not."""
    evidence, truth = _evidence(read, glosses)
    sure, right = _sure(evidence, temperature) >= UNSURE, evidence.argmax(axis=1) == truth
    accepted = [bool(r.evidence) and bool((_sure(np.stack(r.evidence), temperature) >= UNSURE).any()) for r in unknown]
    shares = {"right": sure[right], "wrong": sure[~right], "left_out": np.array(accepted)}
    return {f"dev_{name}_not_unsure": round(float(of.mean()), 3) for name, of in shares.items() if len(of)}


def _gloss_table(
    vocabulary: Sequence[str], bank: Bank, asked: Iterable[_Asked], recall: Mapping[str, Mapping[str, list[bool]]]
) -> str:
    """glosses.json: of each gloss its training signers and clips, dev signers and recordings, and how many of these are
    read exactly with the vocabularies that have it."""
    training, dev = bank.of(split="train"), defaultdict(list)
    signers = bank.signers(training)
    clips: dict[str, int] = defaultdict(int)
    for i in training:
        for sign in bank.clips[i].signs:
            clips[sign] += 1
    for a in asked:
        dev[a.question.signs[0]].append(a.signer)
    table = {
        gloss: {
            "signers": signers[gloss],
            "clips": clips[gloss],
            "dev_signers": len(set(dev[gloss])),
            "dev_clips": len(dev[gloss]),
        }
        | {f"dev_recall_{name}": round(float(np.mean(of[gloss])), 3) for name, of in recall.items() if of.get(gloss)}
        for gloss in vocabulary
    }
    rows = (f" {json.dumps(gloss)}: {json.dumps(row)}" for gloss, row in table.items())
    return "{\n" + ",\n".join(rows) + "\n}\n"
