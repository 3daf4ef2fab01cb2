"""Rows of who is signed in on the web, and the secrets that people carry in a cookie or a link: a row never
holds one, only its SHA-256."""

import base64
import hashlib
import hmac
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
from storage.schema import sessions, sign_ins


def new_token() -> str:
    """Return a secret of 256 bits, in 43 letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """Return what a row keeps of a secret."""
    return hashlib.sha256(token.encode()).hexdigest()


def derived_token(key: bytes, name: str) -> str:
    """Return the secret of ``name``, like ``new_token``, which whoever has the key can tell again."""
    made = hmac.digest(key, name.encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


PER_PERSON = 10  # sessions; the oldest ends when another begins
SEEN_EVERY = timedelta(minutes=1)  # how exactly the last visit is kept
OLDEST = timedelta(days=180)  # a session ends then, however often it is used
_OF_TOKEN = sa.select(sessions).where(sessions.c.token_hash == sa.bindparam("hash"))


@dataclass(frozen=True)
class Session:
    """A browser that is signed in. id: what the person ends it by, of no use as a token."""

    id: str
    user_id: int
    name: str
    label: str
    created_at: datetime
    seen_at: datetime


class Sessions:
    """Sessions and sign-in links. Every method is one transaction. idle: how long an unused session lives."""

    def __init__(self, database: Database, idle: timedelta) -> None:
        self._database, self._idle = database, idle

    async def offer(self, user_id: int, name: str, lives: timedelta) -> str:
        """Return a token that signs the person in once, within ``lives``."""
        token = new_token()

        def work(connection: sa.Connection) -> None:
            now = datetime.now(UTC)
            connection.execute(sa.delete(sign_ins).where(sign_ins.c.expires_at <= now))
            row = {"token_hash": hash_of(token), "user_id": user_id, "name": name, "expires_at": now + lives}
            connection.execute(sa.insert(sign_ins).values(**row))

        await self._database.write(work)
        return token

    async def offered(self, token: str) -> str | None:
        """Return whom ``token`` signs in, None when it is spent or has expired. It isn't spent by this."""
        statement = sa.select(sign_ins.c.name).where(
            sign_ins.c.token_hash == hash_of(token), sign_ins.c.expires_at > datetime.now(UTC)
        )
        return await self._database.read(lambda connection: connection.scalar(statement), once=True)

    async def sign_in(self, token: str, label: str) -> str | None:
        """Spend a link's token; return the new session's, or None when it was spent or has expired."""

        def work(connection: sa.Connection) -> str | None:
            spent = connection.execute(
                sa.delete(sign_ins)
                .where(sign_ins.c.token_hash == hash_of(token), sign_ins.c.expires_at > datetime.now(UTC))
                .returning(sign_ins.c.user_id, sign_ins.c.name)
            ).first()
            return None if spent is None else _begin(connection, spent.user_id, spent.name, label)

        return await self._database.write(work)

    async def begin(self, user_id: int, name: str, label: str) -> str:
        """Return the token of a new session of somebody whom another way has signed in."""
        return await self._database.write(partial(_begin, user_id=user_id, name=name, label=label))

    async def find(self, token: str, beside: Iterable[partial[Any]] = ()) -> Session | None:
        """Return the session of a token, None when there is none or it has ended. beside: what is asked for
        next, see ``Database.look_up``."""
        work = partial(read_session, token_hash=hash_of(token))
        found: Session | None
        [found, *_] = await self._database.look_up(work, *beside, once=True)
        now = datetime.now(UTC)
        if found is None or now - found.seen_at > self._idle or now - found.created_at > OLDEST:
            return None
        if now - found.seen_at > SEEN_EVERY:
            seen = sa.update(sessions).where(sessions.c.id == found.id).values(seen_at=now)
            await self._database.write(lambda connection: connection.execute(seen))
        return found

    async def of(self, user_id: int) -> list[Session]:
        """Return the person's sessions, the newest first."""
        mine = sa.select(sessions).where(sessions.c.user_id == user_id).order_by(sessions.c.created_at.desc())
        rows = await self._database.read(lambda connection: connection.execute(mine).all(), once=True)
        return [from_row(Session, row) for row in rows]

    async def end(self, user_id: int, session_id: str | None = None) -> int:
        """End one of the person's sessions, or all of them; return how many there were."""
        which = [sessions.c.user_id == user_id]
        if session_id is not None:
            which.append(sessions.c.id == session_id)
        ended = sa.delete(sessions).where(*which)
        return await self._database.write(lambda connection: connection.execute(ended).rowcount)


def drop_ended(connection: sa.Connection, *, idle: timedelta, now: datetime) -> None:
    """Delete the rows of sessions and links that have ended by themselves."""
    ended = sa.or_(sessions.c.seen_at < now - idle, sessions.c.created_at < now - OLDEST)
    connection.execute(sa.delete(sessions).where(ended))
    connection.execute(sa.delete(sign_ins).where(sign_ins.c.expires_at <= now))


def read_session(connection: sa.Connection, token_hash: str) -> Session | None:
    """Return the session of a token, by its hash, ended or not."""
    row = connection.execute(_OF_TOKEN, {"hash": token_hash}).first()
    return None if row is None else from_row(Session, row)


def _begin(connection: sa.Connection, user_id: int, name: str, label: str) -> str:
    token, now = new_token(), datetime.now(UTC)
    others = (
        sa.select(sessions.c.token_hash)
        .where(sessions.c.user_id == user_id)
        .order_by(sessions.c.created_at.desc())
        .offset(PER_PERSON - 1)
    )
    old = list(connection.execute(others).scalars())
    connection.execute(sa.delete(sessions).where(sessions.c.token_hash.in_(old)))
    row = {"id": new_job_id(), "user_id": user_id, "name": name, "label": label}
    connection.execute(
        sa.insert(sessions).values(token_hash=hash_of(token), created_at=now, seen_at=now, **row)
    )
    return token
