"""The accounts of agents on the bus: what BUS_CREDS each of them gets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.errors import SettingsError
from host.elsewhere.rights import WORKER

MOST = 2**20  # bytes of a file
_LINE = re.compile(rf"^(?:#\s*)?(?:BUS_CREDS=)?({WORKER}([A-Za-z0-9_-]+):\S+)\s*$", re.M)


def read(path: Path) -> dict[str, str]:
    """Return the accounts of a file, by the agent's name: lines such as ``BUS_CREDS=worker-ray-1:password``,
    as ``atelier bus --print-config`` writes them. Raises SettingsError."""
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(MOST).decode()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError([f"--creds {path}: can't be read ({why})."]) from error
    found = {match[2]: match[1] for match in _LINE.finditer(text)}
    if not found:
        raise SettingsError([f"--creds {path}: holds no line such as BUS_CREDS={WORKER}ray-1:password."])
    return found


def check(accounts: Mapping[str, str], names: Iterable[str]) -> None:
    """Raise SettingsError where an agent has no account."""
    if missing := [name for name in names if name not in accounts]:
        wanted = f"`atelier bus --print-config … {' '.join(missing)} --launcher` writes accounts"
        raise SettingsError([f"--creds: no account for {', '.join(missing)}; {wanted}."])
