"""Forms with files, as browsers send them (RFC 7578): a body that has come, taken apart where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from itertools import pairwise
from mmap import mmap

from aiohttp.multipart import parse_content_disposition

from studio.media.uploads import Sent

MOST_PARTS = 120
LONGEST_NAME, LONGEST_TEXT = 200, 8000  # of a file's name, characters; of a field, bytes
LONGEST_HEAD = 8000  # bytes before a part's content
_BLANK = b"\r\n\r\n"


def parse(body: Sent, content_type: str) -> tuple[dict[str, str], tuple[Sent, ...]]:
    """Return the fields and the files of a form, in their order; a file that wasn't chosen is none.

    content_type: the header, with its boundary. Raises ValueError for what is no such form.
    """
    fields: dict[str, str] = {}
    files: list[Sent] = []
    with body.opened() as data:
        for start, end in _parts(data, _boundary(content_type)):
            head_end = data.find(_BLANK, start, min(end, start + LONGEST_HEAD))
            if head_end < 0:
                raise ValueError("a part has no end of its head")
            name, filename = _named(data[start:head_end])
            start = head_end + len(_BLANK)
            if filename is None:
                if end - start > LONGEST_TEXT:
                    raise ValueError("a field is too long")
                fields[name] = data[start:end].decode()
            elif filename or end > start:
                files.append(body.part(filename[:LONGEST_NAME] or "picture", start, end - start))
    return fields, tuple(files)


def _parts(data: bytes | mmap, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Return where each part begins and ends, its head included."""
    line = b"\r\n--" + boundary
    first = 0 if data[: len(line) - 2] == line[2:] else data.find(line)
    marks = [first - 2 if first == 0 else first]
    while (found := data.find(line, marks[-1] + len(line))) >= 0 and len(marks) < MOST_PARTS + 2:
        marks.append(found)
    end = marks[-1] + len(line)
    if first < 0 or len(marks) > MOST_PARTS + 1 or data[end : end + 2] != b"--":
        raise ValueError("there is no end, or there are too many parts")
    return ((begin + len(line), end) for begin, end in pairwise(marks))


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= 70:
        raise ValueError("the form has no boundary")
    return boundary.encode("ascii")


def _named(head: bytes) -> tuple[str, str | None]:
    """Return the name of a part, and that of its file, None of a part that is no file."""
    for line in head.decode().split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            kind, given = parse_content_disposition(value.strip())
            if kind == "form-data" and given.get("name"):
                return given["name"], given.get("filename")
    raise ValueError("a part has no name")
