"""What a run has made, taken apart for the bus and put together again: what is too large for one message goes
in parts before it, by its SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import WireError
from core.events import Output, Picture

INLINE = 6 * 2**20  # bytes of pictures that a message may hold itself


@dataclass(frozen=True)
class Made:
    """Something that is put before its answer: bytes in memory, or a file. size: bytes."""

    sha256: str
    size: int
    data: bytes = b""
    path: str = ""


def taken_apart(output: Output, inline: int = INLINE) -> tuple[Output, tuple[str, ...], list[Made]]:
    """Return an output for a message of about ``inline`` bytes, what it refers to by SHA-256 (see ``Final``),
    and what has to be put before it. Reads files, so it blocks. Raises OSError."""
    pictures, paths = list(pictures_of(output)), list(_paths(output))
    small = set[int]()
    for index in sorted(range(len(pictures)), key=lambda index: len(pictures[index].data)):
        inline -= len(pictures[index].data)
        if inline >= 0:
            small.add(index)
    made = list[Made]()
    sent = list[str]()
    for index, picture in enumerate(pictures):
        if index in small:
            sent.append("")
            continue
        sha256 = hashlib.sha256(picture.data).hexdigest()
        made.append(Made(sha256, len(picture.data), picture.data))
        sent.append(sha256)
        pictures[index] = replace(picture, data=b"")
    for name in paths:
        sha256, size = hashed(Path(name))
        made.append(Made(sha256, size, path=name))
        sent.append(sha256)
    return _with(output, pictures, [Path(name).name for name in paths]), tuple(sent), made


def put_together(
    output: Output, sent: Sequence[str], read: Callable[[str], bytes], take: Callable[[str, str], str]
) -> Output:
    """Return the output that ``taken_apart`` took apart. read: the bytes that were put for a SHA-256. take:
    SHA-256 and a file's name to the path where that file is then. Raises WireError when ``sent`` doesn't fit,
    and what both raise."""
    pictures, paths = list(pictures_of(output)), list(_paths(output))
    if len(sent) != len(pictures) + len(paths):
        raise WireError(f"{len(sent)} parts are named for {len(pictures)} pictures and {len(paths)} files")
    for index, (picture, sha256) in enumerate(zip(pictures, sent, strict=False)):
        if sha256:
            pictures[index] = replace(picture, data=read(sha256))
    names = zip(paths, sent[len(pictures) :], strict=True)
    return _with(output, pictures, [take(sha256, name) for name, sha256 in names])


def hashed(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file and its size in bytes. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def pictures_of(output: Output) -> Iterator[Picture]:
    """Yield the pictures of an output: its own, the grid, the posters of films."""
    yield from output.pictures
    if output.grid is not None:
        yield output.grid
    yield from (film.poster for film in output.films)


def _paths(output: Output) -> Iterator[str]:
    for film in output.films:
        yield film.path
        if film.ends:
            yield film.ends
    yield from (file.path for file in output.files)
    if output.learned is not None:
        yield output.learned.path


def _with(output: Output, pictures: Sequence[Picture], paths: Sequence[str]) -> Output:
    """Return the output with other pictures and paths, in the order in which they are told above."""
    picture, path = iter(pictures), iter(paths)
    own = tuple(next(picture) for _ in output.pictures)
    grid = next(picture) if output.grid is not None else None
    films = tuple(
        replace(film, poster=next(picture), path=next(path), ends=next(path) if film.ends else "")
        for film in output.films
    )
    files = tuple(replace(file, path=next(path)) for file in output.files)
    learned = None if output.learned is None else replace(output.learned, path=next(path))
    return replace(output, pictures=own, grid=grid, films=films, files=files, learned=learned)
