"""Tries a bucket out: can it be written to, read and deleted from, and is what was deleted gone?"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import obstore

from core.errors import FilesAway
from storage.filing.bucket import Bucket

DATA = b"Atelier tries this bucket out."


@dataclass(frozen=True)
class Trial:
    """What came of it. problem: "" = none. apart: seconds that the server's clock is ahead of ours.
    keeps: what is deleted can still be read there."""

    problem: str = ""
    apart: float = 0.0
    keeps: bool = False


async def tried(bucket: Bucket) -> Trial:
    """Write an object, read it, delete it, and look for it again."""
    server = bucket.server
    store, key, began = server.store, f"trial-{secrets.token_hex(8)}", time.time()
    try:
        put = await server.ask(lambda: obstore.put_async(store, key, DATA))
        version, middle = put.get("version"), (began + time.time()) / 2
        found = await server.ask(lambda: obstore.get_async(store, key))
        if bytes(await server.ask(found.bytes_async)) != DATA:
            return Trial("what is read isn't what was written")
        apart = found.meta["last_modified"].timestamp() - middle
        pages = obstore.list(store, offset=key[:-1]).__aiter__()
        page = await server.ask(lambda: anext(pages, None))
        if key not in [meta["path"] for meta in page or ()]:
            return Trial("what was written isn't listed", apart)
        await server.ask(lambda: obstore.delete_async(store, key))
        if await _is_there(bucket, key, None):
            return Trial("what is deleted is still there", apart)
        return Trial("", apart, version is not None and await _is_there(bucket, key, version))
    except FilesAway as error:
        return Trial(str(error))
    except FileNotFoundError:
        return Trial("what was written isn't there")


async def _is_there(bucket: Bucket, key: str, version: str | None) -> bool:
    options: obstore.GetOptions = {} if version is None else {"version": version}
    try:
        await bucket.server.ask(lambda: obstore.get_async(bucket.server.store, key, options=options))
    except FileNotFoundError:
        return False
    return True
