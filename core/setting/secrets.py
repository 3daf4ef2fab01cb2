"""Secrets that stand in files of their own, as Docker, Kubernetes and systemd hand them out: the file of
``DISCORD_TOKEN_FILE`` holds DISCORD_TOKEN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

MOST = 64 * 2**10  # bytes of a secret
SUFFIX = "_FILE"


def from_files(values: Mapping[str, str], names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return the secrets that files hold, by name, and a line for each file that is wrong. values: settings
    as text. names: those that are secret."""
    found, problems = dict[str, str](), list[str]()
    for name in names:
        path = values.get(f"{name}{SUFFIX}", "").strip()
        if not path:
            continue
        if values.get(name):
            problems.append(f"{name}{SUFFIX}: {name} is set too; which one is meant?")
            continue
        try:
            with Path(path).expanduser().open("rb") as file:
                found[name] = file.read(MOST).decode().strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            problems.append(f"{name}{SUFFIX}={path}: can't be read ({why}).")
    return found, problems


def known_parts(text: str) -> list[str]:
    """Return what nobody may see of a secret such as user:password, or of the file that it names, as far as
    that can be read."""
    with suppress(OSError, ValueError), Path(text).expanduser().open("rb") as file:
        text = file.read(MOST).decode()
    lines = [line.strip() for line in text.splitlines() if not line.startswith("---")]
    return [*lines, *(line.partition(":")[2] for line in lines)]
