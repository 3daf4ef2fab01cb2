"""Who a program is on the bus: what BUS_CREDS holds, as the client takes it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BusError

MOST = 64 * 2**10  # bytes of a file
_SEED = re.compile(r"SU[A-Z2-7]{56}")
_USER = re.compile(r"([A-Za-z0-9_-]{1,63}):(\S+)")
FORMS = (
    "BUS_CREDS takes user:password, user:seed of an nkey, a seed alone, NATS's credentials, or the path of a"
    " file with one"
)
NEEDS = (
    "BUS_CREDS holds {what}, which takes the package nkeys: make setup EXTRAS=nkeys. Without it"
    " BUS_CREDS takes user:password."
)


@dataclass(frozen=True)
class Known:
    """user: the name on the bus, "" where only the server knows it: then it is the node's. options: of the
    client."""

    user: str = ""
    options: dict[str, Any] = field(default_factory=dict, repr=False)


def credentials(text: str) -> Known:
    """Return what ``text`` says, or the file that it names. Raises BusError."""
    if not text:
        return Known()
    found = _read(text)
    if found is not None:
        return found
    try:
        with Path(text).expanduser().open("rb") as file:
            held = file.read(MOST).decode().strip()
    except (OSError, ValueError) as error:
        raise BusError(f"{FORMS}; it can't be read: {type(error).__name__}") from error
    found = _read(held)
    if found is None:
        raise BusError(f"{FORMS}; the file holds none of them")
    return found


def _read(text: str) -> Known | None:
    if "-----BEGIN NATS USER JWT-----" in text:
        _check_nkeys("NATS's credentials")
        from nats.aio.client import RawCredentials

        return Known(options={"user_credentials": RawCredentials(text)})
    if _SEED.fullmatch(text):
        return _by_seed("", text)
    if (pair := _USER.fullmatch(text)) is not None:
        if _SEED.fullmatch(pair[2]):
            return _by_seed(pair[1], pair[2])
        return Known(pair[1], {"user": pair[1], "password": pair[2]})
    return None


def _by_seed(user: str, seed: str) -> Known:
    """A program that signs what the server sends it. The server isn't told ``user``: its rights are the
    key's, and name the subjects that answers come by."""
    _check_nkeys("an nkey's seed")
    return Known(user, {"nkeys_seed_str": seed})


def _check_nkeys(what: str) -> None:
    if importlib.util.find_spec("nkeys") is None:
        raise BusError(NEEDS.format(what=what))
