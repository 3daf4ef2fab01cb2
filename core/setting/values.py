"""How the text of a setting becomes its value. Each reader raises ValueError, which says what is taken."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import SettingsError

_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
LANGUAGES = re.compile(r"[A-Za-z_]+(/[A-Za-z_]+)?(\+[A-Za-z_]+(/[A-Za-z_]+)?)*", re.ASCII)  # of tesseract
_ID = re.compile(r"\d{1,20}", re.ASCII)


def text(value: str) -> str:
    """Return the text as it is."""
    return value


def path(value: str) -> Path:
    """Return a path, with ``~`` for the home folder."""
    if any(ord(character) < 32 for character in value):  # of "C:\\new": quotes make a new line of that
        raise ValueError("takes a path; in .env write it without quotes, or with / for \\")
    return Path(value).expanduser()


def path_or_none(value: str) -> Path | None:
    """Return a path; None for no text."""
    return path(value) if value else None


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers in ``low``..``high``."""

    def read(value: str) -> int:
        if not _WHOLE.fullmatch(value) or not low <= int(value) <= high:
            raise ValueError(f"takes a whole number from {low} to {high}")
        return int(value)

    return read


def number(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of decimal numbers in ``low``..``high``."""

    def read(value: str) -> float:
        if not _NUMBER.fullmatch(value) or not low <= float(value) <= high:
            raise ValueError(f"takes a number from {low:g} to {high:g}")
        return float(value)

    return read


def one_of(*allowed: str) -> Callable[[str], str]:
    """Return a reader of one of these words, in any case."""

    def read(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError(f"takes one of: {', '.join(allowed)}")
        return value.lower()

    return read


def text_reader(value: str) -> str:
    """Return who reads text: ``rapid``, ``off``, or ``tesseract`` with languages after a colon."""
    name, _, languages = value.partition(":")
    if value in ("rapid", "off") or (name == "tesseract" and LANGUAGES.fullmatch(languages)):
        return value
    raise ValueError("takes rapid, off, or tesseract with its languages, such as tesseract:deu+eng")


def ids(value: str) -> tuple[int, ...]:
    """Return Discord ids, of digits separated by commas."""
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not all(_ID.fullmatch(part) for part in parts):
        raise ValueError("takes Discord ids (digits), separated by commas")
    return tuple(int(part) for part in parts)


def application_id(value: str) -> str:
    """Return a Discord id; empty for none."""
    if value and not _ID.fullmatch(value):
        raise ValueError("takes a Discord id (digits)")
    return value


def on_or_off(value: str) -> bool:
    """Return whether a switch is on."""
    if value.lower() not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
        raise ValueError("takes on or off")
    return value.lower() in ("1", "true", "yes", "on")


def device_list(value: str) -> tuple[str, ...]:
    """Return the devices in small letters; ``auto`` where none is named, none for ``none``."""
    parts = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if parts == ("none",):
        return ()
    for part in parts if parts != ("auto",) else ():
        name, _, index = part.partition(":")
        if name not in ("cpu", "cuda", "mps", "xpu") or (index and not _ID.fullmatch(index)):
            raise ValueError("takes auto, none, or devices such as cpu, cuda:0,cuda:1")
    if len({part.removesuffix(":0") for part in parts}) < len(parts):
        raise ValueError("names a device twice")
    return parts or ("auto",)


def public_address(value: str) -> str:
    """Return the address of a site as browsers name it, without a path or its scheme's own port; empty for
    none."""
    found = urlsplit(value.rstrip("/"))
    whole_site = found.scheme in ("http", "https") and found.hostname and not found.path and not found.query
    if value and (not whole_site or found.username is not None):
        raise ValueError("takes an address such as https://studio.example.org, without a path")
    usual = {"https": ":443", "http": ":80"}.get(found.scheme, "")
    return value.rstrip("/").lower().removesuffix(usual)


def page_address(value: str) -> str:
    """Return the address of a page; empty for none."""
    found = urlsplit(value)
    if value and (found.scheme not in ("http", "https") or not found.hostname):
        raise ValueError("takes an address such as https://example.org/privacy")
    return value


def server(value: str) -> str:
    """Return the address of a server's interface, without a slash at its end; empty for none."""
    found = urlsplit(value)
    if value and (found.scheme not in ("http", "https") or not found.hostname or found.query):
        raise ValueError("takes an address such as http://127.0.0.1:8000/v1")
    if found.username is not None:
        raise ValueError("takes no name or password; put the key into VLM_KEY")
    return value.rstrip("/")


def ip(value: str) -> str:
    """Return an IP address."""
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("takes an IP address, such as 127.0.0.1 or 0.0.0.0") from None


def addresses(value: str) -> tuple[str, ...]:
    """Return IP addresses, separated by commas."""
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    for part in parts:
        try:
            ip_address(part)
        except ValueError:
            raise ValueError("takes IP addresses separated by commas, such as 127.0.0.1,::1") from None
    return parts


def named(value: str) -> dict[str, str]:
    """Return name → what it stands for, of "name=value, name2=value2"."""
    found: dict[str, str] = {}
    for part in (part.strip() for part in value.split(",") if part.strip()):
        name, _, spec = (piece.strip() for piece in part.partition("="))
        if not re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,63}", name) or not spec:
            raise ValueError(
                "takes name=value pairs separated by commas; a name has letters, digits, '.', '_', '+'"
                " and '-'"
            )
        if name.lower() in (known.lower() for known in found):
            raise ValueError(f"has the name {name} twice")
        found[name] = spec
    return found


def dotenv(file: Path) -> dict[str, str]:
    """Return the names and texts of a ``.env`` file; none where there is no such file. Raises SettingsError
    for one that can't be read, or is no text."""
    if not file.is_file():
        return {}
    from dotenv import dotenv_values  # here: keeps `atelier --help` light

    try:
        data = file.read_bytes()
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # of PowerShell's `>`
        text = StringIO(data.decode("utf-16" if wide else "utf-8-sig"))
    except OSError as error:
        raise SettingsError([f"{file}: can't be read ({error.strerror})."]) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError([f"{file}: line {line} is no UTF-8 text. Save the file as UTF-8."]) from error
    return {name: value or "" for name, value in dotenv_values(stream=text, interpolate=False).items()}
