"""What the grammar knows about single signs: word classes, verb frames, time words, fixed expressions. Data only.

Words are English lemmas in lower case (a multi-word sign keeps its spaces: "last week"). Words that are not listed are
classed by the inflection library's dictionary, so the lists hold what a dictionary cannot tell: which classes signers
mean by an ambiguous word, and how a verb behaves when English has to choose a tense, a preposition or an article.
"""

from __future__ import annotations

from typing import NamedTuple


def _in_order(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


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
PRONOUN_GLOSSES: dict[str, str] = {
    **dict.fromkeys(("IX-1", "IX1", "IX-1P", "IX-ME", "PRO-1", "PRO1", "ME", "I"), "i"),
    **dict.fromkeys(("IX-2", "IX2", "IX-2P", "IX-YOU", "PRO-2", "PRO2", "YOU"), "you"),
    **dict.fromkeys(("IX-3", "IX3", "IX-3P", "IX", "PRO-3", "PRO3", "HE/SHE"), "one"),
    **dict.fromkeys(("HE", "HIM"), "he"),
    "SHE": "she",
    "IT": "it",
    **dict.fromkeys(("WE", "US", "IX-1-PL", "IX-1-PLURAL", "PRO-1-PL"), "we"),
    **dict.fromkeys(("IX-2-PL", "IX-2-PLURAL", "YOU-ALL", "YOU-PL"), "you"),
    **dict.fromkeys(("THEY", "THEM", "IX-3-PL", "IX-3-PLURAL", "PRO-3-PL"), "they"),
}
POSSESSIVE_GLOSSES: dict[str, str] = {
    **dict.fromkeys(("MY", "POSS-1", "POSS1"), "i"),
    **dict.fromkeys(("YOUR", "POSS-2", "POSS2"), "you"),
    **dict.fromkeys(("POSS-3", "POSS3"), "one"),
    "HIS": "he",
    "HER": "she",
    "ITS": "it",
    "OUR": "we",
    "THEIR": "they",
}
ABSOLUTE_GLOSSES = {"MINE": "i", "YOURS": "you", "HERS": "she", "OURS": "we", "THEIRS": "they"}
GENDER = {
    **dict.fromkeys(("mother", "sister", "wife", "daughter", "woman", "girl", "aunt", "grandmother", "mom"), "she"),
    **dict.fromkeys(("father", "brother", "husband", "son", "man", "boy", "uncle", "grandfather", "dad"), "he"),
}

# --- time ---------------------------------------------------------------------------------------------------------
#: Time word -> (English adverbial, tense or aspect it sets).
TIME_WORDS: dict[str, tuple[str, str]] = {
    "yesterday": ("yesterday", "past"),
    "last night": ("last night", "past"),
    "last week": ("last week", "past"),
    "last month": ("last month", "past"),
    "last year": ("last year", "past"),
    "recently": ("recently", "past"),
    "past": ("before", "past"),
    "before": ("before", "past"),
    "tomorrow": ("tomorrow", "future"),
    "next week": ("next week", "future"),
    "next month": ("next month", "future"),
    "next year": ("next year", "future"),
    "later": ("later", "future"),
    "soon": ("soon", "future"),
    "tonight": ("tonight", "future"),
    "now": ("now", "now"),
    "today": ("today", "now"),
    "every day": ("every day", "habit"),
    "everyday": ("every day", "habit"),
    "every week": ("every week", "habit"),
    "morning": ("in the morning", "habit"),
    "afternoon": ("in the afternoon", "habit"),
    "evening": ("in the evening", "habit"),
    "night": ("at night", "habit"),
    **{
        day: (f"on {day.capitalize()}", "")
        for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    },
}
TIME_UNITS = frozenset({"day", "week", "month", "year", "hour", "minute"})
FREQUENCY = frozenset({"always", "often", "sometimes", "usually", "rarely"})

# --- verbs --------------------------------------------------------------------------------------------------------
# Without a time word, English tense follows the boundedness of the event: a state is simple present, an activity is in
# progress, a bounded event has happened (Smith and Erbaugh 2005, "Temporal interpretation in Mandarin Chinese").
STATES = words(
    """
    want need like love hate have know understand remember think believe feel live own prefer miss hope mean
    agree wish see hear trust belong sign keep
    """
)
BOUNDED = words(
    """
    buy meet forget die lose find arrive break finish win fail get give happen graduate marry decide leave sell
    throw fall catch drop pay start stop tell receive
    """
)
#: Feelings and knowledge only the addressee can vouch for: said of "you" they ask (Labov and Fanshel 1977, B-events).
PRIVATE_VERBS = words(
    """
    want need like know understand remember prefer agree feel hear
    """
)
PRIVATE_STATES = words(
    """
    hungry thirsty happy sad tired sick ill cold hot angry ready fine ok busy worried scared afraid lonely bored
    confused deaf hearing excited nervous sleepy lost okay
    """
)
#: Feelings that take "to" and a verb: happy to meet you.
FEELINGS = words(
    """
    happy sad glad excited ready afraid sorry nice proud able busy hard easy
    """
)
GENERIC_OBJECT = frozenset(["like", "love", "hate", "prefer", "enjoy"])
CONTROL = words(
    """
    want need like love hate prefer learn try hope plan decide forget remember start go come
    """
)
CAUSATIVE = frozenset(["help", "let", "make"])
#: Take a whole statement as their object.
CONTENT_VERBS = words("think know hope say believe")
CLAUSE_TAKERS = frozenset(["think", "know", "hope", "say", "believe", "feel", "see", "want"]) | CAUSATIVE
DITRANSITIVE = words(
    """
    give show tell teach send bring lend ask buy pay
    """
)
INTRANSITIVE = words(
    """
    go come live work stay sleep walk run sit stand cry laugh rain snow die arrive wait happen talk play swim
    fall travel look listen smile fly leave
    """
)
#: Happen to a thing by themselves: the phone broke, the store opened.
INCHOATIVE = words("break open close start stop change move finish end begin")
#: After these a lone final YOU is whom it is done to, not who is asked.
ACTS_ON_YOU = words(
    """
    love miss see help meet tell thank hate visit call ask teach show
    """
)
WEATHER = frozenset({"rain", "snow"})
WEATHER_STATES = frozenset({"hot", "cold", "warm", "windy", "sunny"})
VERB_PREPOSITION: dict[str, str] = {
    "go": "to", "come": "to", "travel": "to", "walk": "to", "run": "to", "drive": "to", "fly": "to", "move": "to",
    "listen": "to", "talk": "to", "live": "in", "sleep": "in", "swim": "in", "work": "at", "stay": "at", "arrive": "at",
    "look": "at", "laugh": "at", "wait": "for", "play": "with", "sit": "on", "stand": "on",
}  # fmt: skip
VERBS = (
    STATES
    | BOUNDED
    | PRIVATE_VERBS
    | CONTROL
    | CAUSATIVE
    | CLAUSE_TAKERS
    | DITRANSITIVE
    | INTRANSITIVE
    | words(
        """
    eat drink learn cook read write watch drive study teach speak clean wash use help visit call wear open close
    enjoy carry build draw paint sing dance become move change explain practice be do
    """
    )
)

# --- nouns --------------------------------------------------------------------------------------------------------
#: Relatives one may address or speak of without a possessive; then they are names ("Mother is happy").
ADDRESSES = frozenset(["mother", "father", "mom", "dad", "grandmother", "grandfather"])
KIN = ADDRESSES | words(
    """
    brother sister son daughter husband wife uncle aunt cousin parent family
    """
)
PERSONS = KIN | words(
    """
    man woman boy girl friend teacher doctor student child baby person people nurse boss interpreter neighbor
    police king queen driver lawyer farmer cook waiter class dog cat
    """
)
ATTRIBUTES = frozenset({"name", "age"})
MASS = words(
    """
    water milk coffee tea juice food bread rice meat money help sign language ice cream homework work music
    weather time love rain snow fruit information news luck fun sugar salt cheese soup beer wine pizza cake
    pasta chocolate popcorn salad chicken fish
    breakfast lunch dinner school home church bed college isl asl
    """
) | {"ice cream", "sign language"}
NO_ARTICLE_PLACES = frozenset(["school", "work", "home", "church", "bed", "college"])
NOUNS = PERSONS | MASS | ATTRIBUTES | words(
    """
    book car house store bathroom table chair party city market office train bus phone computer picture color
    food movie hospital restaurant room door key pen paper bag shirt shoe apple price number hand
    """
)  # fmt: skip
PROPER = {
    **{
        name: name.title()
        for name in words(
            """
    delhi mumbai india america chicago boston canada mexico england france germany spain london paris california
    texas florida europe africa asia english spanish french german hindi gallaudet christmas monday tuesday
    wednesday thursday friday saturday sunday january february april june july august september october november
    december
    """
        )
    },
    **{"new york": "New York", "asl": "ASL", "isl": "ISL", "tv": "TV", "ok": "OK", "usa": "the USA", "i": "I"},
}
ADJECTIVES = PRIVATE_STATES | words(
    """
    good bad nice big small new old red blue green black white yellow late early beautiful pretty easy hard cold
    hot sorry welcome wrong right same different expensive cheap fast slow tall short young long open favorite
    sweet clean important interesting free strong weak rich poor glad proud able delicious wonderful
    """
)

# --- small words --------------------------------------------------------------------------------------------------
PREPOSITIONS = words(
    """
    under on in at with for from behind about near to after between without of
    """
)
CONJUNCTIONS = {"and": "and", "or": "or", "but": "but", "so": "so"}
PLACES = {"here": "here", "there": "there", "ix-loc": "there", "home": "home", "outside": "outside", "inside": "inside"}
QUANTITIES = words(
    """
    many more some few all several any other both every much each
    """
)
DEMONSTRATIVES = {"this": "this", "that": "that", "ix-loc": "that", "these": "these", "those": "those"}
DEGREE = frozenset({"very", "really", "too", "so"})
ADVERBS = words(
    """
    again also together well fast maybe already still only alone please now-and-then almost really yet too even
    slowly
    """
)
MODALS = {
    "will": "will", "future": "will", "can": "can", "must": "must", "should": "should", "could": "could",
    "would": "would", "may": "may", "might": "might",
}  # fmt: skip
NEGATIVES: dict[str, str] = {
    "not": "not", "no": "not", "nahi": "not", "never": "never", "none": "none", "nothing": "none", "not yet": "not yet",
    "zero": "none",
}  # fmt: skip
#: One sign that holds a verb and its negation.
NEGATIVE_VERBS: dict[str, tuple[str, ...]] = {
    "DON'T-WANT": ("NOT", "WANT"), "DONT-WANT": ("NOT", "WANT"), "DON'T-KNOW": ("NOT", "KNOW"),
    "DONT-KNOW": ("NOT", "KNOW"), "DON'T-LIKE": ("NOT", "LIKE"), "DONT-LIKE": ("NOT", "LIKE"),
    "DON'T-UNDERSTAND": ("NOT", "UNDERSTAND"), "DON'T-HAVE": ("NOT", "HAVE"), "DON'T": ("NOT",), "DONT": ("NOT",),
    "CAN'T": ("CAN", "NOT"), "CANNOT": ("CAN", "NOT"), "CANT": ("CAN", "NOT"), "WON'T": ("WILL", "NOT"),
    "CAN-NOT": ("CAN", "NOT"), "ISN'T": ("NOT",), "NOT-HAVE": ("NOT", "HAVE"),
}  # fmt: skip
WH_WORDS: dict[str, str] = {
    "what": "what", "who": "who", "where": "where", "when": "when", "why": "why", "how": "how", "which": "which",
    "how many": "how many", "how much": "how much", "how old": "how old", "what time": "what time", "whose": "whose",
    "how long": "how long", "what for": "why", "for for": "why",
}  # fmt: skip
QUESTION_GLOSSES = words(
    """
    Q ? QM QM-WIG QUESTION-MARK YN Y/N (Q) Q?
    """
)
COMPLETIVES = frozenset({"finish", "already", "over", "ho gaya"})

_UNITS = _in_order(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
    """
)
_TENS = _in_order("twenty thirty forty fifty sixty seventy eighty ninety")
NUMBER_WORDS: dict[str, int] = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * value for value, word in enumerate(_TENS, 2)
}

# --- openers and fixed expressions --------------------------------------------------------------------------------
#: Words that open an utterance and are followed by a comma.
COMMA_OPENERS: dict[str, str] = {
    "HELLO": "hello", "HI": "hi", "NAMASTE": "namaste", "GOOD-MORNING": "good morning", "YES": "yes", "NO": "no",
    "GOOD-AFTERNOON": "good afternoon", "GOOD-EVENING": "good evening", "SORRY": "sorry", "WOW": "wow", "OK": "OK",
    "EXCUSE-ME": "excuse me", "OH-I-SEE": "oh, I see", "WELL": "well", "FS-OK": "OK", "#OK": "OK",
}  # fmt: skip
GREETINGS = frozenset({"hello", "hi", "namaste", "good morning", "good afternoon", "good evening"})
THANKS: dict[str, str] = {"THANK-YOU": "thank you", "THANKS": "thanks", "THANKYOU": "thank you"}
FAREWELLS: dict[str, str] = {
    "GOODBYE": "goodbye", "BYE": "bye", "GOOD-NIGHT": "good night", "SEE-YOU-LATER": "see you later",
}  # fmt: skip
#: Several signs, or one sign for several words, with one conventional English sentence (text, end mark).
#: Longest first wins; an expression counts only where it makes a sentence of its own.
EXPRESSIONS: dict[tuple[str, ...], tuple[str, str]] = {
    ("HOW-ARE-YOU",): ("how are you", "?"),
    ("HOW", "YOU"): ("how are you", "?"),
    ("YOU", "HOW"): ("how are you", "?"),
    ("HOW", "ARE", "YOU"): ("how are you", "?"),
    ("NICE-TO-MEET-YOU",): ("nice to meet you", "."),
    ("NICE", "MEET", "YOU"): ("nice to meet you", "."),
    ("NICE", "MEET", "YOU", "AGAIN"): ("nice to meet you again", "."),
    ("NICE-TO-MEET-YOU", "AGAIN"): ("nice to meet you again", "."),
    ("NICE", "MEET"): ("nice to meet you", "."),
    ("MEET", "YOU", "NICE"): ("nice to meet you", "."),
    ("I-LOVE-YOU",): ("I love you", "."),
    ("YOU", "NAME"): ("what is your name", "?"),
    ("YOUR", "NAME"): ("what is your name", "?"),
    ("YOU", "WELCOME"): ("you are welcome", "."),
    ("TIME", "WHAT"): ("what time is it", "?"),
    ("WHAT", "TIME"): ("what time is it", "?"),
    ("WHAT", "HAPPEN"): ("what happened", "?"),
    ("WHAT'S-UP",): ("what's up", "?"),
    ("LONG-TIME-NO-SEE",): ("long time no see", "."),
}
#: Two signs that make one word before anything else is read.
ASL_COMPOUNDS: dict[tuple[str, ...], str] = {
    ("GOOD", "MORNING"): "GOOD-MORNING",
    ("GOOD", "AFTERNOON"): "GOOD-AFTERNOON",
    ("GOOD", "NIGHT"): "GOOD-NIGHT",
    ("THANK", "YOU"): "THANK-YOU",
    ("HOW", "MANY"): "HOW-MANY",
    ("HOW", "MUCH"): "HOW-MUCH",
    ("HOW", "OLD"): "HOW-OLD",
    ("NOT", "YET"): "NOT-YET",
    ("LAST", "WEEK"): "LAST-WEEK",
    ("LAST", "NIGHT"): "LAST-NIGHT",
    ("LAST", "YEAR"): "LAST-YEAR",
    ("YESTERDAY", "NIGHT"): "LAST-NIGHT",
    ("NEXT", "WEEK"): "NEXT-WEEK",
    ("NEXT", "YEAR"): "NEXT-YEAR",
    ("EVERY", "DAY"): "EVERY-DAY",
    ("TEACH", "PERSON"): "TEACHER",
    ("LEARN", "PERSON"): "STUDENT",
    ("DRIVE", "PERSON"): "DRIVER",
}
#: Indian Sign Language builds question words from a domain and WHAT, and kin terms from MAN/WOMAN and a relation.
ISL_COMPOUNDS: dict[tuple[str, ...], str] = {
    **ASL_COMPOUNDS,
    ("PLACE", "WHAT"): "WHERE",
    ("FACE", "WHAT"): "WHO",
    ("PERSON", "WHAT"): "WHO",
    ("TIME", "WHAT"): "WHEN",
    ("NUMBER", "WHAT"): "HOW-MANY",
    ("REASON", "WHAT"): "WHY",
    ("MAN", "MARRY"): "HUSBAND",
    ("WOMAN", "MARRY"): "WIFE",
    ("MAN", "SIBLING"): "BROTHER",
    ("WOMAN", "SIBLING"): "SISTER",
    ("STUDY", "PERSON"): "STUDENT",
}
