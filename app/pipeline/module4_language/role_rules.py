"""Rules that give English its order and its grammar: who does what to whom, tense, copula, number, articles."""

from __future__ import annotations

from collections.abc import Iterable

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Clause, Draft, Item, NounPhrase, Prepositional, Token, VerbGroup
from app.pipeline.module4_language.form_rules import prepositional_role, set_article
from app.pipeline.module4_language.inflection import with_article
from app.pipeline.module4_language.realise import noun_phrase


def _phrase(person: str) -> NounPhrase:
    return NounPhrase(Token("", person, "pronoun", person=person))


def _is_person(phrase: NounPhrase) -> bool:
    return (
        phrase.is_pronoun
        or lex.among(phrase.head.word, lex.PERSONS)
        or (phrase.head.is_a("name") and phrase.head.word not in lex.NAMED_THINGS)
    )


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
    clause.adverbs = [item.word for item in items if isinstance(item, Token) and item.is_a("adverb", "degree")]
    for item in items:
        if isinstance(item, Token) and item.is_a("adverb"):
            if item.word in lex.MIDDLE:
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
    pronoun = next((phrase for phrase in phrases if phrase.is_pronoun), None)
    subject = pronoun or (phrases[0] if phrases else None)
    if len(items) == 1 and subject and clause.times and not clause.wh and not _is_person(subject):
        clause.subject, clause.copula = subject, True  # MY BIRTHDAY JULY
        clause.complement = [Token("", " ".join(clause.times), "adverb")]
        clause.times = []
        clause.time_tense = clause.time_tense if clause.time_tense == "past" else ""
        return
    placed = bool(set(clause.adverbs) & lex.PREDICATIVE)
    if len(items) == 1 and not (clause.wh or placed or (clause.negation and not pronoun)):
        subject = None
    clause.subject = subject
    rest = _coordinated(item for item in items if item is not subject)
    clause.complement = [_located(item, subject) for item in rest]
    ailments = [item for item in clause.complement if isinstance(item, NounPhrase) and item.head.word in lex.AILMENTS]
    if ailments and ailments == clause.complement and subject is not None and _is_person(subject):
        clause.verbs = [VerbGroup(Token("HAVE", "have", "verb"), ailments)]
        clause.complement = []
    elif clause.negation == "none":
        _without(clause, phrases, pronoun)
    else:
        _be(clause, items, pronoun, placed)


def _without(clause: Clause, phrases: list[NounPhrase], pronoun: NounPhrase | None) -> None:
    """Somebody has no such thing: ``IX-1 MONEY NONE``; alone, "no money"."""
    clause.negation = ""
    if pronoun is None and len(phrases) == 1:
        clause.subject = None
    things = [item for item in clause.complement if isinstance(item, NounPhrase)]
    for thing in things if clause.subject else phrases[:1]:
        thing.article = "no"
    if clause.subject:
        clause.verbs = [VerbGroup(Token("HAVE", "have", "verb"), things)]
        clause.complement = []
    else:
        clause.complement = list(phrases)


def _be(clause: Clause, items: list[Item], pronoun: NounPhrase | None, placed: bool) -> None:
    """The copula, between a subject and what is said of it; the weather and one's own state need no subject."""
    requested = clause.please and not pronoun and not clause.wh
    clause.copula = clause.subject is not None and bool(clause.complement or clause.wh or placed) and not requested
    alone = bool(clause.complement) and all(isinstance(item, Token) and item.is_a("adjective") for item in items)
    if alone and clause.wh in ("what", "who"):
        clause.copula = True  # WHAT WRONG
    reason = clause.link in ("because", "if")
    if clause.wh == "" and alone and (clause.question or clause.times or reason):
        states = {item.word for item in clause.complement if isinstance(item, Token)}
        weather = bool(clause.times or reason) and bool(states & lex.WEATHER_STATES)
        clause.subject = _phrase("it" if weather else ("you" if clause.question else "i"))
        clause.copula = True


