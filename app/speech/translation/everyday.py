"""Everyday sentences that rule-based translation gets wrong: greetings, questions, states. Beside any Translator.

A sentence that is not among them goes to the translator unchanged; of one that is, only its parts do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lemminflect import getInflection

from app.speech.engines import Availability, Translator, pair
from app.speech.text import cleaned, sentences

#: Whole sentences, without their marks: English, Spanish with its marks.
PHRASES = {
    "hello": "Hola.",
    "hi": "Hola.",
    "goodbye": "Adiós.",
    "good morning": "Buenos días.",
    "good night": "Buenas noches.",
    "good afternoon": "Buenas tardes.",
    "thank you": "Gracias.",
    "thanks": "Gracias.",
    "you are welcome": "De nada.",
    "please": "Por favor.",
    "i am sorry": "Lo siento.",
    "sorry": "Lo siento.",
    "excuse me": "Perdón.",
    "yes": "Sí.",
    "no": "No.",
    "nice to meet you": "Mucho gusto.",
    "see you tomorrow": "Nos vemos mañana.",
    "i will see you tomorrow": "Nos vemos mañana.",
    "see you later": "Hasta luego.",
    "i love you": "Te quiero.",
    "congratulations": "¡Felicidades!",
    "happy birthday": "¡Feliz cumpleaños!",
    "how are you": "¿Cómo estás?",
    "what is your name": "¿Cómo te llamas?",
    "where are you from": "¿De dónde eres?",
    "how old are you": "¿Cuántos años tienes?",
    "what time is it": "¿Qué hora es?",
    "how much is this": "¿Cuánto cuesta esto?",
    "how much does this cost": "¿Cuánto cuesta esto?",
    "what happened": "¿Qué pasó?",
    "what is wrong": "¿Qué pasa?",
    "can you help me": "¿Puedes ayudarme?",
    "i don't understand": "No entiendo.",
    "i don't know": "No sé.",
    "it is raining": "Está lloviendo.",
    "it is snowing": "Está nevando.",
}
_SPANISH_PHRASES = {
    re.sub(r"[¿?¡!.]", "", spanish).lower(): english for english, spanish in reversed(PHRASES.items())
} | {
    "me llamo": "my name is",
    "cómo está usted": "how are you",
    "cuál es tu nombre": "what is your name",
    "qué tal": "how are you",
    "muchas gracias": "thank you very much",
    "hasta mañana": "see you tomorrow",
    "te quiero": "I love you",
}
#: Words that come before a comma and a sentence of its own.
_BEFORE = re.compile(r"^(hello|hi|yes|no|sorry|thank you|goodbye|congratulations|okay|please), (.+)$", re.IGNORECASE)
_BEFORE_ES = {"hello": "Hola", "hi": "Hola", "okay": "Vale", "please": "Por favor", "congratulations": "¡Felicidades"}
#: States that Spanish has, rather than is.
_HAD = {
    "hungry": "hambre",
    "thirsty": "sed",
    "cold": "frío",
    "hot": "calor",
    "afraid": "miedo",
    "scared": "miedo",
    "sleepy": "sueño",
    "right": "razón",
}
_BODY = {"head": "la cabeza", "tooth": "el diente", "back": "la espalda", "stomach": "el estómago"}
_HAVE = {"i": "tengo", "you": "tienes", "he": "tiene", "she": "tiene", "we": "tenemos", "they": "tienen"}
_ARE = {"i": "estoy", "you": "estás", "he": "está", "she": "está", "we": "estamos", "they": "están"}
_RELATED = (
    "mother father sister brother son daughter aunt uncle cousin nephew niece grandmother grandfather wife husband "
    "friend boss teacher neighbor girlfriend boyfriend mom dad doctor dog cat baby"
)
_KIN = _RELATED.split()
_OWN = r"(?:my|your|his|her|our|their)"
#: Adjectives of states, by their beginning, which go with estar.
_STATES = (
    r"(?:cansad|enojad|enfadad|enferm|casad|divorciad|content|ocupad|preocupad|nervios|deprimid|embarazad|perdid|"
    r"abiert|cerrad|llen|vací|suci|rot|delicios|aburrid|sorprendid|avergonzad|emocionad|list|sol|segur|"
    r"junt|sentad|parad|lej|muert|viv)(?:[oa]s?)|tristes?|felices|feliz|lejos|cerca|aquí|allí|tarde|bien|mal"
)
_ESTAR = {"soy": "estoy", "eres": "estás", "es": "está", "somos": "estamos", "son": "están", "era": "estaba"}
_SER = re.compile(
    rf"\b(soy|eres|es|somos|son|era) (muy |también |todavía )?({_STATES}|\w+(?:ando|iendo|yendo))\b", re.I
)
_YOURS = {"vuestro": "tu", "vuestra": "tu", "vuestros": "tus", "vuestras": "tus"}
_YOUR = re.compile(r"\bvuestr[oa]s?\b", re.IGNORECASE)

Part = Callable[[str], str]
"""Translates a part of a sentence: lower case, without an end mark."""


class Everyday:
    """A Translator, in front of another one."""

    def __init__(self, inner: Translator) -> None:
        self._inner = inner
        self.name = inner.name

    def availability(self) -> Availability:
        return self._inner.availability()

    def close(self) -> None:
        self._inner.close()

    def translate(self, text: str, source: str, target: str) -> str:
        pair(source, target)
        text = cleaned(text)
        if source == target:
            return text
        one = self._to_spanish if target == "es" else self._to_english
        return " ".join(one(sentence) for sentence in sentences(text))

    def _to_spanish(self, sentence: str) -> str:
        before = _BEFORE.match(sentence)
        if before is not None:
            word, rest = before.group(1).lower(), self._to_spanish(before.group(2))
            first = _BEFORE_ES.get(word) or PHRASES[word].rstrip(".")
            return f"{first}, {_lower(rest)}" if "¡" not in first else f"{first}! {rest}"
        bare, mark = _bare(sentence)
        found = PHRASES.get(bare)
        if found is None:
            found = self._by_rule(bare, mark)
        if found is None:
            found = _mended(self._inner.translate(sentence, "en", "es"))
        return _marked(found, mark)

    def _by_rule(self, bare: str, mark: str) -> str | None:
        for pattern, make in QUESTIONS if mark == "?" else STATEMENTS:
            match = pattern.fullmatch(bare)
            if match is not None:
                made = make(match.groups(), self._part)
                if made is not None:
                    return made
        return None

    def _part(self, english: str) -> str:
        return _lower(_mended(self._inner.translate(english[:1].upper() + english[1:] + ".", "en", "es")).rstrip(" ."))

    def _to_english(self, sentence: str) -> str:
        bare, mark = _bare(sentence)
        bare = bare.lstrip("¿¡")
        known = _SPANISH_PHRASES.get(bare)
        if known is not None:
            return known[:1].upper() + known[1:] + (mark or ".")
        for pattern, template in ENGLISH:
            match = pattern.fullmatch(bare)
            if match is not None:
                part = _lower(self._inner.translate(match.group(1) + ".", "es", "en")).rstrip(" .")
                return template.format(part)
        return self._inner.translate(sentence.lstrip("¿¡") if mark in ("?", "!") else sentence, "es", "en")


# -- English to Spanish ------------------------------------------------------------------------------------------------


def _did(verb: str) -> str:
    return (getInflection(verb, "VBD") or (verb,))[0]


def _does(verb: str) -> str:
    return (getInflection(verb, "VBZ") or (verb,))[0]


def _statement(subject: str, auxiliary: str, verb: str, rest: str) -> str:
    """What a question with do would state."""
    if auxiliary == "did":
        verb = _did(verb)
    elif auxiliary == "does":
        verb = _does(verb)
    return f"{subject} {verb}{rest}"


def _asked(word: str, parts: Sequence[str | None], part: Part) -> str:
    """A question with do, behind a question word; the subject goes behind the verb where it is a noun."""
    auxiliary, subject, verb, rest = (piece or "" for piece in parts)
    if subject in _HAVE:
        said = part(_statement(subject, auxiliary, verb, rest))
        return f"¿{word}{said}?"
    said = part(_statement("he", auxiliary, verb, ""))
    return f"¿{word}{said} {part(subject)}{' ' + part(rest.strip()) if rest.strip() else ''}?"


def _state(subject: str, adjective: str, part: Part) -> str | None:
    had = _HAD.get(adjective)
    if had is None:
        return None
    if subject in _HAVE:
        return f"{_HAVE[subject]} {had}"
    return f"{part(subject)} tiene {had}"


def _kin(parts: Sequence[str | None], part: Part) -> str:
    who, rest = parts[0] or "", parts[1] or ""
    verb, _, after = rest.partition(" ")
    if verb == "has" and not after.endswith("ed"):
        return f"{part(who)} tiene {part(after)}"
    return f"{part(who)} {part(f'he {verb} {after}'.strip())}"


_PERSON = r"(i|you|he|she|we|they)"
_NOUN = r"((?:the|my|your|his|her|our|their|this|that|a|an) [\w' -]+?)"
_WORDS = {
    "where": "Dónde ",
    "when": "Cuándo ",
    "why": "Por qué ",
    "how": "Cómo ",
    "what": "Qué ",
    "who": "A quién ",
    "what time": "A qué hora ",
}
_WH = r"(where|when|why|how|what time|what|who)"
Rule = tuple[re.Pattern[str], Callable[[Sequence[str | None], Part], str | None]]
_DO = rf"(do|does|did) {_PERSON} (\w+)( .+)?"
_DO_NOUN = rf"(do|does|did) {_NOUN} (\w+)( (?:in|on|at|to|for|with|from) .+| here| there| now| today)?"


def _with(before: str, verb: str = "") -> Callable[[Sequence[str | None], Part], str]:
    """before, its verb in the number of the noun, and the noun."""

    def make(parts: Sequence[str | None], part: Part) -> str:
        plural = verb and parts[0] == "are"
        return f"¿{before}{verb}{'n' if plural else ''}{' ' if verb else ''}{part(parts[1] or '')}?"

    return make


def _turned(parts: Sequence[str | None], part: Part) -> str:
    """A question that begins with its auxiliary, as the statement that it asks about."""
    auxiliary, subject, rest = parts
    return f"¿{_up(part(f'{subject} {auxiliary} {rest}'))}?"


def _wh_turned(parts: Sequence[str | None], part: Part) -> str:
    word, auxiliary, subject, rest = parts
    return f"¿{_WORDS[word or '']}{part(f'{subject} {auxiliary} {rest}')}?"


def _hurts(parts: Sequence[str | None], part: Part) -> str:
    body = parts[0] or ""
    return f"Me duele {_BODY.get(body) or part(f'the {body}')}"


def _weather(parts: Sequence[str | None], part: Part) -> str:
    will = "nevará" if parts[1] == "snow" else "lloverá"
    return f"mañana {will}" if parts[0] or parts[2] else will


QUESTIONS: list[Rule] = [
    (re.compile(rf"where (is|are) {_NOUN}"), _with("Dónde ", "está")),
    (re.compile(rf"how (is|are) {_NOUN}"), _with("Cómo ", "está")),
    (re.compile(rf"(when) is {_NOUN}"), _with("Cuándo es ")),
    (re.compile(rf"how old (is) {_NOUN}"), _with("Cuántos años tiene ")),
    (re.compile(rf"(what) is {_NOUN}"), _with("Cuál es ")),
    (re.compile(rf"(who) is {_NOUN}"), _with("Quién es ")),
    (re.compile(rf"how much (does) {_NOUN} cost"), _with("Cuánto cuesta ")),
    (re.compile(rf"how much (is) {_NOUN}"), _with("Cuánto cuesta ")),
    (re.compile(rf"(?:are|is|am) {_PERSON} (\w+)"), lambda parts, part: _yes_no(parts[0] or "", parts[1] or "", part)),
    (re.compile(rf"{_WH} (are|is|am) {_PERSON} (.+)"), _wh_turned),
    (re.compile(rf"(are|is|am|have|has|can|will|should|must) {_PERSON} (.+)"), _turned),
    (re.compile(rf"{_WH} {_DO}"), lambda parts, part: _asked(_WORDS[parts[0] or ""], parts[1:], part)),
    (re.compile(rf"{_WH} {_DO_NOUN}"), lambda parts, part: _asked(_WORDS[parts[0] or ""], parts[1:], part)),
    (re.compile(_DO), lambda parts, part: _up_asked(_asked("", parts, part))),
    (re.compile(_DO_NOUN), lambda parts, part: _up_asked(_asked("", parts, part))),
]

STATEMENTS: list[Rule] = [
    (
        re.compile(rf"{_PERSON} (?:am|are|is) (?:very )?(\w+)"),
        lambda parts, part: _state(parts[0] or "", parts[1] or "", part),
    ),
    (re.compile(rf"{_OWN} ([\w-]+) (hurts|hurt)"), _hurts),
    (re.compile(rf"({_OWN} (?:{'|'.join(_KIN)})) ((?!and |or |is |are |was |were |will )\w+(?: .+)?)"), _kin),
    (re.compile(r"(.+), (please)"), lambda parts, part: f"{part(parts[0] or '')}, por favor"),
    (re.compile(r"(please) (.+)"), lambda parts, part: f"Por favor, {part(parts[1] or '')}"),
    (re.compile(r"(tomorrow )?it will (snow|rain)( tomorrow)?"), _weather),
    (re.compile(rf"{_NOUN} (?:is|are) ready"), lambda parts, part: _ready(part(parts[0] or ""))),
    (
        re.compile(r"(dinner|lunch|breakfast|food) is ready"),
        lambda parts, part: _ready(part(f"the {parts[0]}")),
    ),
]


def _ready(subject: str) -> str:
    feminine = re.match(r"(?:la|las|mi \w+a|tu \w+a)\b", subject) is not None
    plural = subject.startswith(("los ", "las "))
    return f"{subject} {'están' if plural else 'está'} list{'a' if feminine else 'o'}{'s' if plural else ''}"


def _yes_no(subject: str, adjective: str, part: Part) -> str:
    had = _HAD.get(adjective)
    said = f"{_HAVE[subject]} {had}" if had else part(f"{subject} {_be(subject)} {adjective}")
    return f"¿{_up(said)}?"


def _be(subject: str) -> str:
    return {"i": "am", "he": "is", "she": "is"}.get(subject, "are")


def _up_asked(question: str) -> str:
    return f"¿{_up(question[1:])}"


def _mended(spanish: str) -> str:
    """Apertium writes "soy cansado" and "vuestro"."""
    spanish = _SER.sub(lambda m: f"{_cased(m[1], _ESTAR[m[1].lower()])} {m[2] or ''}{m[3]}", spanish)
    return _YOUR.sub(lambda m: _cased(m[0], _YOURS[m[0].lower()]), spanish)


def _cased(like: str, word: str) -> str:
    return _up(word) if like[:1].isupper() else word


def _bare(sentence: str) -> tuple[str, str]:
    """In lower case without its end mark, and that mark."""
    match = re.fullmatch(r"(.*?)\s*([.!?…]*)", sentence)
    assert match is not None
    body = match[1].lower().replace("’", "'")
    body = re.sub(r"^(what|where|who|how|it|that)'s ", r"\1 is ", body)
    body = re.sub(r"\bi'm ", "i am ", body)
    body = re.sub(r"\b(you|we|they)'re ", r"\1 are ", body)
    return body, match[2][:1]


def _marked(spanish: str, mark: str) -> str:
    """With the marks that Spanish has before a question or an exclamation."""
    spanish = _up(spanish.strip())
    if mark == "?" and "¿" not in spanish:
        comma = spanish.rfind(", ")  # "Hola, ¿...?"
        at = comma + 2 if 0 <= comma < 12 else 0
        spanish = f"{spanish[:at]}¿{spanish[at:] if at else _up(spanish)}"
    elif mark == "!" and "¡" not in spanish:
        spanish = f"¡{spanish}"
    if mark and not spanish.endswith((".", "?", "!", "…")):
        spanish += mark
    return spanish.replace(" ?", "?")


def _lower(text: str) -> str:
    """Names keep their capital only in the middle of a text."""
    if text.startswith(("¿", "¡")):
        return text[:1] + text[1:2].lower() + text[2:]
    return text[:1].lower() + text[1:]


def _up(text: str) -> str:
    return text[:1].upper() + text[1:]


# -- Spanish to English ------------------------------------------------------------------------------------------------

ENGLISH: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"d[óo]nde est[áa]n ((?:los|las|mis|tus|sus|nuestr[oa]s) .+)"), "Where are {0}?"),
    (re.compile(r"d[óo]nde est[áa] ((?:el|la|mi|tu|su|nuestr[oa]|un|una) .+)"), "Where is {0}?"),
    (re.compile(r"cu[áa]ndo es (.+)"), "When is {0}?"),
    (re.compile(r"cu[áa]nto cuesta (.+)"), "How much does {0} cost?"),
    (re.compile(r"cu[áa]l es (.+)"), "What is {0}?"),
    (re.compile(r"qui[ée]n es (.+)"), "Who is {0}?"),
    (re.compile(r"me duele (?:el|la) (.+)"), "My {0} hurts."),
    (re.compile(r"me llamo (.+)"), "My name is {0}."),
]
