"""Rules that give English its order and its grammar: who does what to whom, tense, copula, number, articles."""

from __future__ import annotations

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Clause, Draft, Item, NounPhrase, Prepositional, Token, VerbGroup
from app.pipeline.module4_language.realise import noun_phrase


def _phrase(person: str) -> NounPhrase:
    return NounPhrase(Token("", person, "pronoun", person=person))


def _is_person(phrase: NounPhrase) -> bool:
    return phrase.is_pronoun or phrase.head.word in lex.PERSONS or phrase.head.is_a("name")


def lead_with_controlling_verb(clause: Clause) -> None:
    """In a verb cluster of a verb-final language the last verb governs: ``TEA DRINK WANT`` is "want to drink tea"."""
    verbs = [item for item in clause.items if isinstance(item, Token) and item.is_a("verb")]
    if len(verbs) < 2:
        return
    last = verbs[-1]
    governs = last.word in ("want", "need", "like", "try", "hope", "plan", "prefer", "hate")
    if clause.items[-1] is last and governs and clause.items[-2] is verbs[-2]:
        clause.items.remove(last)
        clause.items.insert(clause.items.index(verbs[0]), last)


def order_arguments(clause: Clause) -> None:
    """Subject, verb, object from any order: a topic is the object of a clause whose subject follows it."""
    items = clause.items
    clause.adverbs = [item.word for item in items if isinstance(item, Token) and item.is_a("adverb")]
    for item in items:
        if isinstance(item, Token) and item.is_a("adverb"):
            if item.word in lex.FREQUENCY:
                clause.frequency = item.word
                clause.adverbs.remove(item.word)
            elif item.word == "again" and item.repeats > 1:
                clause.adverbs[clause.adverbs.index("again")] = "again and again"
    items = [item for item in items if not (isinstance(item, Token) and item.is_a("adverb", "degree", "conjunction"))]
    first_verb = next((i for i, item in enumerate(items) if isinstance(item, Token) and item.is_a("verb")), None)
    if first_verb is None:
        _verbless(clause, items)
    else:
        _verbal(clause, items, first_verb)


def _verbless(clause: Clause, items: list[Item]) -> None:
    phrases = [item for item in items if isinstance(item, NounPhrase)]
    others = [item for item in items if not isinstance(item, NounPhrase)]
    pronoun = next((phrase for phrase in phrases if phrase.is_pronoun), None)
    subject = pronoun or (phrases[0] if phrases else None)
    if subject is not None and pronoun is None and not others and len(phrases) == 1:
        if not clause.wh and not clause.negation:
            subject = None
    elif subject is not None and len(items) == 1 and pronoun and not clause.wh:
        subject = None
    clause.subject = subject
    clause.complement = [item for item in items if item is not subject]
    if clause.negation == "none":
        if subject is None or (pronoun is None and len(phrases) == 1):
            clause.subject = None
        clause.verbs = [VerbGroup(Token("HAVE", "have", "verb"))] if clause.subject else []
        things = [item for item in clause.complement if isinstance(item, NounPhrase)]
        for thing in things:
            thing.article = "no"
        if clause.verbs:
            clause.verbs[0].objects = things
            clause.complement = []
        elif phrases:
            phrases[0].article = "no"
            clause.complement = list(phrases)
        clause.negation = ""
        return
    clause.copula = subject is not None and bool(clause.complement or clause.wh)
    if clause.please and subject is not None and not pronoun and not clause.wh:
        clause.copula = False
    alone = bool(clause.complement) and all(isinstance(item, Token) and item.is_a("adjective") for item in items)
    if clause.wh == "" and alone and (clause.question or clause.times):
        states = {item.word for item in clause.complement if isinstance(item, Token)}
        weather = bool(clause.times) and bool(states & lex.WEATHER_STATES)
        clause.subject = _phrase("it" if weather else ("you" if clause.question else "i"))
        clause.copula = True


def _verbal(clause: Clause, items: list[Item], first: int) -> None:
    before = [item for item in items[:first] if isinstance(item, NounPhrase)]
    leading = [item for item in items[:first] if not isinstance(item, NounPhrase)]
    rest = items[first:]
    objects = _choose_subject(clause, before, rest)
    group = VerbGroup(Token("", ""))
    for item in rest:
        if isinstance(item, Token) and item.is_a("verb"):
            group = _next_group(clause, group, item)
            clause.verbs.append(group)
        elif isinstance(item, NounPhrase):
            group.objects.append(item)
        else:
            _place(clause, group, item)
    for item in leading:
        if isinstance(item, Token) and item.is_a("adjective") and clause.subject is not None:
            clause.complement.append(item)
            clause.copula = True
            clause.verbs[0].link = "to"
        else:
            _place(clause, clause.verbs[-1], item)
    holder = next((g for g in reversed(clause.verbs) if g.verb.word not in lex.INTRANSITIVE), clause.verbs[-1])
    if objects and holder.objects and holder is not clause.verbs[0]:
        holder = clause.verbs[0]
    for phrase in reversed(objects):
        holder.objects.insert(0, phrase)
    if clause.negation == "none":
        for phrase in holder.objects[-1:]:
            phrase.article = "no"
            clause.negation = ""
        clause.negation = "not" if clause.negation else ""


