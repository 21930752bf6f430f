"""Rules for the forms of words: tense and aspect, plurals, articles."""

from __future__ import annotations

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Clause, NounPhrase, Prepositional, Token, VerbGroup


def set_tense(clause: Clause) -> None:
    """Tense from time words; without one: states present, activities in progress, bounded events past."""
    verb = clause.verbs[0].verb.word if clause.verbs and not clause.copula else ""
    finite = bool(verb) or clause.copula
    habit = clause.time_tense == "habit" or clause.frequency in lex.FREQUENCY
    if clause.time_tense == "past":
        clause.tense = "past"
    elif clause.time_tense == "since":
        clause.perfect = finite
    elif clause.link == "then" and clause.imperative:
        return
    elif verb in lex.STATES and len(clause.verbs) > 1 and clause.link != "then":
        return  # WANT GO TOMORROW: the wish is of now
    elif (clause.time_tense == "future" or clause.link == "then") and not clause.modal:
        clause.modal = "will" if finite else ""
    elif verb and not (habit or clause.link == "if" or clause.modal or clause.perfect):
        _tense_of_verb(clause, verb)


def _tense_of_verb(clause: Clause, verb: str) -> None:
    bounded = verb in lex.BOUNDED and (verb not in lex.STATES or bool(clause.verbs[0].objects))
    described = verb in lex.LINKING and clause.verbs[0].places
    timetable = any(time.startswith(("on ", "in ", "at ")) for time in clause.times) and not clause.time_tense
    if (verb in lex.STATES and not bounded) or described or (timetable and verb in lex.SCHEDULED):
        return
    if bounded and clause.time_tense != "now" and clause.negation in ("", "not"):
        if not clause.question or clause.wh in ("what", "who"):
            clause.tense = "past"
        return
    made = clause.wh == "who" and verb in ("cook", "make")
    usual = verb in lex.USUAL or clause.wh == "how" or (verb == "work" and not clause.times)
    clause.progressive = not (clause.negation or usual or made)


def set_plurals(clause: Clause) -> None:
    """A number above one, a quantity or reduplication makes a plural; so does a plural subject of its predicate."""
    for phrase in _all_phrases(clause):
        if phrase.number and phrase.number not in ("one", "1", "every", "each"):
            phrase.plural = not lex.among(phrase.head.word, lex.MASS) and phrase.head.is_a("noun")
    for phrase in _all_phrases(clause)[1 if clause.subject else 0 :]:
        bare = not (phrase.number or phrase.possessor or phrase.demonstrative or phrase.definite)
        phrase.plural = phrase.plural or (bare and bool(clause.verbs) and phrase.head.word in lex.GENERIC_PLURAL)
    subject = clause.subject
    if clause.copula and subject and subject.is_pronoun and subject.head.person in ("we", "they"):
        for item in clause.complement:
            if isinstance(item, NounPhrase) and item.head.is_a("noun") and item.head.word not in lex.MASS:
                item.plural = True


def _all_phrases(clause: Clause) -> list[NounPhrase]:
    phrases = [clause.subject] if clause.subject else []
    phrases += [phrase for group in clause.verbs for phrase in group.objects]
    phrases += [item for item in clause.complement if isinstance(item, NounPhrase)]
    phrases += [item.phrase for item in clause.complement if isinstance(item, Prepositional)]
    return [part for phrase in phrases for part in (phrase, *phrase.others)]


def add_articles(clause: Clause) -> None:
    """Topics, subjects and destinations are "the", new objects and predicates "a", masses bare, liked things plural."""
    subject = clause.subject
    favorite = any(isinstance(item, NounPhrase) and item.head.word == "favorite" for item in clause.complement)
    if subject and favorite and not subject.number and subject.head.is_a("noun"):
        subject.plural = not lex.among(subject.head.word, lex.MASS)  # chocolate, apples are my favorite
    elif subject:
        set_article(subject, "subject")
    alone = subject is None and not clause.verbs
    for item in clause.complement:
        if isinstance(item, NounPhrase) and not (alone and not clause.please and not item.adjectives):
            set_article(item, "fragment" if alone else "predicate")
        elif isinstance(item, Prepositional):
            set_article(item.phrase, prepositional_role(item))
    for group in clause.verbs:
        for phrase in group.objects:
            _object_article(clause, group, phrase)


def _object_article(clause: Clause, group: VerbGroup, phrase: NounPhrase) -> None:
    word, verb = phrase.head.word, group.verb.word
    mass = lex.among(word, lex.MASS)
    liked = (clause.verbs[0].verb.word if group.link == "to" else verb) in lex.GENERIC_OBJECT
    bare = not (phrase.number or phrase.adjectives or phrase.demonstrative or phrase.possessor)
    if (liked or verb in lex.GENERIC_OBJECT) and bare and phrase.head.is_a("noun") and word not in lex.ADDRESSES:
        phrase.plural = not mass and word not in lex.BARE
        return
    if word in lex.BODY and verb in lex.ON_BODY and not phrase.possessor:
        phrase.possessor = _own(clause)
    handled = clause.imperative and verb not in lex.DITRANSITIVE | lex.CONTROL and not mass
    played = word in lex.INSTRUMENTS and verb in ("play", "learn", "practice")
    usual = verb in lex.STATES or clause.negation == "never" or clause.frequency
    if clause.perfect or verb == "finish" or played or handled:
        phrase.definite = True
    elif mass and usual:
        phrase.definite = False  # wanted or needed stuff is any of it
    for other in phrase.others:
        other.definite = phrase.definite
    set_article(phrase, "destination" if verb in lex.VERB_PREPOSITION and verb != "play" and not mass else "object")


def _own(clause: Clause) -> str:
    """The possessive of the subject: his, her, my; "your" in a request."""
    subject = clause.subject
    if subject is None:
        return "your"
    person = subject.head.person or lex.GENDER.get(subject.head.word, "they")
    return lex.PRONOUNS[person].possessive


def prepositional_role(item: Prepositional) -> str:
    """The role of the phrase after a preposition, for :func:`set_article`."""
    if item.preposition in ("with", "without", "about", "of") and lex.among(item.phrase.head.word, lex.MASS):
        return "object"
    return "destination" if item.preposition == "in" and item.phrase.head.word in lex.BARE_DESTINATIONS else "place"


def set_article(phrase: NounPhrase, role: str) -> None:
    """Choose the article of one phrase for its role: subject, object, predicate, place or fragment."""
    for other in phrase.others:
        set_article(other, role)
    word = phrase.head.word
    if phrase.article or phrase.possessor or phrase.demonstrative or phrase.is_pronoun or phrase.head.is_a("name"):
        return
    if phrase.number:
        return
    if word in lex.ADDRESSES and not phrase.adjectives and role != "predicate" and not phrase.plural:
        return
    if role == "predicate" and word in lex.MEMBER:
        word = lex.MEMBER[word]
        phrase.head, phrase.plural = Token(phrase.head.gloss, word, "noun"), False
    ordinal = any(adjective in lex.ORDINAL or adjective.startswith("the ") for adjective in phrase.adjectives)
    if (word in lex.BARE and not phrase.adjectives) or word == "people":
        return
    if role == "destination" and word in lex.BARE_DESTINATIONS:
        return
    if role in ("place", "destination", "subject") or phrase.definite or ordinal or word in lex.UNIQUE:
        phrase.article = "the"
    elif not phrase.plural and not lex.among(word, lex.MASS) and phrase.head.is_a("noun"):
        phrase.article = "a"
