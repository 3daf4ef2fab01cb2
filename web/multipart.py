"""Forms with files, as browsers send them (RFC 7578): a body that is whole in memory, taken apart."""

from __future__ import annotations

from email.message import Message

from aiohttp.multipart import parse_content_disposition

from studio.pictures.intake import InMemory

MOST_PARTS = 120
LONGEST_NAME, LONGEST_TEXT = 200, 8000  # of a file's name, characters; of a field, bytes


def parse(data: bytes, content_type: str) -> tuple[dict[str, str], tuple[InMemory, ...]]:
    """Return the fields and the files of a form, in their order; a file that wasn't chosen is none.

    content_type: the header, with its boundary. Raises ValueError for what is no such form.
    """
    boundary = _boundary(content_type)
    pieces = (b"\r\n" + data).split(b"\r\n--" + boundary)
    if len(pieces) > MOST_PARTS + 2 or len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ValueError("there is no end, or there are too many parts")
    fields: dict[str, str] = {}
    files: list[InMemory] = []
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        name, filename = _named(head)
        if filename is None:
            if len(content) > LONGEST_TEXT:
                raise ValueError("a field is too long")
            fields[name] = content.decode()
        elif filename or content:
            files.append(InMemory(filename[:LONGEST_NAME] or "picture", content))
    return fields, tuple(files)


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
