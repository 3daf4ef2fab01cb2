"""The store of files as a bucket of any S3 server, through obstore, with copies on this machine's disk.

A file is the object ``pictures/ab/cd/<sha256>.<extension>``, which S3 writes whole or not at all, however
often it is put. ``Server`` says what a server's failures mean, and ``try_bucket`` whether what was
deleted there is gone. Needs the extra ``s3``."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import inf
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from core.errors import FilesAway, StorageError
from core.settings import BucketAddress
from core.traces import timed
from storage.blobs import base
from storage.blobs.local import Cache, Disk, hashed

RETRIES = 3  # of a request that failed, within 20 s
SILENT = 30  # s that the server may say nothing
LONGEST = 3600.0  # s for one request with its retries: a video on a slow line
PAUSE = 1.0  # s after a failure in which nothing is asked of the server
_STATUS = re.compile(r"status (?:code:? )?(\d{3})|non-2xx status code: (\d{3})")
_REFUSES = (
    " refuses: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which must be allowed to get, put, list"
    " and delete, and at the clock"
)
_ANSWERS = {"": " doesn't answer", "404": ": there is no such bucket", "401": _REFUSES, "403": _REFUSES}


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
        self.away_until, self.away = 0.0, FilesAway()  # monotonic seconds; why

    async def ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what the server answers. Raises FileNotFoundError, FilesAway; for a moment after one failure
        without asking, so that a thousand of them don't wait one after the other."""
        if time.monotonic() < self.away_until:
            raise FilesAway(str(self.away))
        try:
            async with asyncio.timeout(LONGEST):
                return await ask()
        except (BaseError, OSError, TimeoutError) as error:
            is_missing = isinstance(error, FileNotFoundError)
            if is_missing and "NoSuchBucket" not in str(error):
                raise
            status = "404" if is_missing else _status(error)
            self.away = FilesAway(self.name + _ANSWERS.get(status, f" answers HTTP {status}"))
            self.away_until = time.monotonic() + PAUSE
            raise self.away from error


def _status(error: Exception) -> str:
    """Return the HTTP status that an error tells of, "" for none."""
    found = _STATUS.search(str(error))
    return (found[1] or found[2]) if found else ""


ROOT = "pictures"  # what the keys of files begin with
AT_ONCE = 8  # files that are fetched together for one job
KINDS_KNOWN = 10_000  # files whose extension is remembered, and removals
PIECE = 2**20  # bytes that are in memory of a file that is fetched
log = logging.getLogger(__name__)
T = TypeVar("T")