def _coordinated(items: Iterable[Item]) -> list[Item]:
    """Adjectives in a row with "and" between them: ``SHE TALL STRONG``."""
    joined: list[Item] = []
    for item in items:
        last = joined[-1] if joined else None
        if isinstance(item, Token) and isinstance(last, Token) and item.kind == last.kind == "adjective":
            joined[-1] = Token(last.gloss, f"{last.word} and {item.word}", "adjective")
        else:
            joined.append(item)
    return joined


def _located(item: Item, subject: NounPhrase | None) -> Item:
    """A floor said of a thing, a hospital said of a person is where they are: ``OFFICE FIRST FLOOR``."""
    if not isinstance(item, NounPhrase) or subject is None:
        return item
    places = lex.WHEREABOUTS if _is_person(subject) else lex.PLACE_PREPOSITION
    told = item.adjectives or _is_person(subject)
    return Prepositional(places[item.head.word], item) if told and item.head.word in places else item


def _verbal(clause: Clause, items: list[Item], first: int) -> None:
    before = [item for item in items[:first] if isinstance(item, NounPhrase)]
    leading = [item for item in items[:first] if not isinstance(item, NounPhrase)]
    rest = items[first:]
    if before and any(isinstance(item, Token) and item.word in lex.FEELINGS for item in leading):
        clause.subject, objects = before[0], before[1:]  # ASL EASY LEARN
    else:
        objects = _choose_subject(clause, before, rest)
    group = VerbGroup(Token("", ""))
    for item in rest:
        if isinstance(item, Token) and item.is_a("verb"):
            group = _next_group(clause, group, item)
            clause.verbs.append(group)
        elif isinstance(item, NounPhrase):
            _object(clause, group, item)
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
    if clause.wh == "what" and clause.topic is not None:  # BREAKFAST YOU EAT WHAT
        objects.remove(clause.topic)
        preposition = lex.PLACE_PREPOSITION.get(clause.topic.head.word, "for")
        _place(clause, holder, Prepositional(preposition, clause.topic))
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
    if clause.wh == "who" and len(before) == 1 and not _is_person(before[0]) and not after:
        before[0].definite = True  # WINDOW BREAK WHO
        return before
    if clause.wh == "how many" and not before and verb.word in lex.INTRANSITIVE:
        return []
    if clause.wh in ("what", "who") and len(before) <= 1 and verb.word == "happen":
        return []
    if len(before) >= 2:
        topic, second = before[0], before[1]
        if not topic.is_pronoun and _is_person(second) and (second.is_pronoun or not _is_person(topic)):
            clause.subject, clause.topic = second, topic
            topic.definite = True
            return [topic, *before[2:]]
        if _is_person(second) and "together" in clause.adverbs:
            topic.others.append(second)  # BOY GIRL PLAY TOGETHER
            del before[1]
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
        summoned = clause.please and verb.word in lex.SUMMONS and not thing.is_pronoun
        happens = verb.word in lex.INTRANSITIVE or (verb.word in lex.INCHOATIVE and not clause.please)
        if (summoned or not _is_person(thing)) and not after and not happens:
            if verb.word in lex.STATES or clause.perfect:
                clause.subject = _phrase("you" if clause.question else "i")
            elif clause.question and clause.wh:
                clause.subject = _phrase("you")
            else:
                clause.imperative = True
            thing.definite = verb.word in lex.STATES or not lex.among(thing.head.word, lex.MASS)
            return [thing]
        clause.subject = thing
        return []
    if verb.word in lex.WEATHER:
        clause.subject = _phrase("it")
    elif clause.gerund:
        clause.subject = None
    elif clause.wh or (clause.question and not clause.please):
        clause.subject = _phrase("it" if verb.word in lex.INCHOATIVE else "you")
    elif (
        (verb.word in lex.STATES and verb.word != "sign" and (len(rest) > 1 or verb.word in lex.SAID_ALONE))
        or clause.times
        or clause.perfect
        or clause.negation
        or (clause.modal and not clause.please)
    ):
        clause.subject = _phrase("i")
    else:
        clause.imperative = True
    return []


