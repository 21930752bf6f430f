"""What people do with their accounts: register, sign in and out, passwords, the second factor."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from loguru import logger
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.core.principal import Principal, Role
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.accounts import PasswordReset, RefreshToken, User
from app.services.accounts import repository, second_factor
from app.services.accounts.emails import normalised
from app.services.accounts.mail import Mailer
from app.services.accounts.passwords import Passwords, check_strength
from app.services.accounts.rate_limits import RateLimits
from app.services.accounts.secret import CannotOpen, Secret
from app.services.accounts.tokens import Token, Tokens

#: How long a sign-in at the admin's pages lasts.
ADMIN_S = 1800
#: Seconds between two removals of rows that have expired.
CLEAN_S = 600.0
#: What other parts of the service do at the end of an account.
Closing = Callable[[AsyncSession, UUID], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SignIn:
    """What somebody who has signed in gets."""

    user: User
    access_token: str
    refresh_token: str
    expires_in_s: int
    """Of the access token."""


class Accounts:
    """One per application. Methods raise DatabaseUnavailable beside what they name."""

    def __init__(self, settings: Settings, database: Database, secret: Secret, limits: RateLimits) -> None:
        self._settings, self._database, self._secret, self._limits = settings, database, secret, limits
        self._tokens = Tokens(secret.key("tokens"))
        self._passwords = Passwords()
        self._mailer = Mailer(settings)
        self._cleaner = asyncio.create_task(self._clean(), name="accounts-cleaner")

    async def close(self) -> None:
        self._cleaner.cancel()
        await asyncio.gather(self._cleaner, return_exceptions=True)
        await self._mailer.close()
        await asyncio.to_thread(self._passwords.close)

    @property
    def by_mail(self) -> bool:
        """Whether links of password resets are mailed; else they are written to the log."""
        return self._mailer.by_mail

    # -- coming and going ---------------------------------------------------------------------------------------------

    async def register(self, email: str, password: str) -> SignIn:
        """Raises InvalidEmail, WeakPassword, EmailTaken, Forbidden, Busy."""
        if not self._settings.registration:
            raise errors.Forbidden("People cannot register at this service. Ask its operator for an account.")
        user = await self.create(email, password, "user")
        async with self._database.session() as session:
            return await self._signed_in(session, user)

    async def create(self, email: str, password: str, role: Role) -> User:
        """A new account. Raises InvalidEmail, WeakPassword, EmailTaken, Busy."""
        address = normalised(email)
        check_strength(password, address)
        hashed = await self._passwords.hash(password)
        async with self._database.session() as session:
            user = await repository.add_user(session, address, hashed, role)
        if user is None:
            raise errors.EmailTaken
        logger.info("account {} was made, with the role {}", user.id, role)
        return user

    async def sign_in(self, email: str, password: str, code: str | None) -> SignIn:
        """The answer and its time are the same for an address without an account. Raises BadCredentials,
        SecondFactorRequired, TooManyRequests, Busy."""
        async with self._proven(email, password, code) as (session, user):
            return await self._signed_in(session, user)

    async def sign_in_at_admin(self, email: str, password: str, code: str | None) -> str:
        """A token for the admin's pages, valid for ADMIN_S. Raises as `sign_in` does, and Forbidden for accounts that
        are not an admin's."""
        async with self._proven(email, password, code) as (_, user):
            allowed, token = user.role == "admin", Token(uuid4(), user.id, user.sign_ins_from)
        if not allowed:
            raise errors.Forbidden("These pages are for admins. An admin can change the role of an account.")
        logger.bind(event="admin_sign_in", admin=str(token.user_id)).info("admin {} signed in", token.user_id)
        return self._tokens.make("admin", token, ADMIN_S)

    async def admin_of(self, text: str) -> tuple[User, UUID]:
        """Whose token for the admin's pages this is, and its id. Raises Unauthenticated, for somebody who is not an
        admin any more too."""
        token = self._tokens.read("admin", text)
        user = await self._user_of(token)
        if user.role != "admin":
            raise errors.Unauthenticated("This account is not an admin's any more.")
        return user, token.id

    def form_token(self, sign_in: UUID) -> str:
        """What the forms of the admin's pages send along, so that no other page can: it belongs to one sign-in."""
        return self._secret.digest("admin-forms", str(sign_in)).hex()

    @contextlib.asynccontextmanager
    async def _proven(self, email: str, password: str, code: str | None) -> AsyncIterator[tuple[AsyncSession, User]]:
        """The account, locked, whose password and code these are. Raises as `sign_in` does."""
        address = await self._attempted("sign-in", email)
        async with self._database.session() as session:
            user = await repository.user_by_email(session, address)
        matches, better = await self._passwords.matches(password, None if user is None else user.password_hash)
        if user is None or not matches or user.disabled_at is not None:
            raise errors.BadCredentials
        async with self._database.session() as session:
            now = await repository.user(session, user.id, lock=True)
            if now is None or now.password_hash != user.password_hash or now.disabled_at is not None:
                raise errors.BadCredentials  # changed meanwhile
            if now.totp_on:
                self._check_code(now, code)
            if better is not None:
                now.password_hash = better
            yield session, now

    async def refresh(self, text: str, grace_s: float = 0.0) -> SignIn:
        """The next pair of tokens. Raises Unauthenticated; with a token that was used before, its whole family is
        revoked, because one of the two who have it has stolen it. A token that was used less than `grace_s` seconds
        ago gets another pair, and the one given out before is used up then: of two who have the token only one can go
        on, and when the other tries, the family is revoked."""
        token = self._tokens.read("refresh", text)
        async with self._database.session() as session:
            user = await repository.user(session, token.user_id, lock=True)
            row = await repository.refresh_token(session, token.id)
            good = row is not None and user is not None and row.revoked_at is None
            stolen = row is not None and good and row.used_at is not None
            if row is not None and row.used_at is not None and grace_s > 0:
                stolen = good and await repository.seconds_since(session, row.used_at) >= grace_s
            if row is not None and stolen:
                await repository.revoke_refresh_tokens(session, row.user_id, row.family)
            elif row is not None and user is not None and good and user.disabled_at is None:
                if row.used_at is None:
                    row.used_at = func.now()
                else:
                    await repository.use_up(session, row.family)
                return await self._signed_in(session, user, row.family)
        if stolen:
            logger.warning("a refresh token of account {} was used twice; that sign-in is revoked", token.user_id)
        raise errors.Unauthenticated("This refresh token is not valid any more. Sign in again.")

    async def sign_out(self, text: str) -> None:
        """End the sign-in that this refresh token belongs to; nothing happens where it has ended. Raises
        Unauthenticated for what was never a refresh token of this service."""
        token = self._tokens.read("refresh", text)
        async with self._database.session() as session:
            await repository.user(session, token.user_id, lock=True)
            row = await repository.refresh_token(session, token.id)
            if row is not None:
                await repository.revoke_refresh_tokens(session, row.user_id, row.family)

    async def sign_out_everywhere(self, user_id: UUID) -> None:
        """All tokens of the account are void from now on; API keys stay. Raises Unauthenticated."""
        async with self._database.session() as session:
            await self._end_sign_ins(session, await self._mine(session, user_id))

    async def user_of(self, access_token: str) -> User:
        """Whose access token this is. Raises Unauthenticated."""
        return await self._user_of(self._tokens.read("access", access_token))

    async def _user_of(self, token: Token) -> User:
        """Raises Unauthenticated."""
        async with self._database.session() as session:
            user = await repository.user(session, token.user_id)
        if user is None or user.disabled_at is not None or token.number < user.sign_ins_from:
            raise errors.Unauthenticated("This sign-in is not valid any more. Sign in again.")
        return user

    async def check_standing(self, user_id: UUID, key_id: UUID | None, number: int) -> None:
        """Raises Unauthenticated: the account is gone or disabled, the key is not valid any more, or without a key the
        account has signed out everywhere since `number`."""
        async with self._database.session() as session:
            user = await repository.user(session, user_id)
            valid = key_id is None or await repository.is_valid_key(session, key_id)
        signed_out = user is not None and key_id is None and number < user.sign_ins_from
        if user is None or user.disabled_at is not None or not valid or signed_out:
            raise errors.Unauthenticated("The sign-in or key that this session began with is not valid any more.")

    async def get(self, user_id: UUID) -> User:
        """Raises Unauthenticated where the account is gone."""
        async with self._database.session() as session:
            return await self._mine(session, user_id)

    # -- passwords ----------------------------------------------------------------------------------------------------

    async def change_password(self, user_id: UUID, old: str, new: str) -> SignIn:
        """All other sign-ins end. Raises BadCredentials, WeakPassword, Unauthenticated,
        TooManyRequests, Busy."""
        await self._limits.sign_in(f"user/{user_id}")
        user = await self.get(user_id)
        matches, _ = await self._passwords.matches(old, user.password_hash)
        if not matches:
            raise errors.BadCredentials("The old password is wrong. Nothing was changed.")
        check_strength(new, user.email)
        hashed = await self._passwords.hash(new)
        async with self._database.session() as session:
            now = await self._mine(session, user_id)
            if now.password_hash != user.password_hash:
                raise errors.BadCredentials("The password was changed meanwhile. Nothing was changed.")
            now.password_hash = hashed
            await self._end_sign_ins(session, now)
            return await self._signed_in(session, now)

    async def request_reset(self, email: str) -> None:
        """Send a link, if the address has an account; whether it has is not told, nor by the time this takes. Raises
        TooManyRequests."""
        address = await self._attempted("reset", email)
        token = secrets.token_urlsafe(32)
        async with self._database.session() as session:
            user = await repository.user_by_email(session, address, lock=True)
            if user is not None and user.disabled_at is None:
                lifetime = timedelta(minutes=self._settings.password_reset_minutes)
                session.add(
                    PasswordReset(
                        digest=self._secret.digest("reset", token), user_id=user.id, expires_at=func.now() + lifetime
                    )
                )
        if user is not None and user.disabled_at is None:
            self._mailer.reset(user.email, token)

    async def reset_password(self, token: str, new: str) -> None:
        """Set the password with a link, which works once; all sign-ins end. Raises InvalidResetLink, WeakPassword,
        Busy."""
        check_strength(new, "")  # before the link is used up
        hashed = await self._passwords.hash(new)
        async with self._database.session() as session:
            user = await repository.take_reset(session, self._secret.digest("reset", token))
            if user is None or user.disabled_at is not None:
                raise errors.InvalidResetLink
            check_strength(new, user.email)
            user.password_hash = hashed
            await self._end_sign_ins(session, user)

    # -- the second factor --------------------------------------------------------------------------------------------

    async def begin_second_factor(self, user_id: UUID) -> tuple[str, str]:
        """A new secret and its otpauth:// address; it counts once a code has shown that an authenticator has it.
        Raises Forbidden where it is on."""
        async with self._database.session() as session:
            user = await self._mine(session, user_id)
            if user.totp_on:
                raise errors.Forbidden("The second factor is on. Turn it off before you set it up again.")
            secret = second_factor.new_secret()
            user.totp_secret, user.totp_step = self._secret.seal("totp", secret, str(user_id)), None
            return secret, second_factor.address(secret, user.email)

    async def turn_on_second_factor(self, user_id: UUID, code: str) -> None:
        """Raises InvalidCode, TooManyRequests."""
        await self._limits.sign_in(f"user/{user_id}")
        async with self._database.session() as session:
            user = await self._mine(session, user_id)
            if user.totp_secret is None:
                raise errors.InvalidCode("No second factor is being set up. Begin with POST /api/auth/second-factor.")
            step = second_factor.step_of(self._totp_secret(user), code, user.totp_step)
            if step is None:
                raise errors.InvalidCode
            user.totp_on, user.totp_step = True, step

    async def turn_off_second_factor(self, user_id: UUID, password: str) -> None:
        """Raises BadCredentials, TooManyRequests, Busy."""
        await self._limits.sign_in(f"user/{user_id}")
        user = await self.get(user_id)
        matches, _ = await self._passwords.matches(password, user.password_hash)
        if not matches:
            raise errors.BadCredentials("The password is wrong. Nothing was changed.")
        async with self._database.session() as session:
            now = await self._mine(session, user_id)
            now.totp_on, now.totp_secret, now.totp_step = False, None, None

    # -- the end of an account ----------------------------------------------------------------------------------------

    async def remove(self, user_id: UUID, password: str, first: Closing) -> None:
        """Delete the account with all that belongs to it; the ledger keeps its entries, without the account. first: has
        to happen before, in the same transaction. Raises BadCredentials, TooManyRequests, Busy, what `first` raises,
        and Forbidden where no admin would be left."""
        await self._limits.sign_in(f"user/{user_id}")
        user = await self.get(user_id)
        matches, _ = await self._passwords.matches(password, user.password_hash)
        if not matches:
            raise errors.BadCredentials("The password is wrong. The account was not deleted.")

        async def work(session: AsyncSession) -> None:
            await first(session, user_id)
            admins = await repository.number_of_admins(session)
            now = await self._mine(session, user_id)
            if now.role == "admin" and admins == 1:
                raise errors.Forbidden("This is the only admin. Make somebody else an admin first.")
            await session.delete(now)

        await self._database.repeated(work)
        logger.info("account {} was deleted by its owner", user_id)

    def _check_code(self, user: User, code: str | None) -> None:
        """Note the code as used. Raises SecondFactorRequired, BadCredentials."""
        if code is None:
            raise errors.SecondFactorRequired
        step = second_factor.step_of(self._totp_secret(user), code, user.totp_step)
        if step is None:
            raise errors.BadCredentials("The code is wrong or was used before. Send the newest one.")
        user.totp_step = step

    def _totp_secret(self, user: User) -> str:
        """Raises BadCredentials where it cannot be read any more."""
        try:
            return self._secret.open("totp", user.totp_secret or "", str(user.id))
        except CannotOpen:
            logger.error(
                "the second factor of account {} cannot be read, because AUTH_SECRET has changed. Set the old one, or "
                "turn it off with: python -m app admin second-factor-off",
                user.id,
            )
            raise errors.BadCredentials(
                "The second factor of this account cannot be checked any more. Ask the operator to turn it off."
            ) from None

    # -- of admins ----------------------------------------------------------------------------------------------------

    async def page(self, limit: int, offset: int, email: str | None) -> tuple[Sequence[User], int]:
        """Accounts, newest first, and how many there are."""
        async with self._database.session() as session:
            return await repository.users(session, limit, offset, email)

    async def change(
        self,
        user_id: UUID,
        role: Role | None,
        disabled: bool | None,
        reason: str | None = None,
        actor: UUID | None = None,
    ) -> User:
        """Raises NotFound; Forbidden where no admin would be left. actor: the admin; None: a command."""
        async with self._database.session() as session:
            admins = await repository.number_of_admins(session)
            user = await repository.user(session, user_id, lock=True)
            if user is None:
                raise errors.NotFound("There is no account with this id.")
            was_admin = user.role == "admin" and user.disabled_at is None
            if role is not None:
                user.role = role
            if disabled is not None:
                user.disabled_at = (user.disabled_at or _now()) if disabled else None
            if was_admin and admins == 1 and (user.role != "admin" or user.disabled_at is not None):
                raise errors.Forbidden("This is the only admin. Make somebody else an admin first.")
            if disabled:
                await self._end_sign_ins(session, user)
        line = logger.bind(
            event="admin_action", action="account", admin=str(actor or ""), user=str(user_id), reason=reason or ""
        )
        state = "disabled" if user.disabled_at is not None else "enabled"
        said = actor or "(a command)", user_id, user.role, state, reason or "none"
        line.info("admin {} changed account {}: role {}, {}; reason: {}", *said)
        return user

    async def drop_second_factor(self, user_id: UUID) -> None:
        """For somebody who has lost the authenticator. All sign-ins end. Raises Unauthenticated."""
        async with self._database.session() as session:
            user = await self._mine(session, user_id)
            user.totp_on, user.totp_secret, user.totp_step = False, None, None
            await self._end_sign_ins(session, user)
        line = logger.bind(event="admin_action", action="second factor off", admin="", user=str(user_id), reason="")
        line.info("the second factor of account {} was turned off by a command", user_id)

    async def by_email(self, email: str) -> User | None:
        """Raises InvalidEmail."""
        async with self._database.session() as session:
            return await repository.user_by_email(session, normalised(email))

    # -----------------------------------------------------------------------------------------------------------------

    async def _attempted(self, what: str, email: str) -> str:
        """The spelling under which this address has its account, if it has one; "" for what is no address. The attempt
        is counted. Raises TooManyRequests."""
        try:
            address = normalised(email)
        except errors.InvalidEmail:
            return ""
        await self._limits.sign_in(f"{what}/{self._secret.digest('limit', address).hex()}")
        return address

    async def _signed_in(self, session: AsyncSession, user: User, family: UUID | None = None) -> SignIn:
        """Tokens for this account; family: of the sign-in that goes on."""
        access_s = self._settings.access_token_minutes * 60
        refresh_s = self._settings.refresh_token_days * 86400
        row = RefreshToken(
            id=uuid4(), user_id=user.id, family=family or uuid4(), expires_at=func.now() + timedelta(seconds=refresh_s)
        )
        session.add(row)
        await session.flush()
        return SignIn(
            user=user,
            access_token=self._tokens.make("access", Token(uuid4(), user.id, user.sign_ins_from), access_s),
            refresh_token=self._tokens.make("refresh", Token(row.id, user.id, user.sign_ins_from), refresh_s),
            expires_in_s=int(access_s),
        )

    async def _end_sign_ins(self, session: AsyncSession, user: User) -> None:
        user.sign_ins_from += 1
        await repository.revoke_refresh_tokens(session, user.id)

    async def _mine(self, session: AsyncSession, user_id: UUID) -> User:
        """Locked. Raises Unauthenticated."""
        user = await repository.user(session, user_id, lock=True)
        if user is None or user.disabled_at is not None:
            raise errors.Unauthenticated("The account is gone. Sign in with another.")
        return user

    async def _seal_second_factors(self, session: AsyncSession) -> None:
        """Encrypt those that an earlier version has written as they were."""
        for user in await repository.with_plain_second_factor(session):
            assert user.totp_secret is not None
            user.totp_secret = self._secret.seal("totp", user.totp_secret, str(user.id))

    async def _clean(self) -> None:
        while True:
            with contextlib.suppress(errors.DatabaseUnavailable):
                async with self._database.session() as session:
                    await self._seal_second_factors(session)
                async with self._database.session() as session:
                    await repository.remove_expired(session)
            await asyncio.sleep(CLEAN_S)


def user_id_of(principal: Principal) -> UUID:
    """The account of somebody who has signed in. Raises Unauthenticated for anonymous ones."""
    if principal.user_id is None:
        raise errors.Unauthenticated("This belongs to an account. Sign in, or send an API key.")
    return principal.user_id


def _now() -> datetime:
    return datetime.now(UTC)
