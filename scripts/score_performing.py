"""Score text to signs: text to glosses against tables, and performances read back by the recogniser.

Tables of ``tests/data`` hold glosses and their English; reversed, they say what text to glosses should answer. One
order of signs is listed there where signers have several, so several figures are given: the same row, the same signs in
any order, the errors per sign (WER), and whether the rules of module 4 make the English of the table of the answer.
Words without a sign count as signs of their own.

    python scripts/score_performing.py glosses

Everyday sentences whose glosses all have a prototype are performed, by the glosses of the table and by those made of
their English, and read back:

    python scripts/score_performing.py read
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.core.settings import load_settings  # noqa: E402
from app.pipeline.checkpoint import CheckpointError  # noqa: E402
from app.pipeline.glossing import Glosser, Glossing  # noqa: E402
from app.pipeline.module4_language import to_english  # noqa: E402
from app.pipeline.recogniser import Recogniser  # noqa: E402
from app.services.speech.engines import Engines  # noqa: E402
from app.signer.prototypes import load  # noqa: E402
from app.signer.render import video_pieces  # noqa: E402
from app.training.evaluation.wer import ErrorCounts, align, confusions, corpus_errors  # noqa: E402
from scripts.score_language import is_exact  # noqa: E402

T = TypeVar("T")
DATA = ROOT / "tests/data"
#: Tables whose sentences are everyday ones; a gloss row of several tables counts once.
TABLES = ("asl_everyday", "asl_third_look", "asl_sentences", "asl_spanish")


@dataclass(frozen=True)
class Row:
    half: str
    english: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Rows of glosses that are right; a word without a sign in lower case."""


def reversed_table(path: Path) -> Iterator[Row]:
    """Rows of ``[half<TAB>]glosses<TAB>English | English``."""
    for line in _lines(path):
        *half, glosses, english = line.split("\t")
        yield Row(half[0] if half else path.stem, tuple(english.split(" | ")), (tuple(glosses.split()),))


def own_table(path: Path, column: int = 0) -> Iterator[Row]:
    """Rows of ``English<TAB>Spanish<TAB>glosses | glosses``."""
    for line in _lines(path):
        columns = line.split("\t")
        rows = tuple(tuple(row.split()) for row in columns[2].split(" | "))
        yield Row("written first", (columns[column],), rows)


def in_english(rows: Sequence[Row]) -> list[Row]:
    """Spanish rows by the service's translator; none without one."""
    engines = Engines.of(load_settings(), "cpu")
    try:
        if engines.translator is None or not engines.translator.availability().available:
            print("sixty texts, Spanish: there is no translator here")
            return []
        translated = [engines.translator.translate(row.english[0], "es", "en") for row in rows]
        return [replace(row, english=(text,)) for row, text in zip(rows, translated, strict=True)]
    finally:
        engines.close()


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def shown(glossing: Glossing) -> tuple[str, ...]:
    """What is shown: glosses, and words without a sign in lower case, as the tables have them."""
    return tuple(item.text if item.kind == "sign" else item.text.lower() for item in glossing.items)


def nearest(answer: Sequence[str], rows: Iterable[Sequence[str]]) -> Sequence[str]:
    """The right row with the fewest errors."""
    return min(rows, key=lambda row: corpus_errors([(row, list(answer))]).wer)


def score_glosses(name: str, rows: Sequence[Row], signs: Collection[str], misses: bool) -> dict[str, object]:
    glosser = Glosser(signs)
    answers = [shown(glosser.gloss(row.english[0])) for row in rows]
    pairs = [(list(nearest(answer, row.rows)), list(answer)) for answer, row in zip(answers, rows, strict=True)]
    same = sum(wanted == answer for wanted, answer in pairs)
    bag = sum(Counter(wanted) == Counter(answer) for wanted, answer in pairs)
    errors = corpus_errors(pairs)
    back = sum(is_exact(to_english(answer), list(row.english)) for (_, answer), row in zip(pairs, rows, strict=True))
    print(
        f"{name}: {same} of {len(rows)} the same row, {bag} the same signs, {describe(errors)}; {back} come back as "
        "one of their English sentences"
    )
    if misses:
        for row, (wanted, answer) in zip(rows, pairs, strict=True):
            if wanted != answer:
                print(f"  {row.english[0]}\n    is     {' '.join(answer)}\n    wanted {' '.join(wanted)}")
    return {"table": name, "rows": len(rows), "same": same, "same_signs": bag, "back": back, "wer": errors.wer}


def halves(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.half, []).append(row)
    return found


# -- performances read back ------------------------------------------------------------------------------------------


def performable(signs: Collection[str]) -> list[Row]:
    """Everyday sentences of two signs or more that all have a prototype, each row of glosses once."""
    found: dict[tuple[str, ...], Row] = {}
    for name in TABLES:
        spanish = name == "asl_spanish"
        for row in reversed_table(DATA / f"{name}.tsv"):
            glosses = row.rows[0]
            if len(glosses) > 1 and all(gloss in signs for gloss in glosses):
                found.setdefault(glosses, Row(name, () if spanish else row.english, row.rows))
    return list(found.values())