def _is_subject_copy(clause: Clause, last: NounPhrase, verb: Token, objects: int, topic: bool) -> bool:
    if clause.please and verb.word not in lex.STATES:
        return False
    if objects > 1 or topic or clause.perfect:
        return True
    if last.head.person == "you":
        return verb.word not in lex.ACTS_ON_YOU
    return verb.word in lex.INTRANSITIVE and verb.word not in lex.ACTS_ON_YOU


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


def _object(clause: Clause, group: VerbGroup, phrase: NounPhrase) -> None:
    """An object, or where or how long it is done: ``BUY BREAD STORE``, ``SLEEP TWO HOUR``."""
    word, verb = phrase.head.word, group.verb.word
    unplaced = verb in lex.DONE_AT or (verb in lex.INTRANSITIVE and verb not in lex.VERB_PREPOSITION)
    if word in lex.TIME_UNITS and phrase.number and (verb in lex.INTRANSITIVE or verb == "hurt"):
        phrase.plural = phrase.number != "one"
        clause.time_tense = clause.time_tense or ("since" if group.verb.word in lex.STATES else "past")
        _place(clause, group, Prepositional("for", phrase))
    elif word in lex.TIME_UNITS and not phrase.possessor and group.verb.word in lex.INTRANSITIVE:
        group.places.append(with_article(word))
    elif phrase.number and group.objects and group.objects[-1].number:
        group.objects[-1].others.append(phrase)
    elif word in lex.PLACE_PREPOSITION and not phrase.number and (group.objects or unplaced):
        _place(clause, group, Prepositional(lex.PLACE_PREPOSITION[word], phrase))
    else:
        group.objects.append(phrase)


def _place(clause: Clause, group: VerbGroup, item: Item) -> None:
    if isinstance(item, Prepositional):
        if not item.phrase.article and not item.phrase.is_pronoun:
            set_article(item.phrase, prepositional_role(item))
        group.places.append(f"{item.preposition} {noun_phrase(item.phrase, 'object')}")
    elif isinstance(item, Token):
        timed = item.is_a("number") and (group.verb.word in lex.INTRANSITIVE or group.verb.word in lex.SCHEDULED)
        group.places.append(f"at {item.word}" if timed else item.word)
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
    if clause.verbs or clause.subject is None:
        return
    counted = [item for item in clause.complement if isinstance(item, NounPhrase) and item.number]
    owned = len(counted) == len(clause.complement) == 1 and counted[0].head.word not in lex.MEASURES
    if (clause.wh == "how many" and clause.wh_noun) or owned:
        clause.copula = False
        clause.verbs = [VerbGroup(Token("HAVE", "have", "verb"), counted)]
        clause.complement = []


def read_yes_no(clause: Clause) -> None:
    """Ask when the brows asked (``Q``), when YOU is repeated last, or when only the addressee can know (YOU HUNGRY)."""
    subject = clause.subject
    choice = any(isinstance(item, Token) and " or " in item.word for item in clause.complement)
    if choice and subject is not None and (subject.head.person == "you" or subject.possessor == "your"):
        clause.question = True
    if clause.question or subject is None or subject.head.person != "you" or clause.link or clause.please:
        return
    if clause.negation or clause.modal or clause.time_tense == "habit" or clause.imperative:
        return
    if clause.time_tense == "future" and len(clause.verbs) < 2:
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


def keep_doing(clause: Clause) -> None:
    """A verb signed again and again keeps happening."""
    first = clause.verbs[0] if clause.verbs else None
    if first and first.verb.repeats > 1 and first.verb.word not in lex.STATES:
        first.link = "ing"
        clause.verbs.insert(0, VerbGroup(Token("KEEP", "keep", "verb")))
