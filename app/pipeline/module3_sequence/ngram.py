"""An n-gram language model over gloss labels: interpolated Witten-Bell, stored as counts in readable JSON."""

from __future__ import annotations

import copy
import json
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

#: Symbol that fills the context before the first label of a sentence.
START = -1
#: Stands in contexts for labels that a model knows nothing of; no count has it.
_UNKNOWN = -2
#: Index of the end-of-sentence probability: label 0 is the CTC blank, which is not part of a language model.
END = 0
MAX_ORDER = 6
#: Its file beside the weights of a checkpoint that has one.
LANGUAGE_MODEL = "gloss_lm.json"
_FORMAT, _VERSION = "glossline-ngram", 1

Context = tuple[int, ...]


class InvalidNgramModel(ValueError):
    """The file or the counts cannot be an n-gram model of this vocabulary."""


class NgramModel:
    """p(label | the order - 1 labels before it), labels 1..V-1 plus the end of the sentence at index 0.

    Interpolated Witten-Bell (Witten and Bell 1991; Chen and Goodman 1999, section 2.5):

        p(w | h) = (c(h w) + T(h) * p(w | h')) / (c(h) + T(h))

    with c the counts, T(h) the number of different symbols seen after h, h' = h without its oldest label, and 1 / V
    under the empty context. An unseen h takes p(w | h'). Chosen over Kneser-Ney because gloss corpora are small and
    partly composed by rule, where counts of counts, on which Kneser-Ney's discounts rest, mean little.

    vocabulary: the glosses in label order, without blank, so that label k is vocabulary[k - 1].
    order: 1 (unigram) to 6.
    events: how often `label` (or END) followed each full context of order - 1 labels, START filling the front.
    """

    def __init__(self, vocabulary: Sequence[str], order: int, events: Mapping[Context, Mapping[int, int]]) -> None:
        if not 1 <= order <= MAX_ORDER:
            raise InvalidNgramModel(f"order must be 1 to {MAX_ORDER}, got {order}")
        if not vocabulary or len(set(vocabulary)) != len(vocabulary):
            raise InvalidNgramModel("the vocabulary is empty or names a gloss twice")
        self.vocabulary = self._whole = tuple(vocabulary)
        self.order = order
        self._symbols: Sequence[int] = range(1 + len(self._whole))  # of `_whole`: the end, then what `vocabulary` names
        self._unknown = 0  # labels behind those of `_symbols`
        self._events = {context: dict(following) for context, following in events.items()}
        self._counts: dict[Context, Counter[int]] = {}
        for context, following in self._events.items():
            self._check(context, following)
            for skip in range(order):
                self._counts.setdefault(context[skip:], Counter()).update(following)
        self._probabilities: dict[Context, array[float]] = {}
        self._log_probs: dict[Context, array[float]] = {}

    @property
    def num_labels(self) -> int:
        """V: glosses plus one, the width of the lattice this model belongs to."""
        return len(self.vocabulary) + 1

    @classmethod
    def fit(cls, sentences: Iterable[Sequence[int]], vocabulary: Sequence[str], order: int = 3) -> NgramModel:
        """Count `sentences` of label ids (1..len(vocabulary)); raises InvalidNgramModel for any other id."""
        events: dict[Context, Counter[int]] = {}
        for sentence in sentences:
            if END in sentence:
                raise InvalidNgramModel("a sentence holds label 0, the blank; a language model sees labels only")
            context: Context = (START,) * (order - 1)
            for label in (*sentence, END):
                events.setdefault(context, Counter())[label] += 1
                context = (*context, label)[1:]
        return cls(vocabulary, order, events)

    def narrowed(self, glosses: Sequence[str]) -> NgramModel:
        """This model given that nothing but these glosses is signed, in their order: p(label | h) over the sum of
        p(. | h) of these and of the end. Raises InvalidNgramModel for a gloss that it does not know.
        """
        labels = {gloss: label for label, gloss in enumerate(self.vocabulary, 1)}
        if not glosses or len(set(glosses)) != len(glosses) or not labels.keys() >= set(glosses):
            raise InvalidNgramModel("a model is narrowed to glosses of its own vocabulary, each of them once")
        if tuple(glosses) == self.vocabulary:
            return self
        view = copy.copy(self)
        view.vocabulary = tuple(glosses)
        view._symbols = [END, *(self._symbols[labels[gloss]] for gloss in glosses)]
        view._probabilities, view._log_probs = {}, {}
        return view

    def beside(self, glosses: Sequence[str]) -> NgramModel:
        """This model with glosses behind its own of which it knows nothing: what comes before them makes them neither
        more nor less probable, and they tell nothing about what follows."""
        if not glosses:
            return self
        view = copy.copy(self)
        view.vocabulary = (*self.vocabulary, *glosses)
        view._unknown, view._log_probs = self._unknown + len(glosses), {}
        return view

    def start(self) -> Context:
        return (START,) * (self.order - 1)

    def advance(self, context: Context, label: int) -> Context:
        symbol = self._symbols[label] if label < len(self._symbols) else _UNKNOWN
        return (*context, symbol)[1:] if self.order > 1 else ()

    def log_probs(self, context: Context) -> Sequence[float]:
        """(V,) natural log-probabilities of what follows; index 0 is the end of the sentence. Do not change it.

        Cached per context that was seen in training, so memory is bounded by the model's size.
        """
        while context and context not in self._counts:
            context = context[1:]
        cached = self._log_probs.get(context)
        if cached is None:
            found = self._distribution(context)
            total = math.fsum(found) if len(found) <= len(self._whole) else 1.0
            cached = array("d", (math.log(p / total) for p in found))
            cached.extend([-math.log(1 + len(self._whole))] * self._unknown)
            self._log_probs[context] = cached
        return cached

    def save(self, path: Path) -> None:
        """Write JSON; `events` are rows of [context..., label, count], which is all the model consists of."""
        events = [
            [*context, label, count]
            for context, following in sorted(self._events.items())
            for label, count in sorted(following.items())
        ]
        body = {
            "format": _FORMAT,
            "version": _VERSION,
            "smoothing": "witten-bell",
            "order": self.order,
            "vocabulary": list(self._whole),
            "events": events,
        }
        path.write_text(json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, vocabulary: Sequence[str] | None = None) -> NgramModel:
        """Read what `save` wrote; where `vocabulary` is given (the recogniser's), it must be for exactly that one.

        Raises InvalidNgramModel for anything that is not such a file, OSError where it cannot be read.
        """
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise InvalidNgramModel(f"{path.name} is not JSON: {error}") from error
        if not isinstance(body, dict) or body.get("format") != _FORMAT or body.get("version") != _VERSION:
            raise InvalidNgramModel(f"{path.name} is not a {_FORMAT} file of version {_VERSION}")
        order, words, rows = body.get("order"), body.get("vocabulary"), body.get("events")
        if type(order) is not int or not 1 <= order <= MAX_ORDER:
            raise InvalidNgramModel(f"{path.name}: order must be an integer from 1 to {MAX_ORDER}, got {order!r}")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InvalidNgramModel(f"{path.name}: the vocabulary must be a list of strings")
        if vocabulary is not None and tuple(words) != tuple(vocabulary):
            raise InvalidNgramModel(
                f"{path.name} was counted for another vocabulary than the recogniser's; count it again with that one"
            )
        if not isinstance(rows, list):
            raise InvalidNgramModel(f"{path.name}: events must be a list")
        events: dict[Context, dict[int, int]] = {}
        for row in rows:
            if not isinstance(row, list) or len(row) != order + 1 or not all(type(value) is int for value in row):
                raise InvalidNgramModel(f"{path.name}: an event is a list of {order + 1} integers, got {row!r}")
            *context, label, count = row
            following = events.setdefault(tuple(context), {})
            if label in following:
                raise InvalidNgramModel(f"{path.name}: the event {row[:-1]} is listed twice")
            following[label] = count
        return cls(words, order, events)

    def _check(self, context: Context, following: Mapping[int, int]) -> None:
        started = [symbol for symbol in context if symbol != START]
        if len(context) != self.order - 1 or context[len(context) - len(started) :] != tuple(started):
            raise InvalidNgramModel(f"{context} is not a context of {self.order - 1} labels")
        if not following or min(following.values()) < 1:
            raise InvalidNgramModel(f"every event has a count of at least 1, but not after context {context}")
        if not all(1 <= label < self.num_labels for label in started) or not all(
            0 <= label < self.num_labels for label in following
        ):
            raise InvalidNgramModel(
                f"labels after or in context {context} are outside 1..{self.num_labels - 1}, the vocabulary's"
            )

    def _distribution(self, context: Context) -> array[float]:
        """(V,) probabilities among all symbols after a context that was seen (or the empty one)."""
        cached = self._probabilities.get(context)
        if cached is not None:
            return cached
        uniform = 1 / (1 + len(self._whole))
        lower = self._distribution(context[1:]) if context else array("d", [uniform] * len(self._symbols))
        counts = self._counts.get(context, Counter())
        types, total = len(counts), sum(counts.values())
        if total == 0:  # only the empty context of a model that was fitted on nothing
            return lower
        result = array(
            "d",
            (
                (counts.get(symbol, 0) + types * p) / (total + types)
                for symbol, p in zip(self._symbols, lower, strict=True)
            ),
        )
        self._probabilities[context] = result
        return result


def checkpoint_lm(folder: Path, vocabulary: Sequence[str]) -> NgramModel | None:
    """The language model beside the weights of a checkpoint, None where there is none. Raises InvalidNgramModel."""
    path = folder / LANGUAGE_MODEL
    try:
        return NgramModel.load(path, vocabulary) if path.is_file() else None
    except OSError as error:
        raise InvalidNgramModel(f"cannot read {path}: {error}") from error
