"""A database's own errors, as the rest of the program knows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError

from core.errors import StorageError

CONFLICTS = ("40001", "40P01", "55P03")  # SQLSTATEs: of two transactions, one has to begin anew
LOST_STATES = ("08", "57P")  # SQLSTATEs: connection exceptions, and a server that shuts down
# of libpq, which has no SQLSTATE for what it finds itself
UNREACHABLE = ("OperationalError", "ConnectionTimeout", "InterfaceError")


class ServerAway(StorageError):
    """The database's server can't be reached, or says nothing."""


class Conflict(StorageError):
    """Another program's transaction stood in the way; nothing was written, and it may be tried again."""


class our_errors:
    """Chains the database's own errors to a StorageError, ServerAway where a server's connection has gone,
    except broken constraints."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            words = f"the database failed: {type(error.orig).__name__}: {error.orig}"
            kind = ServerAway if is_lost(error) else StorageError
            kind = Conflict if getattr(error.orig, "sqlstate", None) in CONFLICTS else kind
            raise kind(words) from error
        if isinstance(error, UnicodeEncodeError):
            raise StorageError("a text holds half of a surrogate pair, which no database keeps") from error


def is_lost(error: DBAPIError) -> bool:
    """Return whether the connection to a server has gone, or can't be made; a file's never does."""
    if not type(error.orig).__module__.startswith("psycopg"):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return error.connection_invalidated or type(error.orig).__name__ in UNREACHABLE
    return error.connection_invalidated or state.startswith(LOST_STATES)
