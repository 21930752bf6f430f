"""What a plan does not allow: lists of glosses, large uploads, languages, a voice. Every door asks here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from app.core.errors import PlanLimit, UploadTooLarge
from app.services.billing.ledger import Account
from app.services.billing.plans import Plan

_MIB = 1 << 20


def check_vocabulary(plan: Plan, vocabulary: object) -> None:
    """vocabulary: as a client asks for it, a name, a list of glosses or None. Raises PlanLimit."""
    if plan.vocabularies == "named" and not (vocabulary is None or isinstance(vocabulary, str)):
        raise PlanLimit(
            f"The plan {plan.title} reads with the vocabularies of the recogniser, by name, not with lists of glosses. "
            "GET /api/billing/plans lists the plans.",
            limit="vocabularies",
        )


def check_upload(plan: Plan, size: int) -> None:
    """size: of a body, in bytes. Raises UploadTooLarge."""
    if size > plan.upload_mb * _MIB:
        raise UploadTooLarge(
            f"The body is larger than {plan.upload_mb:g} MiB, the limit of the plan {plan.title}. Send a shorter or "
            "smaller video, or choose a larger plan (GET /api/billing/plans).",
            headers={"Connection": "close"},
        )


def languages(plan: Plan, targets: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the languages that captions are asked in: those that the plan has, and those that it leaves out. Raises
    PlanLimit where it leaves out all of them."""
    asked = tuple(targets)
    left_out = tuple(target for target in asked if target not in plan.languages)
    if asked and len(left_out) == len(asked):
        raise PlanLimit(
            f"The plan {plan.title} has captions in {', '.join(plan.languages) or 'no language'}, not in "
            f"{', '.join(left_out)}. GET /api/billing/plans lists the plans.",
            limit="languages",
            missing=list(left_out),
        )
    return tuple(target for target in asked if target not in left_out), left_out


def check_voice(plan: Plan) -> None:
    """Before captions are read aloud. Raises PlanLimit."""
    if not plan.voice:
        raise PlanLimit(f"The plan {plan.title} has no voice. GET /api/billing/plans lists the plans.", limit="voice")


def reading_with(vocabulary: object, size: int = 0, targets: Iterable[str] = (), voice: bool = False) -> partial[None]:
    """A check for `Credits.reserve`. targets: languages of the captions, where the client may choose them. voice:
    whether they are read aloud."""
    return partial(_check, vocabulary=vocabulary, size=size, targets=targets, voice=voice)


def speaking(languages_used: Iterable[str], voice: bool = False, size: int = 0) -> partial[None]:
    """A check for `Credits.reserve`. languages_used: all must be in the plan. voice: whether text is read aloud."""
    return partial(_check_speech, used=tuple(languages_used), voice=voice, size=size)


def _check_speech(account: Account, used: tuple[str, ...], voice: bool, size: int) -> None:
    check_upload(account.plan, size)
    for language in used:
        languages(account.plan, [language])
    if voice:
        check_voice(account.plan)


def _check(account: Account, vocabulary: object, size: int, targets: Iterable[str], voice: bool) -> None:
    check_upload(account.plan, size)
    check_vocabulary(account.plan, vocabulary)
    languages(account.plan, targets)
    if voice:
        check_voice(account.plan)
