"""What a plan does not allow: lists of glosses, large uploads, languages."""

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


def languages_left_out(plan: Plan, targets: Iterable[str]) -> list[str]:
    """Languages that the plan does not translate to."""
    return [target for target in targets if target not in plan.languages]


def reading_with(vocabulary: object, size: int = 0) -> partial[None]:
    """A check for `Credits.reserve`."""
    return partial(_check, vocabulary=vocabulary, size=size)


def _check(account: Account, vocabulary: object, size: int) -> None:
    check_upload(account.plan, size)
    check_vocabulary(account.plan, vocabulary)
