"""The grammars: for each sign language, its named rules in the order they apply."""

from __future__ import annotations

from functools import partial

from app.pipeline.module4_language import form_rules as form
from app.pipeline.module4_language import gloss_rules as gloss
from app.pipeline.module4_language import phrase_rules as phrase
from app.pipeline.module4_language import role_rules as role
from app.pipeline.module4_language import time_rules as time
from app.pipeline.module4_language.class_rules import class_words
from app.pipeline.module4_language.draft import Rule, each_clause
from app.pipeline.module4_language.lexicon import ASL_COMPOUNDS, ISL_COMPOUNDS
from app.pipeline.module4_language.realise import write_sentences
from app.pipeline.module4_language.sentence_rules import split_sentences

_READ = Rule(
    "readable glosses",
    "Notation is stripped and an unlisted gloss comes through in words: ICE-CREAM -> ice cream.",
    gloss.read_glosses,
)
_SIGNS = (
    Rule(
        "fingerspelled names",
        "A run of spelled letters is one name: FS-A FS-N FS-N -> Ann.",
        gloss.join_fingerspelling,
    ),
    Rule(
        "numbers", "Number signs join and digits up to ten are words: TWENTY FIVE -> twenty-five.", gloss.read_numbers
    ),
    Rule("reduplication", "A sign made again is one sign, repeated: BOOK BOOK, HAPPY HAPPY.", gloss.merge_repetition),
    Rule(
        "fixed expressions",
        "Conventional phrases have conventional English: NICE MEET YOU -> nice to meet you.",
        gloss.find_expressions,
    ),
    Rule("pronoun index", "A point is a person: IX-1 -> I or me, POSS-1 -> my.", gloss.point_at_persons),
    Rule(
        "time words",
        "Days, months, seasons and LAST, NEXT, EVERY before them are times: NEXT SUMMER, JULY FOUR -> on July 4.",
        time.read_times,
    ),
    Rule("subject copies", "A last YOU that repeats the first asks: YOU DEAF YOU.", gloss.read_subject_copy),
    Rule("word classes", "Each sign gets its class from the lexicon, its neighbours, the dictionary.", class_words),
    Rule(
        "sentence splitting",
        "Greetings, expressions and a new subject with its predicate begin a sentence.",
        split_sentences,
    ),
    Rule("time fronting", "Time words lead or close the sentence and give the tense.", each_clause(time.front_time)),
    Rule("politeness", "PLEASE leads a request and follows a thing.", each_clause(phrase.read_politeness)),
    Rule("wh-questions", "The question word goes first: YOU LIVE WHERE.", each_clause(phrase.read_wh)),
    Rule("negation", "A negative sign, mostly last, negates the clause.", each_clause(phrase.read_negation)),
    Rule("modals", "WILL, CAN, MUST are auxiliaries wherever signed.", each_clause(phrase.read_modals)),
    Rule(
        "completive",
        "FINISH beside a verb is the perfect: EAT FINISH -> have eaten.",
        each_clause(phrase.read_completion),
    ),
    Rule("relations", "YOU before NAME or a relative is your.", each_clause(phrase.own_relations)),
    Rule(
        "adjectives with prepositions",
        "What a feeling is about gets its preposition: PROUD YOU -> proud of you, AFRAID DOG -> afraid of dogs.",
        each_clause(phrase.link_adjectives),
    ),
    Rule("age", "AGE 25 -> 25 years old.", each_clause(phrase.read_age)),
    Rule(
        "noun phrases and possessives",
        "Possessives, numbers and adjectives join their noun from either side; a person owns the noun after it.",
        each_clause(phrase.build_noun_phrases),
    ),
)
_GRAMMAR = (
    Rule("possession without a verb", "A person and a counted thing is have.", each_clause(role.drop_in_have)),
    Rule("yes/no questions", "Q, a last YOU, or what only you can know, asks.", each_clause(role.read_yes_no)),
    Rule("requests", "GIVE WATER PLEASE is for the signer: give me water.", each_clause(role.request_for_me)),
    Rule(
        "repeated actions",
        "A verb signed again keeps happening: WAIT WAIT -> keep waiting.",
        each_clause(role.keep_doing),
    ),
    Rule(
        "tense and aspect",
        "Time words, else states present, activities in progress, bounded events past.",
        each_clause(form.set_tense),
    ),
    Rule("plurals", "Numbers, quantities and reduplication make plurals.", each_clause(form.set_plurals)),
    Rule("articles", "Topics are the, new things a, masses bare.", each_clause(form.add_articles)),
    Rule(
        "agreement, do-support, punctuation",
        "Verb forms, question order, commas, capitals, end marks.",
        write_sentences,
    ),
)

_ASL_ORDER = (
    Rule(
        "topic fronting and word order",
        "A topic before the subject is a definite object; subject, verb, object from any order; PRO-drop filled.",
        each_clause(role.order_arguments),
    ),
    Rule("third person gender", "IX-3 after a sentence about a sister is she.", role.resolve_third_person),
)
_ISL_ORDER = (
    Rule(
        "verb-final clusters",
        "The last verb governs: TEA DRINK WANT -> want to drink tea.",
        each_clause(role.lead_with_controlling_verb),
    ),
    Rule("subject-object-verb order", "SOV becomes SVO; topics lead.", each_clause(role.order_arguments)),
    Rule("third person gender", "IX-3 after a sentence about a sister is she.", role.resolve_third_person),
)

RULES: dict[str, tuple[Rule, ...]] = {
    "ase": (
        _READ,
        Rule(
            "compounds",
            "Two signs that are one English word: HOW MANY, NOT YET, TEACH PERSON -> teacher.",
            partial(gloss.join_compounds, compounds=ASL_COMPOUNDS),
        ),
        *_SIGNS,
        *_ASL_ORDER,
        *_GRAMMAR,
    ),
    "ins": (
        _READ,
        Rule(
            "compounds and question pairs",
            "PLACE WHAT is where, FACE WHAT who, TIME WHAT when, NUMBER WHAT how many; MAN MARRY is husband.",
            partial(gloss.join_compounds, compounds=ISL_COMPOUNDS),
        ),
        *_SIGNS,
        *_ISL_ORDER,
        *_GRAMMAR,
    ),
}
