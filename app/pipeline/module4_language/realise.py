"""The surface: word forms, auxiliaries, question order, punctuation and capitals."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Clause, Draft, NounPhrase, Prepositional, VerbGroup
from app.pipeline.module4_language.inflection import inflected, with_article

_NEGATED = {"will": "won't", "can": "can't", "may": "may not", "might": "might not", "am": "am not"}
_PLAIN_NOT = frozenset({"am", "is", "are"})


def noun_phrase(phrase: NounPhrase, case: str = "subject") -> str:
    """The words of a noun phrase; ``case`` is "subject" or "object" and matters for pronouns."""
    texts = [_one_phrase(phrase, case), *(_one_phrase(other, case) for other in phrase.others)]
    if phrase.article == "the" and all(other.article == "the" for other in phrase.others):
        texts[1:] = [text.removeprefix("the ") for text in texts[1:]]
    if phrase.possessor and all(not other.possessor for other in phrase.others):
        texts[1:] = [text.lower() for text in texts[1:]]
    if len(texts) == 1:
        return texts[0]
    return f"{', '.join(texts[:-1])} {phrase.joiner} {texts[-1]}"


def _one_phrase(phrase: NounPhrase, case: str) -> str:
    head = phrase.head
    if head.is_a("pronoun"):
        forms = lex.PRONOUNS[head.person]
        return forms.object if case == "object" else forms.subject
    noun = inflected(head.word, "NNS") if phrase.plural else head.word
    bare = not (phrase.possessor or phrase.number or phrase.adjectives or phrase.article or phrase.demonstrative)
    if head.word in lex.ADDRESSES and bare:
        noun = noun.capitalize()
    words = [phrase.possessor or phrase.demonstrative, phrase.number, *phrase.adjectives, noun]
    text = " ".join(word for word in words if word)
    if phrase.article == "a":
        return with_article(text)
    return f"{phrase.article} {text}" if phrase.article else text


@dataclass(frozen=True, slots=True)
class _Agreement:
    plural_verb: bool
    be: str
    be_past: str


def _agreement(subject: NounPhrase | None) -> _Agreement:
    if subject is None:
        return _Agreement(False, "is", "was")
    if subject.is_pronoun and not subject.others:
        forms = lex.PRONOUNS[subject.head.person]
        return _Agreement(forms.plural_verb, forms.be, "were" if forms.be == "are" else "was")
    if subject.plural or (subject.others and subject.joiner == "and"):
        return _Agreement(True, "are", "were")
    return _Agreement(False, "is", "was")


def _verb_complex(clause: Clause, verb: str, needs_auxiliary: bool) -> tuple[str, str]:
    """(auxiliary, rest) of the finite verb; the auxiliary is empty where English needs none."""
    agreement = _agreement(clause.subject or clause.wh_noun)
    if clause.negation == "not yet":
        return ("have" if agreement.plural_verb else "has"), inflected(verb, "VBN")
    if clause.modal:
        if clause.perfect:
            return clause.modal, f"have {inflected(verb, 'VBN')}"
        return clause.modal, verb
    if clause.perfect:
        have = "had" if clause.tense == "past" and clause.times == [] else ("have" if agreement.plural_verb else "has")
        if clause.tense == "past":
            return ("did", verb) if needs_auxiliary else ("", inflected(verb, "VBD"))
        return have, inflected(verb, "VBN")
    if verb == "be":
        return (agreement.be_past if clause.tense == "past" else agreement.be), ""
    if clause.progressive:
        return (agreement.be_past if clause.tense == "past" else agreement.be), inflected(verb, "VBG")
    if needs_auxiliary:
        if clause.tense == "past":
            return "did", verb
        return ("do" if agreement.plural_verb else "does"), verb
    if clause.tense == "past":
        return "", inflected(verb, "VBD")
    return "", verb if agreement.plural_verb else inflected(verb, "VBZ")


def _negated(auxiliary: str) -> str:
    if auxiliary in _PLAIN_NOT:
        return f"{auxiliary} not"
    return _NEGATED.get(auxiliary, f"{auxiliary}n't")


def clause_text(clause: Clause) -> str:
    """The clause in words, without its first capital and its end mark."""
    if clause.fixed:
        return clause.fixed
    parts: list[str] = []
    if clause.gerund and clause.verbs:
        head = clause.verbs[0]
        parts = [inflected(head.verb.word, "VBG"), _group_rest(head), _further(clause, 1)]
    elif clause.verbs or clause.copula:
        parts = _finite(clause)
    else:
        parts = _fragment(clause)
    text = " ".join(part for part in parts if part)
    return text


def _fragment(clause: Clause) -> list[str]:
    wh_first = clause.wh in ("what", "which", "how many", "how much")
    words = [_complement_text(clause, item) for item in clause.complement]
    noun = noun_phrase(clause.wh_noun) if clause.wh_noun else ""
    subject = noun_phrase(clause.subject) if clause.subject else ""
    lead = [clause.wh] if wh_first or clause.wh else []
    negative = "not" if clause.negation in ("not", "none") else clause.negation
    if clause.modal and negative == "not":
        negative, modal = "", _negated(clause.modal)
    else:
        modal = clause.modal
    return [*lead, noun, negative, subject, *words, modal, clause.frequency, *clause.adverbs, *clause.times]


def _finite(clause: Clause) -> list[str]:
    wh_subject = clause.subject is None and bool(clause.wh)
    inverted = clause.question and clause.subject is not None
    verb = "be" if clause.copula else clause.verbs[0].verb.word
    tail = _tail(clause)
    subject = noun_phrase(clause.subject) if clause.subject else ""
    wh = clause.wh
    if clause.wh_noun:
        wh = f"{wh} {noun_phrase(clause.wh_noun)}"
    if clause.imperative:
        start = "don't" if clause.negation == "not" else ("never" if clause.negation == "never" else "")
        return ["please" if clause.please else "", start, clause.frequency, verb, *tail, *clause.times]
    never = clause.negation == "never"
    negated = clause.negation in ("not", "not yet")
    auxiliary, main = _verb_complex(clause, verb, needs_auxiliary=inverted or negated)
    if verb == "be" and clause.modal:
        auxiliary, main = clause.modal, "be"
    if negated:
        auxiliary = _negated(auxiliary)
    frequency = f"never {clause.frequency}".strip() if never else clause.frequency
    if inverted:
        words = [wh, auxiliary, subject, frequency, main, *tail]
        if negated and auxiliary.endswith(" not"):
            words = [wh, auxiliary.removesuffix(" not"), subject, "not", frequency, main, *tail]
    elif wh_subject:
        words = [wh, auxiliary, frequency, main, *tail]
    elif auxiliary:
        words = [wh, subject, auxiliary, frequency, main, *tail]
    else:
        words = [wh, subject, frequency, main, *tail]
    if not clause.question and clause.link != "then":
        return [*clause.times[: clause.times_first], *words, *clause.times[clause.times_first :]]
    return [*words, *clause.times]


def _tail(clause: Clause) -> list[str]:
    parts: list[str] = []
    start = 0
    if clause.copula:
        parts += [_complement_text(clause, item) for item in clause.complement]
    elif clause.verbs:
        parts.append(_group_rest(clause.verbs[0]))
        start = 1
    parts.append(_further(clause, start))
    parts += clause.adverbs
    if clause.negation == "not yet":
        parts.append("yet")
    return parts


def _further(clause: Clause, start: int) -> str:
    words: list[str] = []
    for group in clause.verbs[start:]:
        verb = group.verb.word
        match group.link:
            case "to":
                words.append(f"to {verb}")
            case "ing":
                words.append(inflected(verb, "VBG"))
            case "and":
                words.append(f"and {_parallel(clause, verb)}")
            case _:
                words.append(verb)
        words.append(_group_rest(group))
    return " ".join(word for word in words if word)


def _parallel(clause: Clause, verb: str) -> str:
    """A second verb in the form the first one has."""
    if clause.gerund or clause.progressive:
        return inflected(verb, "VBG")
    if clause.modal or clause.imperative or clause.question or clause.negation in ("not", "not yet"):
        return verb
    if clause.perfect:
        return inflected(verb, "VBN")
    return _verb_complex(clause, verb, needs_auxiliary=False)[1]


def _group_rest(group: VerbGroup) -> str:
    words = []
    for phrase in group.objects:
        preposition = lex.VERB_PREPOSITION.get(group.verb.word, "")
        preposition = lex.NOUN_PREPOSITION.get(phrase.head.word, preposition) if preposition else ""
        text = noun_phrase(phrase, "object")
        named = phrase.head.is_a("pronoun", "name") or lex.among(phrase.head.word, lex.PERSONS)
        if group.verb.word == "play" and not named:
            words.append(text)
            continue
        words.append(f"{preposition} {text}" if preposition else text)
    return " ".join([*words, *group.places])


def _complement_text(clause: Clause, item: object) -> str:
    if isinstance(item, NounPhrase):
        return noun_phrase(item)
    if isinstance(item, Prepositional):
        return f"{item.preposition} {noun_phrase(item.phrase, 'object')}"
    return str(getattr(item, "word", ""))


def write_sentences(draft: Draft) -> None:
    """Join clauses to sentences, with commas after openers, capitals at the start, and the end mark they ask for."""
    sentences: list[str] = []
    open_text, asked = "", False
    for i, clause in enumerate(draft.clauses):
        text = _with_openers(clause)
        following = draft.clauses[i + 1] if i + 1 < len(draft.clauses) else None
        if clause.link == "if":
            text = f"if {text}"
        elif clause.link in ("and", "but", "so", "or", "because") and (open_text or sentences):
            text = f"{clause.link} {text}"
        if not text:
            continue
        open_text = f"{open_text} {text}".strip()
        asked = asked or clause.question
        if following is not None and following.link == "content":
            continue
        if following is not None and following.link == "then":
            open_text += ","
            continue
        if following is not None and following.link in ("because", "and", "but", "so", "or"):
            open_text += "" if following.link == "because" else ","
            continue
        end = clause.end or ("?" if asked else ".")
        sentences.append(finish_sentence(open_text, end))
        open_text, asked = "", False
    if open_text:
        sentences.append(finish_sentence(open_text, "."))
    draft.text = " ".join(sentence for sentence in sentences if sentence)


def finish_sentence(text: str, end: str) -> str:
    """Capital first letter, no stray space or punctuation, one end mark."""
    text = re.sub(r"\s+", " ", text).strip(" ,-'")
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else end)


def _with_openers(clause: Clause) -> str:
    text = clause_text(clause)
    if clause.gerund:
        return " ".join([*clause.openers, text])
    if clause.please and text and not clause.imperative:
        text += ", please"
    elif clause.please and not text:
        text = "please"
    if clause.closer:
        text += f", {clause.closer}"
    parts = list(clause.openers)
    if text:
        parts.append(text)
    if clause.vocative:
        parts.append(clause.vocative)
    return ", ".join(parts)