def read_back(reader: Recogniser, rows: Sequence[Sequence[str]], misses: bool, said: str) -> dict[str, object]:
    """Perform each row of glosses, and print what the recogniser reads."""
    signer, began = load(), time.perf_counter()
    pairs, seconds = [], 0.0
    for row in rows:
        clip = signer.staged([[gloss] for gloss in row]).keypoints
        seconds += clip.duration_s
        pairs.append((list(row), reader.recognise(clip).gloss))
    errors = corpus_errors(pairs)
    exact = sum(wanted == read for wanted, read in pairs)
    took = time.perf_counter() - began
    print(
        f"{said}: {exact} of {len(pairs)} sentences exact, {describe(errors)}; {seconds:.0f} s of signing read in "
        f"{took:.0f} s"
    )
    if misses:
        for wanted, read in pairs:
            if wanted != read:
                print(f"  {' '.join(wanted)}\n    read {' '.join(read)}")
        print("  ", confusions(align(wanted, read) for wanted, read in pairs)[:20])
    return {"said": said, "sentences": len(pairs), "exact": exact, "wer": errors.wer, **asdict(errors)}


def describe(errors: ErrorCounts) -> str:
    return (
        f"WER {100 * errors.wer:.1f} % of {errors.reference_length} signs "
        f"(S {errors.substitutions}, D {errors.deletions}, I {errors.insertions})"
    )


def read(arguments: argparse.Namespace) -> list[dict[str, object]]:
    signer = load()
    rows = performable(signer)
    glosser = Glosser(signer)
    made = [glosser.gloss(row.english[0]) for row in rows if row.english]
    of_text = [answer.glosses for answer in made if not answer.without_sign and len(answer.glosses) > 1]
    alone = [(gloss,) for gloss in signer]
    whole = Recogniser.load(arguments.checkpoint)
    results = []
    for name in arguments.vocabulary:
        wanted = [gloss for gloss in signer if gloss in whole.whole.vocabulary] if name == "prototypes" else name
        reader = whole.reading_with(wanted)
        known = set(reader.vocabulary)
        print(f"vocabulary {name}, {len(known)} signs; {len(set(signer) - known)} prototypes are not in it")
        for said, sentences in (
            ("each sign alone", alone),
            ("glosses of the tables", [row.rows[0] for row in rows]),
            ("glosses made of their English", list(dict.fromkeys(of_text))),
        ):
            results.append({"vocabulary": name, **read_back(reader, sentences, arguments.misses, said)})
    return results


def glosses(arguments: argparse.Namespace) -> list[dict[str, object]]:
    signer = set(load())
    everything = signer | set(Recogniser.load(arguments.checkpoint).whole.vocabulary)
    results = []
    own = DATA / "text_to_glosses.tsv"
    results.append(score_glosses("sixty texts, English", list(own_table(own)), signer, arguments.misses))
    if spanish := in_english(list(own_table(own, 1))):
        results.append(score_glosses("sixty texts, Spanish", spanish, signer, arguments.misses))
    for name in TABLES[:3]:
        for half, rows in halves(reversed_table(DATA / f"{name}.tsv")).items():
            shown_misses = arguments.misses and half != "held-out"
            results.append(score_glosses(f"{name}, {half}", rows, everything, shown_misses))
    return results


def speed(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Milliseconds of a text, its performance and a frame of its video, on one thread."""
    signer = load()
    glosser, texts = Glosser(signer), [row.english[0] for row in own_table(DATA / "text_to_glosses.tsv")]
    glosser.gloss(texts[0])  # loads the dictionary
    took: dict[str, list[float]] = {"glosses": [], "performance": [], "first_piece_of_video": [], "frame_of_video": []}

    def timed(name: str, work: Callable[[], T], of: int = 1) -> T:
        began = time.perf_counter()
        result = work()
        took[name].append(1000 * (time.perf_counter() - began) / of)
        return result

    for number, text in enumerate(texts):
        glossing = timed("glosses", partial(glosser.gloss, text))
        rows = [item.glosses for item in glossing.items]
        clip = timed("performance", partial(signer.staged, rows)).keypoints
        if number % 20 == 0:
            pieces = video_pieces(clip)
            timed("first_piece_of_video", partial(next, filter(None, pieces)))
            timed("frame_of_video", partial(list, pieces), len(clip) - 1)
    results = []
    for name, values in took.items():
        p50, p95 = np.percentile(values, [50, 95])
        print(f"{name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms of {len(values)}")
        results.append({"what": name, "p50_ms": p50, "p95_ms": p95})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("glosses", "read", "speed"))
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "checkpoints/asl-large")
    parser.add_argument("--vocabulary", nargs="+", default=["everyday", "prototypes"], help="to read with")
    parser.add_argument("--misses", action="store_true", help="show what is wrong, but for held-out halves")
    parser.add_argument("--json", action="store_true", help="print JSON at the end")
    arguments = parser.parse_args()
    try:
        results = {"glosses": glosses, "read": read, "speed": speed}[arguments.what](arguments)
    except CheckpointError as problem:
        parser.error(str(problem))
    if arguments.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
