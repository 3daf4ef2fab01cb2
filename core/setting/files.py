"""What a host sets about pictures and films: where they lie, and how much room they leave on the disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from core.setting.field import setting
from core.setting.values import on_or_off, whole

GROUP = "Files"
FORM = "takes files:/path, or s3://bucket/prefix?endpoint=https://host&region=name&path_style=on"
OPTIONS = ("endpoint", "region", "path_style")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)


@dataclass(frozen=True)
class BucketAddress:
    """Where a bucket is. prefix: what its keys begin with, without a slash at the end. endpoint: "" = Amazon.
    path_style: the bucket's name stands in the path, not before the host."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    path_style: bool = True

    def __str__(self) -> str:
        return f"s3://{self.bucket}{'/' if self.prefix else ''}{self.prefix}"


def files_address(text: str) -> Path | BucketAddress | None:
    """Return the folder or bucket that ``text`` names, None for the usual folder. Raises ValueError."""
    if not text:
        return None
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "files":
        if rest.startswith("//"):
            raise ValueError("files: takes the path of a folder, such as files:/srv/pictures")
        return Path(rest).expanduser() if rest else None
    if not text.startswith("s3://"):
        raise ValueError(FORM)
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("keys stand in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, never in an address")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"{parts.netloc[:80]!r} is no bucket's name; it {FORM}")
    prefix = parts.path.strip("/")
    if prefix and (not _PREFIX.fullmatch(prefix) or ".." in prefix.split("/")):
        raise ValueError("a prefix has letters, digits, dots, hyphens and underscores between its slashes")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(OPTIONS)) or parts.fragment:
        raise ValueError(f"{unknown} is unknown there; known are {', '.join(OPTIONS)}")
    return BucketAddress(
        parts.netloc,
        prefix,
        _endpoint(given.get("endpoint", "")),
        given.get("region") or "us-east-1",
        on_or_off(given.get("path_style") or "on"),
    )


def _endpoint(text: str) -> str:
    """Return the address of an S3 server. Raises ValueError."""
    parts = urlsplit(text)
    if not text:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
        raise ValueError("endpoint is an address such as https://s3.example.org")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("endpoint: http:// only to this machine; to others https://")
    return text.rstrip("/")


@dataclass(frozen=True, kw_only=True)
class FileSettings:
    """The settings of where pictures and films lie."""

    files_url: Path | BucketAddress | None = setting(
        "",
        "where pictures and films lie: empty = DATA_DIR/pictures, files:/another/folder, or a bucket,"
        " s3://bucket/prefix?endpoint=https://host&region=name (needs the extra s3)",
        files_address,
        group=GROUP,
    )
    files_cache_mb: int = setting(
        "2000",
        "copies of a bucket's files on this machine's disk, in MB",
        whole(100, 10**8),
        group=GROUP,
    )
    aws_access_key_id: str = setting(
        "", "key of the bucket; empty = the machine's role", group=GROUP, secret=True
    )
    aws_secret_access_key: str = setting("", "secret of the same key", group=GROUP, secret=True)
    aws_session_token: str = setting(
        "", "token of a key that is lent for some hours", group=GROUP, secret=True
    )
    disk_floor_mb: int = setting(
        "500",
        "refuse new jobs when less disk space than this is free, in MB",
        whole(0, 10**6),
        group=GROUP,
    )
