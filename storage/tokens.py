"""Rows of tokens, by which people's programs come in: a row never holds one, only its SHA-256."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.job import new_job_id
from storage.database import Database
from storage.people import from_row
from storage.schema import api_tokens
from storage.sessions import SEEN_EVERY, hash_of

PREFIX = "atelier_"  # by which a token is known, also by those who look for secrets in public files
KEPT = timedelta(days=30)  # that the row of an ended token stays: its program is told why it is refused
LONGEST_FROM = 60  # characters of an address


@dataclass(frozen=True)
class Token:
    """A program that somebody lets in. id: what they end it by, of no use as a token. name: of the person.
    label: what they call it. used_at, used_from: its last call, None and "" before the first."""

    id: str
    user_id: int
    name: str
    label: str
    scopes: str
    created_at: datetime
    ends_at: datetime
    used_at: datetime | None = None
    used_from: str = ""

    @property
    def is_over(self) -> bool:
        """Whether its last day has passed."""
        return datetime.now(UTC) >= self.ends_at


class Tokens:
    """Tokens of all people. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, user_id: int, name: str, label: str, scopes: str, *, lives: timedelta, most: int
    ) -> tuple[Token, str] | None:
        """Return a new token's row, and the secret, which is kept nowhere; None where the person has
        ``most`` already."""
        secret, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
        made = Token(new_job_id(), user_id, name, label, scopes, now, now + lives)

        def work(connection: sa.Connection) -> bool:
            mine = sa.select(sa.func.count()).where(api_tokens.c.user_id == user_id)
            if connection.execute(mine).scalar_one() >= most:
                return False
            connection.execute(sa.insert(api_tokens).values(token_hash=hash_of(secret), **vars(made)))
            return True

        return (made, secret) if await self._database.write(work) else None

    async def find(self, secret: str, beside: Iterable[partial[Any]] = ()) -> Token | None:
        """Return the row of a secret, ended or not, None for none. beside: as of ``Sessions.find``."""
        work = partial(read_token, token_hash=hash_of(secret))
        found: Token | None
        [found, *_] = await self._database.look_up(work, *beside, once=True)
        return found

    async def note_use(self, token: Token, address: str) -> None:
        """Note when and from where a token was used last; of the same address once a minute."""
        now, address = datetime.now(UTC), address[:LONGEST_FROM]
        if token.used_at and token.used_from == address and now - token.used_at <= SEEN_EVERY:
            return
        used = sa.update(api_tokens).where(api_tokens.c.id == token.id)
        seen = used.values(used_at=now, used_from=address)
        await self._database.write(lambda connection: connection.execute(seen))

    async def of(self, user_id: int) -> list[Token]:
        """Return the person's tokens, the newest first."""
        mine = sa.select(api_tokens).where(api_tokens.c.user_id == user_id)
        newest = mine.order_by(api_tokens.c.created_at.desc())
        rows = await self._database.read(lambda connection: connection.execute(newest).all(), once=True)
        return [from_row(Token, row) for row in rows]

    async def end(self, user_id: int, token_id: str) -> bool:
        """End one of the person's tokens; False when there is none."""
        which = (api_tokens.c.user_id == user_id, api_tokens.c.id == token_id)
        ended = sa.delete(api_tokens).where(*which)
        return await self._database.write(lambda connection: connection.execute(ended).rowcount > 0)


def drop_ended_tokens(connection: sa.Connection, *, now: datetime) -> None:
    """Delete the rows of tokens that ended long ago."""
    connection.execute(sa.delete(api_tokens).where(api_tokens.c.ends_at < now - KEPT))


def read_token(connection: sa.Connection, token_hash: str) -> Token | None:
    """Return the row of a token, by its hash, ended or not."""
    row = connection.execute(sa.select(api_tokens).where(api_tokens.c.token_hash == token_hash)).first()
    return None if row is None else from_row(Token, row)
