"""The connection to PostgreSQL: one engine, sessions that are transactions, one error when it is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg
from loguru import logger
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.core.errors import DatabaseUnavailable
from app.core.settings import Settings, SettingsError
from app.core.tracing import span
from app.db.embedded import EmbeddedError, EmbeddedPostgres
from app.db.migrate import upgrade

#: A server that does not answer for this long is considered unavailable (seconds).
CONNECT_S = 5.0
#: Nor may a statement take longer: a server that hangs would otherwise keep its connections for good (seconds).
STATEMENT_S = 60.0
#: Seconds between attempts to reconnect.
RETRY_S = 3.0
#: How often work is tried that other transactions get in the way of.
ATTEMPTS = 5

T = TypeVar("T")


def async_url(text: str) -> URL:
    """A PostgreSQL address for SQLAlchemy with asyncpg. Raises ValueError, whose message holds no password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("not a valid database URL; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE") from None
    url = url.set(drivername="postgresql+asyncpg")
    if "sslmode" in url.query:  # what libpq calls it
        mode = url.query["sslmode"]
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return url


class Database:
    """PostgreSQL at `url`, or embedded under `folder` where url is None. For one event loop.

    Usable between `open` and `close`; before that and after it was lost, `session` raises DatabaseUnavailable.
    """

    def __init__(self, url: str | None, folder: Path) -> None:
        self._url = async_url(url) if url is not None else None
        self._embedded = EmbeddedPostgres(folder) if url is None else None
        self._engine: AsyncEngine | None = None
        self._closed = False
        self._opening = asyncio.Lock()
        self.problem: str | None = "it is not connected yet"
        """Why it cannot be used; None while it can, as far as is known."""

    @classmethod
    def of(cls, settings: Settings) -> Database:
        """That of the service. Raises SettingsError."""
        url = settings.database_url.get_secret_value() if settings.database_url is not None else None
        try:
            return cls(url, settings.data_dir)
        except ValueError as problem:
            raise SettingsError(f"DATABASE_URL=(hidden): {problem}") from None

    @property
    def where(self) -> str:
        """The server, for log messages, without a password, whether in the URL or in its query."""
        return self._url.set(query={}).render_as_string() if self._url is not None else "embedded"

    @asynccontextmanager
    async def kept_open(self) -> AsyncIterator[asyncio.Task[None]]:
        """Open it in the background, open it again whenever it is lost, and close it at the end of the block.

        Yields the first attempt, which raises DatabaseUnavailable.
        """
        opening = asyncio.create_task(self.open(), name="database-opening")
        keeping = asyncio.create_task(self._keep(), name="database-keeper")
        try:
            yield opening
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, opening, return_exceptions=True)
            await self.close()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RETRY_S)
            if self.problem is not None and not self._opening.locked():
                try:
                    await self.open()
                    logger.info("the database ({}) is available again", self.where)
                except DatabaseUnavailable as problem:
                    logger.debug("the database is still unavailable: {}", problem)

    async def open(self) -> None:
        """Connect and bring the tables up to date; may be called again after a failure. Raises DatabaseUnavailable."""
        async with self._opening:
            if self._closed:
                raise _unavailable("the service is stopping")
            with self._translated():
                url = self._url
                if self._embedded is not None:
                    url = async_url(await asyncio.to_thread(self._embedded.start))
                assert url is not None
                if self._engine is None or self._engine.url != url:
                    if self._engine is not None:
                        await self._engine.dispose()
                    self._engine = create_async_engine(
                        url,
                        pool_pre_ping=True,
                        pool_timeout=CONNECT_S,
                        connect_args={"timeout": CONNECT_S, "command_timeout": STATEMENT_S},
                    )
                async with asyncio.timeout(60):
                    await upgrade(self._engine)
            self.problem = None

    @asynccontextmanager
    async def session(self, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends well, else rolled back. read_only: PostgreSQL refuses every
        change. Raises DatabaseUnavailable."""
        if self._engine is None or self.problem is not None:
            raise _unavailable(str(self.problem))
        with self._translated(), span("database"):
            async with async_sessionmaker(self._engine, expire_on_commit=False)() as session, session.begin():
                if read_only:
                    await session.execute(text("SET TRANSACTION READ ONLY"))
                yield session

    async def repeated(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """`work` in a transaction of its own, once more each time that PostgreSQL ends it, because it and another one
        wait for each other: for work that touches rows of many kinds. Raises DatabaseUnavailable."""
        for _ in range(ATTEMPTS - 1):
            try:
                async with self.session() as session:
                    return await work(session)
            except DatabaseUnavailable as problem:
                if not _is_conflict(problem.__cause__):
                    raise
        async with self.session() as session:
            return await work(session)

    async def close(self) -> None:
        self._closed = True
        async with self._opening:
            self.problem = "the service is stopping"
            if self._engine is not None:
                await self._engine.dispose()
            if self._embedded is not None:
                await asyncio.to_thread(self._embedded.stop)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except EmbeddedError as problem:
            raise self._lost(str(problem)) from problem
        except PoolTimeout as problem:  # too many at once; the database itself is not lost
            raise DatabaseUnavailable(
                f"All connections to the database were in use for {CONNECT_S:g} seconds. Try again in a moment."
            ) from problem
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
            raise self._lost(f"{type(problem).__name__}: {problem}") from problem
        except DBAPIError as problem:
            if _is_conflict(problem):
                raise DatabaseUnavailable(
                    "Two requests that change the same rows were in each other's way, and this one was ended. Nothing "
                    "was changed; send it again."
                ) from problem
            if not _about_the_connection(problem):
                raise
            raise self._lost(str(problem.orig)) from problem

    def _lost(self, why: str) -> DatabaseUnavailable:
        why = why.partition("\n")[0]
        if self.problem is None:
            logger.error("the database is lost: {}", why)
        self.problem = why
        return _unavailable(why)


def _unavailable(why: str) -> DatabaseUnavailable:
    """why: without a password."""
    return DatabaseUnavailable(
        f"The database does not answer ({why}). Start it, or correct DATABASE_URL; the service tries again every few "
        "seconds."
    )


def _is_conflict(problem: BaseException | None) -> bool:
    """SQLSTATE 40: serialization failures and deadlocks."""
    return isinstance(problem, DBAPIError) and str(getattr(problem.orig, "sqlstate", "")).startswith("40")


def _about_the_connection(problem: DBAPIError) -> bool:
    """Not about the statement: SQLSTATE classes 08 (connection), 28 (password), 3D (no such database), 53 (out of
    connections), 57P (shut down); or none at all."""
    state = getattr(problem.orig, "sqlstate", None)
    return problem.connection_invalidated or state is None or state.startswith(("08", "28", "3D", "53", "57P"))
