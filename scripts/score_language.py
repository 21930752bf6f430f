"""Score glosses-to-English: everyday sentences by exact answers, ASLG-PC12 by BLEU-4 and chrF against lower-casing.

Everyday sentences (``tests/data/asl_everyday.tsv``) have several references each and two halves: misses are shown for
the half that rules are written on, the other half is only counted. An answer is exact when it is one of the
references, letter case and the end mark "!" for "." apart.

    python scripts/score_language.py --table tests/data/asl_everyday.tsv --misses

The references of ASLG-PC12 are tokenised and lower case, so every system's text is brought to the same form:
lower-cased, with punctuation split off as in the references ("'s" stays on its noun). BLEU is sacrebleu's corpus BLEU
with ``tokenize="none"`` (the text is already tokens) on lower-cased text; chrF is chrF2, its default.

    python scripts/score_language.py --data ../shared/data/aslg
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import sacrebleu

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.pipeline.module4_language import to_english, warm_up  # noqa: E402
from app.training.corpora.aslg.english_order import english_of  # noqa: E402

_PUNCTUATION = re.compile(r"\s*([,?!;:]|\.(?!\d|\w))\s*")
_PREFIX = re.compile(r"\b(?:x|desc)-")


def normalised(text: str) -> str:
    """Lower case, punctuation as tokens of its own, single spaces: the form of the references."""
    return " ".join(_PUNCTUATION.sub(r" \1 ", text.lower()).split())


def lower_cased(gloss: str) -> str:
    """The plain baseline: the gloss in lower case and nothing else."""
    return gloss.lower()


def lower_cased_unprefixed(gloss: str) -> str:
    """A fairer baseline: lower case without the corpus's X- and DESC- marks."""
    return _PREFIX.sub("", gloss.lower())


def asl_grammar(gloss: str) -> str:
    """The grammar that captions use: ``to_english`` for ASL, which expects the order of signs."""
    return to_english(gloss.split(), "ase")


def corpus_grammar(gloss: str) -> str:
    """The grammar for glosses in English order, which is how this corpus writes them."""
    return english_of(gloss.split())


SYSTEMS: dict[str, Callable[[str], str]] = {
    "lower-cased": lower_cased,
    "lower-cased, marks stripped": lower_cased_unprefixed,
    "to_english": asl_grammar,
    "english_of (English order)": corpus_grammar,
}


def score(glosses: list[str], references: list[str]) -> dict[str, dict[str, float]]:
    """BLEU-4 and chrF (0 to 100) and milliseconds a sentence, for each system."""
    warm_up()
    targets = [normalised(reference) for reference in references]
    results: dict[str, dict[str, float]] = {}
    for name, system in SYSTEMS.items():
        start = time.perf_counter()
        outputs = [system(gloss) for gloss in glosses]
        elapsed = time.perf_counter() - start
        texts = [normalised(output) for output in outputs]
        results[name] = {
            "bleu": round(sacrebleu.corpus_bleu(texts, [targets], tokenize="none", force=True).score, 2),
            "chrf": round(sacrebleu.corpus_chrf(texts, [targets]).score, 2),
            "exact_percent": round(100 * sum(a == b for a, b in zip(texts, targets, strict=True)) / len(texts), 2),
            "ms_per_sentence": round(1000 * elapsed / len(glosses), 3),
        }
    return results


def everyday(path: Path) -> dict[str, list[tuple[str, list[str]]]]:
    """Half -> (glosses, references) of a table of lines ``half<TAB>glosses<TAB>English | English ...``."""
    halves: dict[str, list[tuple[str, list[str]]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            half, glosses, english = line.split("\t")
            halves.setdefault(half, []).append((glosses, english.split(" | ")))
    return halves


def is_exact(answer: str, references: list[str]) -> bool:
    """Whether ``answer`` is one of the references; "!" and "." are the same end, and a capital is no difference."""
    return comparable(answer) in {comparable(reference) for reference in references}


def comparable(text: str) -> str:
    return text.lower().replace("!", ".")


def score_table(path: Path, misses: bool) -> None:
    """Print exact answers, BLEU-4 and chrF of each half; with ``misses``, what is wrong in the half "dev"."""
    warm_up()
    for half, rows in everyday(path).items():
        answers = [to_english(glosses.split()) for glosses, _ in rows]
        exact = [is_exact(answer, references) for answer, (_, references) in zip(answers, rows, strict=True)]
        width = max(len(references) for _, references in rows)
        streams = [[row[i] if i < len(row) else None for _, row in rows] for i in range(width)]
        bleu = sacrebleu.corpus_bleu(answers, streams, lowercase=True).score
        chrf = sacrebleu.corpus_chrf(answers, streams).score
        print(f"{half}: {sum(exact)} of {len(rows)} exact, BLEU-4 {bleu:.1f}, chrF {chrf:.1f}")
        if misses and half == "dev":
            for (glosses, references), answer, right in zip(rows, answers, exact, strict=True):
                if not right:
                    print(f"  {glosses}\n    is     {answer}\n    wanted {' | '.join(references)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "aslg", help="folder of dev.*")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--table", type=Path, help="score this table of everyday sentences instead")
    parser.add_argument("--misses", action="store_true", help='with --table: show what is wrong in its half "dev"')
    arguments = parser.parse_args()
    if arguments.table:
        score_table(arguments.table, arguments.misses)
        return
    pairs = [arguments.data / f"dev.{side}" for side in ("gloss", "en")]
    if missing := [str(path) for path in pairs if not path.is_file()]:
        parser.error(f"{', '.join(missing)} not found: give the folder with dev.gloss and dev.en by --data")
    glosses, references = (path.read_text(encoding="utf-8").splitlines() for path in pairs)
    if len(glosses) != len(references):
        parser.error(f"dev.gloss has {len(glosses)} lines and dev.en {len(references)}: they must be pairs")
    results = score(glosses, references)
    if arguments.json:
        print(json.dumps({"corpus": "ASLG-PC12 dev", "pairs": len(glosses), "systems": results}, indent=2))
        return
    print(f"ASLG-PC12 dev, {len(glosses)} pairs")
    print(f"{'system':30} {'BLEU-4':>8} {'chrF':>8} {'exact %':>8} {'ms':>8}")
    for name, row in results.items():
        print(
            f"{name:30} {row['bleu']:8.2f} {row['chrf']:8.2f} {row['exact_percent']:8.2f} {row['ms_per_sentence']:8.3f}"
        )


if __name__ == "__main__":
    main()
