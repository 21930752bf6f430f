"""From the order of English to that of signs: clauses, time first, question words and "please" last."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from app.pipeline.glossing.lookup import Lookup
from app.pipeline.glossing.units import Unit


def clauses(units: Sequence[Unit]) -> Iterator[list[Unit]]:
    """The units of a sentence in clauses: an opener, a condition, what follows "because", another subject."""
    clause: list[Unit] = []
    for place, unit in enumerate(units):
        following = units[place + 1] if place + 1 < len(units) else None
        opened = bool(clause) and all(u.kind in ("opener", "break") for u in clause)
        if unit.kind == "break":
            fresh = following is not None and following.kind in ("person", "conjunction", "wh")
            if opened or fresh or any(u.kind == "conjunction" and u.low in ("if", "when") for u in clause[:1]):
                yield clause
                clause = []
            continue
        starts = unit.kind == "conjunction" and unit.low != "or"
        starts = starts or (unit.kind == "and" and following is not None and following.kind == "person")
        if clause and (starts or (opened and unit.kind != "opener" and unit.kind != "please")):
            yield clause
            clause = []
        clause.append(unit)
    if clause:
        yield clause


def ordered(clause: Sequence[Unit], asks: bool, lookup: Lookup) -> Iterable[Unit]:
    """What is shown of a clause, in the order it is signed."""
    clause = _not_yet(clause, lookup)
    head = [unit for unit in clause[:1] if unit.kind == "conjunction"]
    rest = list(clause[len(head) :])
    times = [unit for unit in rest if unit.kind == "time"]
    questions = [] if _asked_for_subject(rest) else [u for u in rest if u.kind == "wh" and _is_question(rest, u, asks)]
    please = [unit for unit in rest if unit.kind == "please"]
    last = [*questions, *please]
    body = [unit for unit in rest if unit not in times and unit not in last]
    added = [*_finish(rest, lookup), *(_asked(body, lookup) if asks and not questions else [])]
    will = lookup.first((("FUTURE",), ("WILL",)))
    body = [replace(unit, row=() if times else will) if unit.kind == "future" else unit for unit in body]
    body = _negation_after_person(body)
    body = [unit for unit in body if not (times and unit.kind == "modal" and unit.low == "will")]
    shown = [*head, *times, *body, *added, *questions, *please]
    return [unit for unit in shown if unit.shown]


def _not_yet(clause: Sequence[Unit], lookup: Lookup) -> Sequence[Unit]:
    """ "Not ... yet" is one sign where there is one."""
    row, yet = lookup.first((("NOT-YET",),)), next((unit for unit in clause if unit.low == "yet"), None)
    if row is None or yet is None or not any(unit.kind == "negation" for unit in clause):
        return clause
    both = [replace(unit, row=row) if unit.kind == "negation" else unit for unit in clause]
    return [replace(unit, row=()) if unit is yet else unit for unit in both]


def _negation_after_person(body: list[Unit]) -> list[Unit]:
    """Aren't you coming: what English turns round to ask."""
    for place, (unit, following) in enumerate(itertools.pairwise(body)):
        before = body[place - 1].kind if place else ""
        if unit.kind == "negation" and following.kind == "person" and before in ("be", "helping", "modal", "perfect"):
            body = [*body[:place], following, unit, *body[place + 2 :]]
    return body


def _is_question(clause: Sequence[Unit], unit: Unit, asks: bool) -> bool:
    """Whether a question word asks, rather than leads into what is known: "where you live"."""
    if asks:
        return True
    at = clause.index(unit)
    return at + 1 < len(clause) and clause[at + 1].kind in ("be", "helping", "modal")


def _asked_for_subject(clause: Sequence[Unit]) -> bool:
    """Who wants wine: the question word is the subject and stays in front."""
    first = next((i for i, unit in enumerate(clause) if unit.kind not in ("opener", "break")), None)
    if first is None or clause[first].low not in ("who", "what", "which") or first + 1 >= len(clause):
        return False
    return clause[first + 1].kind == "content" and clause[first].low != "what"


def _finish(clause: Sequence[Unit], lookup: Lookup) -> list[Unit]:
    """The perfect: FINISH after the verb and its object."""
    if not any(unit.kind == "perfect" for unit in clause) or any(unit.row == ("FINISH",) for unit in clause):
        return []
    if any(unit.kind == "negation" or unit.low in ("been", "for", "since") for unit in clause):
        return []
    row = lookup.first((("FINISH",),)) if any(unit.kind == "content" for unit in clause) else None
    return [Unit("added", (), row)] if row else []


def _asked(body: Sequence[Unit], lookup: Lookup) -> list[Unit]:
    """A question to "you" that can be answered with yes or no points at them again at its end."""
    before = ("opener", "be", "helping", "perfect", "dropped", "future", "negation")
    subject = next((unit for unit in body if unit.kind not in before), None)
    others = [unit for unit in body if unit.shown and unit is not subject]
    if subject is None or subject.kind != "person" or subject.low != "you" or not others:
        return []
    return [Unit("added", (), subject.row)] if subject.row else []