def _choose_subject(clause: Clause, before: list[NounPhrase], rest: list[Item]) -> list[NounPhrase]:
    """Set the subject; return the noun phrases before the verb that are its objects (a fronted one is the topic)."""
    verb = rest[0]
    assert isinstance(verb, Token)
    last = rest[-1] if len(rest) > 1 and isinstance(rest[-1], NounPhrase) and rest[-1].is_pronoun else None
    after = [item for item in rest[1:] if isinstance(item, NounPhrase)]
    if clause.wh == "who" and not before and not (last and len(after) > 1):
        return []
    if clause.wh in ("what", "who") and len(before) <= 1 and verb.word == "happen":
        return []
    if len(before) >= 2:
        topic, second = before[0], before[1]
        if not topic.is_pronoun and _is_person(second) and (second.is_pronoun or not _is_person(topic)):
            clause.subject, clause.topic = second, topic
            topic.definite = True
            return [topic, *before[2:]]
        clause.subject = topic
        return before[1:]
    copied = last is not None and (
        not before or (not _is_person(before[0]) and verb.word not in lex.INTRANSITIVE and last.head.person != "one")
    )
    if copied and last is not None and _is_subject_copy(clause, last, verb, len(after), bool(before)):
        rest.pop()
        clause.subject = last
        clause.question = clause.question or (last.head.person == "you" and not clause.wh)
        for phrase in before:
            phrase.definite = True
        return before
    if before:
        thing = before[0]
        happens = verb.word in lex.INTRANSITIVE or (verb.word in lex.INCHOATIVE and not clause.please)
        if not _is_person(thing) and not after and not happens and verb.word in lex.VERBS:
            if verb.word in lex.STATES:
                clause.subject = _phrase("you" if clause.question else "i")
            elif clause.question and clause.wh:
                clause.subject = _phrase("you")
            else:
                clause.imperative = True
            thing.definite = verb.word in lex.STATES
            return [thing]
        clause.subject = thing
        return []
    if verb.word in lex.WEATHER:
        clause.subject = _phrase("it")
    elif clause.gerund:
        clause.subject = None
    elif clause.wh or (clause.question and not clause.please):
        clause.subject = _phrase("you")
    elif (verb.word in lex.STATES and verb.word != "sign") or clause.times or clause.perfect or clause.negation or (
        clause.modal and not clause.please
    ):  # fmt: skip
        clause.subject = _phrase("i")
    else:
        clause.imperative = True
    return []


def _is_subject_copy(clause: Clause, last: NounPhrase, verb: Token, objects: int, topic: bool) -> bool:
    if clause.please and verb.word not in lex.STATES:
        return False
    if objects > 1 or topic:
        return True
    if last.head.person == "you":
        return verb.word not in lex.ACTS_ON_YOU
    return verb.word in lex.INTRANSITIVE


def _next_group(clause: Clause, before: VerbGroup, verb: Token) -> VerbGroup:
    group = VerbGroup(verb)
    if not before.verb.word:
        return group
    if before.verb.word in lex.CAUSATIVE:
        group.link = "bare"
    elif before.verb.word in lex.CONTROL:
        group.link = "to"
    else:
        group.link = "and"
    return group


def _place(clause: Clause, group: VerbGroup, item: Item) -> None:
    if isinstance(item, Prepositional):
        if not item.phrase.article and not item.phrase.is_pronoun:
            set_article(item.phrase, "place")
        group.places.append(f"{item.preposition} {noun_phrase(item.phrase, 'object')}")
    elif isinstance(item, Token):
        group.places.append(item.word)
    else:
        group.objects.append(item)


def resolve_third_person(draft: Draft) -> None:
    """A point at a third person takes the gender of the relative or person named in the sentence before."""
    gender = ""
    for clause in draft.clauses:
        subject = clause.subject
        if subject is None:
            continue
        if subject.head.person == "one" and gender:
            subject.head.person = gender
        gender = lex.GENDER.get(subject.head.word, gender)


def drop_in_have(clause: Clause) -> None:
    """A person and a counted thing with no verb is possession: ``YOU BROTHER HOW-MANY`` asks what you have."""
    if clause.wh == "how many" and clause.wh_noun and not clause.verbs and clause.subject:
        clause.copula = False
        clause.verbs = [VerbGroup(Token("HAVE", "have", "verb"))]