class Bucket(Disk):
    """The store in a bucket. root: the folder of the cache."""

    def __init__(
        self,
        address: BucketAddress,
        keys: Keys,
        cache: Cache,
        root: Path,
        *,
        ballast_bytes: int,
        incoming: Path,
        derived: Path,
    ) -> None:
        super().__init__(root, ballast_bytes=ballast_bytes, incoming=incoming, derived=derived)
        self.server = Server(address, keys)
        self._cache = cache
        self._kinds: dict[str, str] = {}  # SHA-256 → extension, of files that were there
        self._removed: dict[str, None] = {}  # lately, in order
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def drop_unfinished(self) -> None:
        """Take up the cache, and delete what a crash has left half-written in it."""
        super().drop_unfinished()
        self._cache.scan()

    def free_bytes(self) -> int:
        """Return the free space on the disk that holds the cache, which gives way if it is short."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._cache.shrink()
        return super().free_bytes()

    def __str__(self) -> str:
        return str(self.server.name)

    @timed("put")
    async def put(self, data: bytes, media_type: str) -> str:
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        extension = base.extension_of(media_type)
        async with self._turn(sha256):
            await self._send(sha256, extension, data)
            await asyncio.to_thread(self._cache.write, sha256, extension, data)
        return sha256

    @timed("take")
    async def take(self, path: Path, media_type: str) -> base.Taken:
        extension = base.extension_of(media_type)
        try:
            sha256, size = await asyncio.to_thread(hashed, path)
            async with self._turn(sha256):
                await self._send(sha256, extension, path)
                await asyncio.to_thread(self._adopt, sha256, extension, path)
        except OSError as error:
            raise StorageError(f"the file {path.name} can't be stored: {error.strerror}") from error
        return base.Taken(sha256, size)

    @timed("get")
    async def get(self, sha256: str) -> bytes:
        async with self._turn(base.checked(sha256)):
            data = await asyncio.to_thread(self._cache.read, sha256)
            if data is not None:
                return data
            key, extension = await self._key(sha256)

            async def fetch() -> obstore.Bytes:
                return await (await obstore.get_async(self.server.store, key)).bytes_async()

            fetched = await self._there(sha256, fetch)
            return await asyncio.to_thread(self._checked, sha256, extension, fetched)

    async def is_sound(self, sha256: str) -> bool:
        key, _ = await self._key(base.checked(sha256))
        return await self._there(sha256, partial(self._hash_of, key)) == sha256

    @timed("local")
    async def local(self, sha256: str) -> Path:
        """Return a copy of the file on this machine, which stays for ten minutes at least. Raises
        StorageError when it is gone, or not what it should be, or the disk is full, FilesAway."""
        async with self._turn(base.checked(sha256)):
            path = await asyncio.to_thread(self._cache.find, sha256)
            if path is None:
                await self._copy(sha256)
                path = await asyncio.to_thread(self._cache.find, sha256)
        if path is None:
            raise StorageError(f"file {sha256[:12]}… can't be kept on this machine")
        return path

    @asynccontextmanager
    async def lent(self, sha256s: Collection[str], *, some: bool = False) -> AsyncIterator[dict[str, Path]]:

        async def one(sha256: str) -> Path | None:
            try:
                return await self.local(sha256)
            except FilesAway:
                raise
            except StorageError:
                if not some:
                    raise
                return None

        wanted, paths = list(dict.fromkeys(sha256s)), list[Path | None]()
        with self._cache.held(wanted):
            for part in (wanted[i : i + AT_ONCE] for i in range(0, len(wanted), AT_ONCE)):
                paths += await asyncio.gather(*map(one, part))
            yield {sha256: path for sha256, path in zip(wanted, paths, strict=True) if path is not None}

    async def has(self, sha256: str) -> bool:
        return self._cache.has(base.checked(sha256)) or bool(await self._found(sha256))

    async def entry(self, sha256: str) -> base.Entry:
        found = await self._found(base.checked(sha256))
        if not found:
            raise self._gone(sha256)
        return found[0]

    async def entries(self) -> AsyncIterator[base.Entry]:
        pages = obstore.list(self.server.store, prefix=ROOT, chunk_size=1000).__aiter__()
        while (page := await self.server.ask(lambda: anext(pages, None))) is not None:
            for meta in page:
                if (entry := _entry(meta)) is not None:
                    yield entry

    @timed("remove")
    async def remove(self, sha256: str, *, unless_after: float = inf) -> bool:
        async with self._turn(base.checked(sha256)):
            _note(self._removed, sha256, None)
            await asyncio.to_thread(self._cache.drop, sha256)
            await asyncio.to_thread(self._remove_derived, sha256)
            found = [
                entry
                for entry in await self._found(sha256)
                if not base.is_renewed(entry.written_at, unless_after)
            ]
            for entry in found:
                key = f"{ROOT}/{base.place_of(sha256, entry.extension)}"
                await self.server.ask(partial(obstore.delete_async, self.server.store, key))
            self._kinds.pop(sha256, None)
            return bool(found)

    async def owner(self) -> str | None:

        async def read() -> str | None:
            try:
                return bytes(
                    await (await obstore.get_async(self.server.store, base.OWNER)).bytes_async()
                ).decode()
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

        return await self.server.ask(read)

    async def mark(self, owner: str) -> None:
        await self.server.ask(lambda: obstore.put_async(self.server.store, base.OWNER, owner.encode()))

    async def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        await asyncio.to_thread(self._write_derived, self._derived_path(sha256, name), data)
        if sha256 in self._removed:  # while this was being made
            await asyncio.to_thread(self._remove_derived, sha256)

    # Objects

    async def _send(self, sha256: str, extension: str, data: bytes | Path) -> None:
        key, media_type = f"{ROOT}/{base.place_of(sha256, extension)}", base.MEDIA_TYPES[extension]
        await self.server.ask(
            lambda: obstore.put_async(self.server.store, key, data, attributes={"Content-Type": media_type})
        )
        _note(self._kinds, sha256, extension)
        self._removed.pop(sha256, None)

    async def _copy(self, sha256: str) -> None:
        """Fetch a file into the cache, a piece at a time."""
        key, extension = await self._key(sha256)
        temporary = await asyncio.to_thread(self._cache.new_file)

        async def fetch() -> str:
            with await asyncio.to_thread(temporary.open, "wb") as file:
                return await self._hash_of(key, file)

        try:
            if await self._there(sha256, fetch) != sha256:
                raise self._wrong(sha256)
            await asyncio.to_thread(self._cache.adopt, sha256, extension, temporary)
        except OSError as error:
            raise StorageError(f"file {sha256[:12]}… can't be kept here: {error.strerror}") from error
        finally:
            await asyncio.to_thread(temporary.unlink, missing_ok=True)

    async def _hash_of(self, key: str, file: BinaryIO | None = None) -> str:
        """Return the SHA-256 of an object, read a piece at a time, and into a file if there is one."""
        digest = hashlib.sha256()

        def take(piece: bytes) -> None:
            digest.update(piece)
            if file is not None:
                file.write(piece)

        async for piece in (await obstore.get_async(self.server.store, key)).stream(min_chunk_size=PIECE):
            await asyncio.to_thread(take, piece)
        return digest.hexdigest()

    async def _there(self, sha256: str, fetch: Callable[[], Awaitable[T]]) -> T:
        """Return what ``fetch`` gets of a file. Raises StorageError when it is gone, FilesAway."""
        try:
            return await self.server.ask(fetch)
        except FileNotFoundError as error:
            self._kinds.pop(sha256, None)
            raise self._gone(sha256) from error

    async def _key(self, sha256: str) -> tuple[str, str]:
        """Return a file's key and extension. Raises StorageError when it is gone, FilesAway."""
        if sha256 not in self._kinds:
            _note(self._kinds, sha256, (await self.entry(sha256)).extension)
        extension = self._kinds[sha256]
        return f"{ROOT}/{base.place_of(sha256, extension)}", extension

    async def _found(self, sha256: str) -> list[base.Entry]:
        """Return the objects of a file: one, or one for each type that it was put as."""
        folder = f"{ROOT}/{sha256[:2]}/{sha256[2:4]}"

        async def listed() -> list[base.Entry]:
            found = []
            async for page in obstore.list(self.server.store, prefix=folder, offset=f"{folder}/{sha256}"):
                entries = [entry for meta in page if (entry := _entry(meta)) is not None]
                found += [entry for entry in entries if entry.sha256 == sha256]
                if any(entry.sha256 > sha256 for entry in entries):  # keys come in order
                    break
            return found

        return await self.server.ask(listed)

    def _turn(self, sha256: str) -> asyncio.Lock:
        """Return what keeps two from fetching, or fetching and deleting, one file."""
        return self._turns.setdefault(sha256, asyncio.Lock())

    def _checked(self, sha256: str, extension: str, fetched: obstore.Bytes) -> bytes:
        """Return a fetched file's bytes, once they are those that its name says, and keep a copy."""
        data = bytes(fetched)  # a copy of megabytes, which the event loop needn't wait for
        if hashlib.sha256(data).hexdigest() != sha256:
            raise self._wrong(sha256)
        self._cache.write(sha256, extension, data)
        return data

    def _adopt(self, sha256: str, extension: str, path: Path) -> None:
        try:
            self._cache.adopt(sha256, extension, path)
        except OSError:  # on another disk, or this one is full: it is in the bucket
            path.unlink(missing_ok=True)

    def _gone(self, sha256: str) -> StorageError:
        return StorageError(f"there is no file {sha256[:12]}… in {self.server.name}")

    def _wrong(self, sha256: str) -> StorageError:
        text = f"file {sha256[:12]}… in {self.server.name} is not what its name says"
        log.error("%s: somebody has changed it", text)
        return StorageError(text)


def _entry(meta: obstore.ObjectMeta) -> base.Entry | None:
    """Return an object as a file; None for what is none of ours."""
    stem, _, extension = meta["path"].rpartition("/")[2].partition(".")
    if not base.is_name(stem, extension):
        return None
    return base.Entry(stem, extension, meta["size"], meta["last_modified"].timestamp())


def _note(known: dict[str, T], sha256: str, value: T) -> None:
    """Remember something of a file, and forget the oldest beyond KINDS_KNOWN."""
    known.pop(sha256, None)
    known[sha256] = value
    if len(known) > KINDS_KNOWN:
        del known[next(iter(known))]


DATA = b"Atelier tries this bucket out."


@dataclass(frozen=True)
class Trial:
    """What came of it. problem: "" = none. apart: seconds between the clocks. keeps: deleted files stay."""

    problem: str = ""
    apart: float = 0.0
    keeps: bool = False


async def try_bucket(bucket: Bucket) -> Trial:
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
