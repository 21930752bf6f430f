"""Rules for times: days, months, seasons and parts of the day become adverbials that lead or close the sentence."""

from __future__ import annotations

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Clause, Draft, Kind, Token
from app.pipeline.module4_language.inflection import inflected

_NEAR = ("YESTERDAY", "TOMORROW")
DAYS_NAMED = ("TODAY", "TOMORROW", "YESTERDAY", "NOW")


def read_times(draft: Draft) -> None:
    """Read time words, alone and joined: ``NEXT SUMMER``, ``SUNDAY MORNING``, ``JULY FOUR``, ``TIME NINE``."""
    tokens: list[Token] = []
    for i, token in enumerate(draft.tokens):
        last = tokens[-1] if tokens else None
        after = draft.tokens[i + 1] if i + 1 < len(draft.tokens) else None
        if last is not None and (joined := _joined_time(last, token)):
            tokens[-1] = joined
        elif last is not None and last.is_a("number") and token.word in lex.TIME_UNITS:
            tokens.append(token)
        elif last is not None and last.word in lex.OF_TIMES and (time := _time(token)) and time.noun:
            tokens.append(Token(token.gloss, time.noun, "name"))
        elif token.word == "before" and after is not None and after.word in lex.NOUNS:
            tokens.append(Token(token.gloss, "before", "preposition"))  # BEFORE DINNER
        elif token.kind == "noun" and (time := _time(token)):
            tokens.append(time)
        else:
            tokens.append(token)
    draft.tokens = tokens
    _read_ago(draft)


def _time(token: Token) -> Token | None:
    lead, _, unit = token.word.partition(" ")
    if lead in lex.TIME_LEADS and unit in lex.LED_TIMES:
        return _led_time(token.gloss, lead, unit)
    if token.word not in lex.TIME_WORDS:
        return None
    text, tense = lex.TIME_WORDS[token.word]
    name = token.word.capitalize() if token.word in lex.NAMED_TIMES else token.word
    return Token(token.gloss, text, "time", tense=tense, noun=name if text.startswith(("on ", "in ", "at ")) else "")


def _led_time(gloss: str, lead: str, unit: str) -> Token:
    text = f"{lead} {unit.capitalize() if unit in lex.NAMED_TIMES else unit}"
    return Token(gloss, text, "time", tense=lex.TIME_LEADS[lead], noun=text)


def _joined_time(last: Token, token: Token) -> Token | None:
    """One time of two signs side by side, or None."""
    gloss = f"{last.gloss} {token.gloss}"
    if token.kind == "number":
        if last.word == "time":
            return Token(gloss, f"at {token.word}", "time", noun=f"it is {token.word} o'clock")
        if last.is_a("time") and last.noun.lower() in lex.MONTHS:
            return Token(gloss, f"on {last.noun} {lex.NUMBER_WORDS.get(token.word, token.word)}", "time")
    if token.kind != "noun":
        return None
    if last.kind == "noun" and last.word in lex.TIME_LEADS and token.word in lex.LED_TIMES:
        return _led_time(gloss, last.word, token.word)
    if last.is_a("time") and token.word in lex.DAY_PARTS and (last.noun.lower() in lex.DAYS or last.gloss in _NEAR):
        return Token(gloss, f"{last.word} {token.word}", "time", tense=last.tense)
    if last.word in ("since", "until") and (time := _time(token)):
        return Token(gloss, f"{last.word} {time.noun or time.word}", "time", tense=last.word)
    return None


def _read_ago(draft: Draft) -> None:
    """Join ``TWO DAY AGO`` (or ``PAST``) to one time expression."""
    tokens = draft.tokens
    for i in range(len(tokens) - 2):
        number, unit, ago = tokens[i : i + 3]
        if number.kind == "number" and unit.word in lex.TIME_UNITS and ago.word in ("ago", "past", "before"):
            noun = unit.word if number.word == "one" else inflected(unit.word, "NNS")
            joined = Token(f"{number.gloss} {unit.gloss} AGO", f"{number.word} {noun} ago", "time", tense="past")
            draft.tokens = [*tokens[:i], joined, *tokens[i + 3 :]]
            return


def _listed(times: list[str]) -> list[str]:
    """Days in a row as one list: on Monday, Tuesday and Friday."""
    days = [time for time in times if time.startswith("on ")]
    if len(days) < 2:
        return times
    names = [day.removeprefix("on ") for day in days]
    joined = f"on {', '.join(names[:-1])} and {names[-1]}"
    return [joined if time == days[0] else time for time in times if time not in days[1:]]


def front_time(clause: Clause) -> None:
    """Time words: first in the gloss, first in English; last, last. They set the tense of the clause."""
    times = [token for token in clause.tokens if token.is_a("time")]
    if not times:
        return
    clause.times_first = next((i for i, token in enumerate(clause.tokens) if not token.is_a("time")), 0)
    first, others = times[0], [token for token in clause.tokens if not token.is_a("time")]
    if not others and len(times) == 1:
        clause.tokens = [Token(first.gloss, first.noun or first.word, "noun")]
        return
    hour = next((token for token in times if token.noun.startswith("it is")), None)  # NOW TIME THREE
    if not others and hour is not None:
        clause.tokens = [Token(hour.gloss, hour.noun, "noun")]
        return
    if not others and first.gloss in DAYS_NAMED and times[-1].noun:  # TODAY TUESDAY
        clause.time_tense = "past" if first.tense == "past" else "now"
        clause.tokens = [Token(token.gloss, token.noun or token.word, "name") for token in (first, times[-1])]
        return
    described = [token for token in others if token.is_a("adjective") and token.word not in lex.PRIVATE_STATES]
    if first.noun and len(times) == 1 and clause.times_first and described == others != []:  # SPRING WARM
        kind: Kind = "name" if first.noun[0].isupper() else "noun"
        clause.tokens = [Token(first.gloss, first.noun, kind), *others]
        return
    clause.times = _listed([token.word for token in times])
    clause.time_tense = next((token.tense for token in times if token.tense in ("past", "future")), first.tense)
    clause.tokens = others
