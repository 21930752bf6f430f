"""Signing in and out, passwords, the second factor, tickets for sockets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api import sign_in_cookie
from app.api.access import CurrentPrincipal, SignedInId
from app.api.dependencies import ServicesDep, client_address
from app.api.problems import responses
from app.api.schemas import accounts as schemas
from app.core import errors
from app.core.network import address_key
from app.services.accounts import second_factor
from app.services.accounts.keys import Keys
from app.services.accounts.service import Accounts, SignIn

router = APIRouter(prefix="/api/auth", tags=["accounts"])

_ALWAYS = (errors.InvalidRequest, errors.NotFound, errors.NotReady, errors.DatabaseUnavailable, errors.UploadTooLarge)
_PASSWORDS = (*_ALWAYS, errors.TooManyRequests, errors.Busy)


def _accounts(services: ServicesDep) -> Accounts:
    """Raises NotFound where there is no database."""
    if services.accounts is None:
        raise errors.NotFound(NO_ACCOUNTS)
    return services.accounts


def _keys(services: ServicesDep) -> Keys:
    """Raises NotFound where there is no database."""
    if services.keys is None:
        raise errors.NotFound(NO_ACCOUNTS)
    return services.keys


NO_ACCOUNTS = "This service keeps no accounts, because it has no database. Set DATABASE_URL or AUTH_MODE=required."
AccountsDep = Annotated[Accounts, Depends(_accounts)]
KeysDep = Annotated[Keys, Depends(_keys)]


async def _attempt(request: Request, services: ServicesDep) -> None:
    """Count an attempt of this address. Raises TooManyRequests."""
    await services.rate_limits.sign_in(f"address/{address_key(client_address(request.scope) or '')}")


async def _count(request: Request, services: ServicesDep) -> None:
    """Count a request of this address. Raises TooManyRequests."""
    await services.rate_limits.request(f"address/{address_key(client_address(request.scope) or '')}")


_attempts, _counted = Depends(_attempt), Depends(_count)


class _Pages:
    """Hands out tokens: to pages that ask for it, the refresh token in a cookie."""

    def __init__(self, request: Request, response: Response, services: ServicesDep) -> None:
        self._request, self._response = request, response
        self._days = services.settings.refresh_token_days

    def check(self, body: schemas.WithCookie) -> None:
        """Before anything is done. Raises Forbidden for a cookie that is not for a page of this service."""
        if body.cookie:
            sign_in_cookie.check(self._request)

    def refresh_token(self, body: schemas.RefreshRequest) -> str:
        """Raises Forbidden, Unauthenticated, InvalidRequest."""
        if body.cookie:
            return sign_in_cookie.read(self._request)
        if body.refresh_token is None:
            raise errors.InvalidRequest("refresh_token: send it, or 'cookie': true from a page of this service.")
        return body.refresh_token

    def answer(self, body: schemas.WithCookie, found: SignIn) -> schemas.SignedIn:
        if body.cookie:
            sign_in_cookie.put(self._request, self._response, found.refresh_token, self._days)
        return schemas.SignedIn.of(found, body.cookie)

    def forget(self, body: schemas.RefreshRequest) -> None:
        if body.cookie:
            sign_in_cookie.remove(self._response)


PagesDep = Annotated[_Pages, Depends()]


@router.get("/options", summary="How people sign in here", responses=responses((errors.NotReady,)))
async def options(services: ServicesDep) -> schemas.Options:
    """For everybody: what a page has to know before somebody signs in."""
    settings, accounts = services.settings, services.accounts
    return schemas.Options(
        auth_mode=settings.auth_mode,
        accounts=accounts is not None,
        registration=accounts is not None and settings.registration,
        reset_by="mail" if accounts is not None and accounts.by_mail else "log",
        charging=services.credits.charging,
        payments=services.stripe is not None,
        history_days=settings.history_days,
    )


@router.post(
    "/register",
    status_code=201,
    summary="Make an account",
    responses=responses((*_PASSWORDS, errors.InvalidEmail, errors.WeakPassword, errors.EmailTaken, errors.Forbidden)),
    dependencies=[_attempts],
)
async def register(body: schemas.Registration, accounts: AccountsDep, pages: PagesDep) -> schemas.SignedIn:
    """With the role `user`; signed in at once."""
    pages.check(body)
    return pages.answer(body, await accounts.register(body.email, body.password))


@router.post(
    "/sign-in",
    summary="Sign in",
    responses=responses((*_PASSWORDS, errors.BadCredentials, errors.SecondFactorRequired, errors.Forbidden)),
    dependencies=[_attempts],
)
async def sign_in(body: schemas.SignInRequest, accounts: AccountsDep, pages: PagesDep) -> schemas.SignedIn:
    """The answer is the same for a wrong password and for an address without an account."""
    pages.check(body)
    return pages.answer(body, await accounts.sign_in(body.email, body.password, body.code))


@router.post(
    "/refresh",
    summary="The next pair of tokens",
    responses=responses((*_ALWAYS, errors.Unauthenticated, errors.Forbidden, errors.TooManyRequests)),
    dependencies=[_counted],
)
async def refresh(body: schemas.RefreshRequest, accounts: AccountsDep, pages: PagesDep) -> schemas.SignedIn:
    """Each refresh token works once. A second use means that a copy exists: that sign-in ends, for both. From a page's
    cookie it is accepted again for ten seconds, and what it was exchanged for before is void then."""
    grace_s = sign_in_cookie.GRACE_S if body.cookie else 0.0
    return pages.answer(body, await accounts.refresh(pages.refresh_token(body), grace_s))


@router.post(
    "/sign-out",
    status_code=204,
    summary="Sign out",
    responses=responses((*_ALWAYS, errors.Unauthenticated, errors.Forbidden, errors.TooManyRequests)),
    dependencies=[_counted],
)
async def sign_out(body: schemas.RefreshRequest, accounts: AccountsDep, pages: PagesDep) -> None:
    """Ends the sign-in of this refresh token. Its access token is valid for the minutes that are left of it."""
    await accounts.sign_out(pages.refresh_token(body))
    pages.forget(body)


@router.post("/sign-out-everywhere", status_code=204, summary="Sign out everywhere", responses=responses(_ALWAYS))
async def sign_out_everywhere(user_id: SignedInId, accounts: AccountsDep) -> None:
    """All tokens of the account are void at once. API keys stay; DELETE /api/keys/{key_id} revokes one."""
    await accounts.sign_out_everywhere(user_id)


@router.post(
    "/password",
    summary="Change the password",
    responses=responses((*_PASSWORDS, errors.BadCredentials, errors.WeakPassword)),
    dependencies=[_attempts],
)
async def change_password(
    body: schemas.PasswordChange, user_id: SignedInId, accounts: AccountsDep, pages: PagesDep
) -> schemas.SignedIn:
    """All other sign-ins end."""
    pages.check(body)
    return pages.answer(body, await accounts.change_password(user_id, body.old_password, body.new_password))


@router.post(
    "/password-reset",
    status_code=202,
    summary="Ask for a password reset",
    responses=responses((*_ALWAYS, errors.TooManyRequests)),
    dependencies=[_attempts],
)
async def ask_for_reset(body: schemas.ResetRequest, accounts: AccountsDep) -> schemas.ResetSent:
    """A link that works once is mailed, if the address has an account."""
    await accounts.request_reset(body.email)
    if accounts.by_mail:
        return schemas.ResetSent(by="mail", detail="If this address has an account, a link is on its way to it.")
    return schemas.ResetSent(
        by="log",
        detail="If this address has an account, a link stands in the log of the service, because no mail server is "
        "configured (SMTP_HOST). Ask its operator for it.",
    )


@router.post(
    "/password-reset/confirm",
    status_code=204,
    summary="Set a password with a link",
    responses=responses((*_PASSWORDS, errors.InvalidResetLink, errors.WeakPassword)),
    dependencies=[_attempts],
)
async def reset(body: schemas.Reset, accounts: AccountsDep) -> None:
    """All sign-ins of the account end."""
    await accounts.reset_password(body.token, body.new_password)


@router.post("/second-factor", summary="Set up a second factor", responses=responses((*_ALWAYS, errors.Forbidden)))
async def set_up_second_factor(user_id: SignedInId, accounts: AccountsDep) -> schemas.SecondFactor:
    """Show the address as a QR code; the second factor is on after POST /api/auth/second-factor/on with a code."""
    secret, uri = await accounts.begin_second_factor(user_id)
    return schemas.SecondFactor(secret=secret, uri=uri, qr=second_factor.qr_code(uri))


@router.post(
    "/second-factor/on",
    status_code=204,
    summary="Turn the second factor on",
    responses=responses((*_ALWAYS, errors.TooManyRequests, errors.InvalidCode)),
    dependencies=[_attempts],
)
async def turn_on_second_factor(body: schemas.SecondFactorCode, user_id: SignedInId, accounts: AccountsDep) -> None:
    await accounts.turn_on_second_factor(user_id, body.code)


@router.post(
    "/second-factor/off",
    status_code=204,
    summary="Turn the second factor off",
    responses=responses((*_PASSWORDS, errors.BadCredentials)),
    dependencies=[_attempts],
)
async def turn_off_second_factor(body: schemas.SecondFactorOff, user_id: SignedInId, accounts: AccountsDep) -> None:
    await accounts.turn_off_second_factor(user_id, body.password)


@router.post("/ticket", summary="A ticket for one socket", responses=responses(_ALWAYS))
async def ticket(principal: CurrentPrincipal, keys: KeysDep, services: ServicesDep) -> schemas.Ticket:
    """Browsers cannot send headers when they open a WebSocket: they send a ticket in its address instead."""
    text = await keys.make_ticket(principal)
    return schemas.Ticket(ticket=text, expires_in=services.settings.ticket_seconds)