def read_yes_no(clause: Clause) -> None:
    """Ask when the brows asked (``Q``), when YOU is repeated last, or when only the addressee can know (YOU HUNGRY)."""
    subject = clause.subject
    if clause.question or subject is None or subject.head.person != "you" or clause.link or clause.please:
        return
    if clause.negation or clause.modal or clause.time_tense in ("future", "habit") or clause.imperative:
        return
    state = any(isinstance(item, Token) and item.word in lex.PRIVATE_STATES for item in clause.complement)
    verb = clause.verbs[0].verb.word if clause.verbs else ""
    clause.question = (state and not clause.verbs) or verb in lex.PRIVATE_VERBS


def request_for_me(clause: Clause) -> None:
    """GIVE, SHOW or TELL as a request, with a thing and no person, is meant for the signer."""
    if clause.imperative and clause.verbs and clause.verbs[0].verb.word in ("give", "show", "bring", "tell"):
        objects = clause.verbs[0].objects
        if objects and not any(_is_person(phrase) for phrase in objects):
            objects.insert(0, _phrase("i"))


def set_tense(clause: Clause) -> None:
    """Tense from time words; without one: states present, activities in progress, bounded events past."""
    verb = clause.verbs[0].verb if clause.verbs else None
    if clause.copula:
        verb = None
    if clause.time_tense == "past":
        clause.tense = "past"
        return
    if (clause.time_tense == "future" or clause.link == "then") and not clause.modal:
        clause.modal = "will"
        return
    if verb is None or clause.link == "if" or clause.time_tense == "habit" or clause.modal or clause.frequency:
        return
    if verb.word in lex.STATES or clause.negation or clause.perfect:
        return
    if verb.word in lex.BOUNDED and clause.time_tense != "now":
        if not (clause.question and clause.wh != "what"):
            clause.tense = "past"
        return
    habitual = clause.adverbs and not clause.question
    clause.progressive = verb.word not in ("teach", "speak", "be", "do") and not (habitual and verb.word == "sign")
    if clause.wh in ("who", "how") and verb.word in ("teach", "sign", "speak", "cook", "make"):
        clause.progressive = False
    if verb.word == "work" and not clause.times:
        clause.progressive = False


def keep_doing(clause: Clause) -> None:
    """A verb signed again and again keeps happening."""
    first = clause.verbs[0] if clause.verbs else None
    if first and first.verb.repeats > 1 and first.verb.word not in lex.STATES:
        first.link = "ing"
        clause.verbs.insert(0, VerbGroup(Token("KEEP", "keep", "verb")))


def set_plurals(clause: Clause) -> None:
    """A number above one, a quantity or reduplication makes a plural; so does a plural subject of its predicate."""
    for phrase in _all_phrases(clause):
        if phrase.number and phrase.number not in ("one", "1", "every", "each"):
            phrase.plural = phrase.head.word not in lex.MASS and phrase.head.is_a("noun")
        elif phrase.head.word == "people":
            phrase.plural = True
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
    if subject:
        set_article(subject, "subject")
    alone = subject is None and not clause.verbs
    for item in clause.complement:
        if isinstance(item, NounPhrase) and not (alone and not clause.please and not item.adjectives):
            set_article(item, "fragment" if alone else "predicate")
        elif isinstance(item, Prepositional):
            set_article(item.phrase, "place")
    for group in clause.verbs:
        for phrase in group.objects:
            if clause.perfect:
                phrase.definite = True
            liked = group.link == "to" and clause.verbs[0].verb.word in lex.GENERIC_OBJECT
            if liked or group.verb.word in lex.GENERIC_OBJECT:
                generic = not (phrase.number or phrase.adjectives or phrase.demonstrative or phrase.possessor)
                if generic and phrase.head.is_a("noun") and phrase.head.word not in lex.ADDRESSES:
                    phrase.plural = phrase.head.word not in lex.MASS
                    phrase.definite = False
                    continue
            destination = group.verb.word in lex.VERB_PREPOSITION and group.verb.word != "play"
            if phrase.head.word in lex.MASS and group.verb.word in lex.STATES and not clause.perfect:
                phrase.definite = False  # wanted or needed stuff is any of it
            set_article(phrase, "place" if destination else "object")


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
    if role == "place":
        phrase.article = "" if word in lex.NO_ARTICLE_PLACES else "the"
    elif role == "subject" or phrase.definite:
        bare = word in lex.NO_ARTICLE_PLACES or word == "people"
        phrase.article = "" if bare else "the"
    elif not phrase.plural and word not in lex.MASS and phrase.head.is_a("noun"):
        phrase.article = "a"
