"""A bucket of an S3 server as obstore has it, and what its failures mean. What objects are, others say."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import S3Store

from core.errors import FilesAway
from core.settings import BucketAddress

RETRIES = 3  # of a request that failed, within 20 s
SILENT = 30  # s that the server may say nothing
LONGEST = 3600.0  # s for one request with its retries: a film on a slow line
PAUSE = 1.0  # s after a failure in which nothing is asked of the server
_STATUS = re.compile(r"status (?:code:? )?(\d{3})|non-2xx status code: (\d{3})")
_REFUSES = (
    " refuses: look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which must be allowed to get, put, list"
    " and delete, and at the clock"
)
_ANSWERS = {"": " doesn't answer", "404": ": there is no such bucket", "401": _REFUSES, "403": _REFUSES}
T = TypeVar("T")


@dataclass(frozen=True)
class Keys:
    """What the server knows us by; all empty = the role of this machine."""

    key_id: str = ""
    secret: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return "Keys(…)"


def store_of(address: BucketAddress, keys: Keys) -> S3Store:
    """Return the bucket as obstore has it; nothing is asked of the server yet."""
    endpoint = address.endpoint
    if endpoint and not address.path_style:  # then obstore takes it for the bucket's own
        parts = urlsplit(endpoint)
        endpoint = f"{parts.scheme}://{address.bucket}.{parts.netloc}"
    given = {
        "endpoint": endpoint,
        "access_key_id": keys.key_id,
        "secret_access_key": keys.secret,
        "session_token": keys.token,
    }
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        region=address.region,
        virtual_hosted_style_request=not address.path_style,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": "5 seconds",
            "read_timeout": f"{SILENT} seconds",
            "timeout": f"{LONGEST:.0f} seconds",
        },
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=20),
            "backoff": {
                "init_backoff": timedelta(milliseconds=200),
                "max_backoff": timedelta(seconds=3),
                "base": 2,
            },
        },
        **{name: value for name, value in given.items() if value},  # type: ignore[arg-type]
    )


class Server:
    """The bucket at an address."""

    def __init__(self, address: BucketAddress, keys: Keys) -> None:
        self.name, self.store = str(address), store_of(address, keys)
        self._away_until, self._away = 0.0, FilesAway()  # monotonic seconds; why

    async def ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what the server answers. Raises FileNotFoundError, FilesAway; for a moment after one failure
        without asking, so that a thousand of them don't wait one after the other."""
        if time.monotonic() < self._away_until:
            raise FilesAway(str(self._away))
        try:
            async with asyncio.timeout(LONGEST):
                return await ask()
        except (BaseError, OSError, TimeoutError) as error:
            is_missing = isinstance(error, FileNotFoundError)
            if is_missing and "NoSuchBucket" not in str(error):
                raise
            status = "404" if is_missing else _status(error)
            self._away = FilesAway(self.name + _ANSWERS.get(status, f" answers HTTP {status}"))
            self._away_until = time.monotonic() + PAUSE
            raise self._away from error


def _status(error: Exception) -> str:
    """Return the HTTP status that an error tells of, "" for none."""
    found = _STATUS.search(str(error))
    return (found[1] or found[2]) if found else ""
