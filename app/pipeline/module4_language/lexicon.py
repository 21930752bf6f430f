"""What the grammar knows about single signs: word classes, verb frames, time words, fixed expressions.

The words are in ``lexicon.toml``, with what each list is for; here they become sets and dictionaries. A word that is in
no list gets its class from the inflection library's dictionary.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class PronounForms(NamedTuple):
    """Surface forms of one person; ``plural_verb`` is true where English uses the plural verb."""

    subject: str
    object: str
    possessive: str
    absolute: str
    be: str
    plural_verb: bool


PRONOUNS: dict[str, PronounForms] = {
    "i": PronounForms("I", "me", "my", "mine", "am", True),
    "you": PronounForms("you", "you", "your", "yours", "are", True),
    "he": PronounForms("he", "him", "his", "his", "is", False),
    "she": PronounForms("she", "her", "her", "hers", "is", False),
    "it": PronounForms("it", "it", "its", "its", "is", False),
    "we": PronounForms("we", "us", "our", "ours", "are", True),
    "they": PronounForms("they", "them", "their", "theirs", "are", True),
    # A point at a third person says nothing of gender: English "they", with a singular noun after it.
    "one": PronounForms("they", "them", "their", "theirs", "are", True),
}


def words(text: str) -> frozenset[str]:
    """The words of a list; a hyphen inside a word is a space."""
    return frozenset(word.replace("-", " ") for word in text.split())


def _spaced(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("-", " "): value for key, value in table.items()}


def _inverted(table: Mapping[str, str]) -> dict[str, str]:
    """Word -> key, of a table of key -> words."""
    return {word: key for key, text in table.items() for word in text.split()}


def _sequences(table: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    return {tuple(glosses.split()): text for glosses, text in table.items()}


def among(word: str, group: frozenset[str]) -> bool:
    """Whether a noun, or the last word of a compound, is in ``group``: "math teacher" is a person."""
    parts = word.split(" ")
    return any(" ".join(parts[i:]) in group for i in range(len(parts)))


_DATA = tomllib.loads(Path(__file__).with_name("lexicon.toml").read_text(encoding="utf-8"))
_VERBS = {name: words(text) for name, text in _DATA["verbs"].items()}
_ADJECTIVES = {name: words(text) for name, text in _DATA["adjectives"].items()}
_NOUNS = {name: words(text) for name, text in _DATA["nouns"].items()}
_SMALL = {name: words(text) for name, text in _DATA["small"].items()}
_PARTS = _DATA["time_parts"]
_WORDS = _DATA["words"]

# --- persons ------------------------------------------------------------------------------------------------------
PRONOUN_GLOSSES = _inverted(_DATA["pronouns"])
POSSESSIVE_GLOSSES = _inverted(_DATA["possessives"])
ABSOLUTE_GLOSSES = _inverted(_DATA["absolutes"])
GENDER = _inverted(_DATA["gender"])

# --- time ---------------------------------------------------------------------------------------------------------
TIME_UNITS = words(_PARTS["units"])
DAYS, MONTHS, HOLIDAYS = words(_PARTS["days"]), words(_PARTS["months"]), words(_PARTS["holidays"])
DAY_PARTS = words(_PARTS["parts"])
NAMED_TIMES = DAYS | MONTHS | HOLIDAYS
#: LAST, NEXT, EVERY before one of these is a time; the value is the tense it sets.
TIME_LEADS: dict[str, str] = _DATA["time_leads"]
LED_TIMES = TIME_UNITS | NAMED_TIMES | DAY_PARTS | words(_PARTS["seasons"])
#: Time word -> (English adverbial, tense or aspect it sets).
TIME_WORDS: dict[str, tuple[str, str]] = {
    **{word: (text, tense) for word, (text, tense) in _spaced(_DATA["time"]).items()},
    **{day: (f"on {day.capitalize()}", "") for day in DAYS},
    **{month: (f"in {month.capitalize()}", "") for month in MONTHS},
    **{holiday: (f"at {holiday.capitalize()}", "habit") for holiday in HOLIDAYS},
    **{season: (f"in the {season}", "habit") for season in words(_PARTS["seasons"])},
}

# --- verbs --------------------------------------------------------------------------------------------------------
STATES, BOUNDED, PRIVATE_VERBS = _VERBS["states"], _VERBS["bounded"], _VERBS["private"]
SAID_ALONE, CONTROL, CAUSATIVE = _VERBS["said_alone"], _VERBS["control"], _VERBS["causative"]
CONTENT_VERBS, CLAUSE_TAKERS, DITRANSITIVE = _VERBS["content"], _VERBS["clause_takers"], _VERBS["ditransitive"]
LINKING, INTRANSITIVE, INCHOATIVE = _VERBS["linking"], _VERBS["intransitive"], _VERBS["inchoative"]
GENERIC_OBJECT, ACTS_ON_YOU, WEATHER = _VERBS["generic_object"], _VERBS["acts_on_you"], _VERBS["weather"]
ASKING, NOUNS_TOO, DONE_AT = _VERBS["asking"], _VERBS["nouns_too"], _VERBS["done_at"]
SCHEDULED, OF_TIMES, ON_BODY = _VERBS["scheduled"], _VERBS["of_times"], _VERBS["on_body"]
SUMMONS, USUAL = _VERBS["summons"], _VERBS["usual"]
VERB_PREPOSITION: dict[str, str] = _spaced(_inverted(_DATA["verb_preposition"]))
THING_PARTICIPLES: dict[str, str] = _DATA["thing_participles"]
PARTICIPLE_EVENTS: dict[str, str] = _DATA["participle_events"]
PARTICIPLES: dict[str, str] = _DATA["participles"]
OUTINGS: dict[str, str] = _DATA["outings"]
VERBS = frozenset().union(*_VERBS.values())

# --- nouns and adjectives -----------------------------------------------------------------------------------------
ADDRESSES = _NOUNS["addresses"]
KIN = ADDRESSES | _NOUNS["kin"]
PERSONS = KIN | _NOUNS["persons"]
ATTRIBUTES, THING_ATTRIBUTES, MASS = _NOUNS["attributes"], _NOUNS["thing_attributes"], _NOUNS["mass"]
BARE, DISHES, AILMENTS = _NOUNS["bare"], _NOUNS["dishes"], _NOUNS["ailments"]
PLURAL, GENERIC_PLURAL, UNIQUE = _NOUNS["plural"], _NOUNS["generic_plural"], _NOUNS["unique"]
ASKED, INDEFINITES = _NOUNS["asked"], _NOUNS["singular_pronouns"]
#: A number after these does not count them: my number is five, finish work at five.
UNCOUNTED = _NOUNS["numbered"] | MASS
#: Two of a kind in a row are a list: bread and butter.
_KINDS = ("dishes", "foods", "clothes", "meals", "utensils", "animals", "stationery", "money", "toiletries")
LISTED = (KIN, *(_NOUNS[kind] for kind in _KINDS))
ANIMALS, BODY = _NOUNS["animals"], _NOUNS["body"]
INSTRUMENTS, MEASURES, BARE_DESTINATIONS = _NOUNS["instruments"], _NOUNS["measures"], _NOUNS["bare_destinations"]
NOUNS = PERSONS.union(*_NOUNS.values())
PLACE_PREPOSITION = _inverted(_DATA["place_preposition"])
WHEREABOUTS = _inverted(_DATA["whereabouts"])
NOUN_PREPOSITION: dict[str, str] = _DATA["noun_preposition"]
MEMBER: dict[str, str] = _DATA["member"]
_NAMES = {name: name.title() for name in words(_DATA["names"]["capitals"])} | _spaced(_DATA["names"]["spelled"])
PROPER: dict[str, str] = _NAMES | {name: name.title() for name in words(_DATA["names"]["persons"])}
NAMED_THINGS = frozenset(_NAMES.values()) | words(_DATA["nouns"]["things"])
PRIVATE_STATES, FEELINGS, GENERIC_ADJECTIVES = _ADJECTIVES["private"], _ADJECTIVES["feelings"], _ADJECTIVES["generic"]
WEATHER_STATES, COLORS, ORDINAL = _ADJECTIVES["weather"], _ADJECTIVES["colors"], _ADJECTIVES["ordinal"]
IDENTITY, DESCRIBED = _ADJECTIVES["identity"], _ADJECTIVES["described"]
ADJECTIVES = frozenset().union(*_ADJECTIVES.values())
ADJECTIVE_PREPOSITION = _inverted(_DATA["adjective_preposition"])

# --- small words --------------------------------------------------------------------------------------------------
PREPOSITIONS, QUANTITIES, FREQUENCY = _SMALL["prepositions"], _SMALL["quantities"], _SMALL["frequency"]
DEGREE, MIDDLE, PREDICATIVE = _SMALL["degree"], _SMALL["middle"] | FREQUENCY, _SMALL["predicative"]
ADVERBS = _SMALL["adverbs"] | MIDDLE
CONJUNCTIONS = _SMALL["conjunctions"]
MANNER: dict[str, str] = _DATA["manner"]
PLACES = words(_WORDS["places"])
DEMONSTRATIVES: dict[str, str] = _WORDS["demonstratives"]
MODALS: dict[str, str] = _WORDS["modals"]
NEGATIVES: dict[str, str] = _spaced(_WORDS["negatives"])
NEGATIVE_VERBS = {gloss: tuple(parts.split()) for gloss, parts in _DATA["negative_verbs"].items()}
WH_WORDS: dict[str, str] = _spaced(_WORDS["wh"])
QUESTION_GLOSSES = frozenset({"Q", "?", "QM", "QM-WIG", "QUESTION-MARK", "YN", "Y/N", "(Q)", "Q?"})
COMPLETIVES = frozenset({"finish", "already", "over", "ho gaya"})
MULTIPLIERS = words(_DATA["numbers"]["multipliers"])
NUMBER_WORDS = {word: value for value, word in enumerate(_DATA["numbers"]["units"].split())} | {
    word: 10 * value for value, word in enumerate(_DATA["numbers"]["tens"].split(), 2)
}

# --- openers and fixed expressions --------------------------------------------------------------------------------
COMMA_OPENERS: dict[str, str] = _DATA["openers"]
#: Openers wherever they stand.
FREE_OPENERS = frozenset({"yes", "wow", "congratulations", "hello", "hi", "namaste"}) | {
    f"good {part}" for part in ("morning", "afternoon", "evening")
}
THANKS: dict[str, str] = _DATA["thanks"]
FAREWELLS: dict[str, str] = _DATA["farewells"]
#: Glosses -> (text, end mark).
EXPRESSIONS = {key: (text[:-1], text[-1]) for key, text in _sequences(_DATA["expressions"]).items()}
ASL_COMPOUNDS = _sequences(_DATA["compounds"])
ISL_COMPOUNDS = ASL_COMPOUNDS | _sequences(_DATA["isl_compounds"])

#: What the library inflects wrongly: (word, Penn tag) -> form.
INFLECTIONS = {(word, tag): form for tag, table in _DATA["inflection"].items() for word, form in table.items()}
