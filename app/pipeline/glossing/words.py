"""English text as words with their places: contractions taken apart, hyphens open, punctuation apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A word, a number, or one character that is neither: a stop, a comma, an emoji.
_PIECE = re.compile(r"[^\W\d_]+(?:['’ʼ][^\W\d_]+)*['’ʼ]?|\d+|\S")
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'"})
#: What an ending that is written onto another word stands for.
_ENDINGS = {"n't": "not", "'m": "be", "'re": "be", "'ll": "will", "'ve": "have", "'d": "would", "'s": "'s"}
_WHOLE = {
    "can't": (("can", 2), ("not", 5)),
    "won't": (("will", 2), ("not", 5)),
    "shan't": (("will", 3), ("not", 6)),
    "ain't": (("be", 2), ("not", 5)),
    "cannot": (("can", 3), ("not", 6)),
    "gonna": (("going", 3), ("to", 5)),
    "wanna": (("want", 3), ("to", 5)),
    "let's": (("let", 3), ("us", 5)),
}
#: End a sentence, part a sentence, and mean nothing here.
_ENDS, _PARTS = frozenset(".!?;:…\n"), frozenset(",-–—()/")
_SILENT = frozenset("\"'“”‘’«»¿¡[]{}*_#`~|\\<>^")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the text, or a part of one."""

    text: str
    """As written."""
    start: int
    """Place of its first character."""
    end: int
    """Place after its last."""
    low: str
    """In lower case; of a contraction, the word it stands for."""

    @property
    def number(self) -> bool:
        return self.low.isdecimal()


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words up to a stop; `None` among them is a comma or the like."""

    words: tuple[Word | None, ...]
    asks: bool
    """Whether it ends in a question mark."""


def sentences(text: str) -> list[Sentence]:
    """The text as sentences. Every character but white space and punctuation is in one word."""
    found: list[Sentence] = []
    words: list[Word | None] = []

    def close(mark: str = "") -> None:
        if any(words):
            found.append(Sentence(tuple(words), mark == "?"))
        elif found and mark == "?":
            found[-1] = Sentence(found[-1].words, True)
        words.clear()

    place = 0
    for match in _PIECE.finditer(text):
        if "\n" in text[place : match.start()]:
            close()
        piece, place = match.group(), match.end()
        if piece in _ENDS:
            # "9:30" and "3.5" are no ends of sentences.
            close(piece) if not text[place : place + 1].isdigit() else words.append(None)
        elif piece in _PARTS:
            words.append(None)
        elif piece not in _SILENT:
            words += _taken_apart(piece, match.start())
    close()
    return found


def _taken_apart(piece: str, start: int) -> list[Word]:
    low = piece.lower().translate(_APOSTROPHES)
    if len(low) != len(piece):  # a letter whose lower case is longer
        return [Word(piece, start, start + len(piece), low)]
    if low in _WHOLE:
        parts, at = [], 0
        for word, end in _WHOLE[low]:
            parts.append(Word(piece[at:end], start + at, start + end, word))
            at = end
        return parts
    for ending, meaning in _ENDINGS.items():
        cut = len(low) - len(ending)
        if cut > 0 and low.endswith(ending):
            return [
                Word(piece[:cut], start, start + cut, low[:cut]),
                Word(piece[cut:], start + cut, start + len(piece), meaning),
            ]
    return [Word(piece, start, start + len(piece), low.strip("'"))]
