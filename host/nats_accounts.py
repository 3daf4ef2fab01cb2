"""Rights on the bus: a file for nats-server in which the bot and each machine with workers has an account."""

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from core.errors import SettingsError
from core.settings import word

BOT = "bot"
WORKER = "worker-"  # before a machine's name
LAUNCHER = "launcher"  # of `atelier workers`
HEAD = """# For nats-server 2.10 or newer (nats-server -c FILE), written by `atelier bus --print-config`.
{note}
listen: 0.0.0.0:4222
max_payload: 8MB
max_pending: 128MB
write_deadline: "10s"
ping_interval: "10s"
ping_max: 2

# Anyone on the network can read prompts and pictures: add a certificate, and use tls:// in BUS_URL.
# tls {
#   cert_file: "/etc/nats/cert.pem"
#   key_file: "/etc/nats/key.pem"
# }
"""


def server_config(prefix: str, machines: Sequence[str], *, launcher: bool = False) -> str:
    """Return the file, with a password for each account and their BUS_CREDS as notes. machines: their
    NODE_NAMEs. Raises SettingsError for a name that can't be one."""
    users, notes = list[str](), list[str]()
    for user, rights in _accounts(prefix, machines, launcher=launcher):
        password = secrets.token_urlsafe(24)
        users.append(f'    {{ user: "{user}", password: "{password}",\n{rights}\n    }}')
        notes.append(f"# BUS_CREDS={user}:{password}")
    return _file("# It holds passwords: chmod 600.", notes, users)


def server_config_by_keys(
    prefix: str, machines: Sequence[str], folder: Path, *, launcher: bool = False
) -> tuple[str, list[Path]]:
    """Return a file that holds no secret, but the public half of a key for each account, and the files in
    ``folder`` that were made for BUS_CREDS with the other half. Raises SettingsError for a name that can't be
    one, where nkeys is missing, and rather than write over a file."""
    accounts = _accounts(prefix, machines, launcher=launcher)
    there = [path for user, _ in accounts if (path := folder / f"{user}.creds").exists()]
    if there:
        raise SettingsError([f"{there[0]} is there already; its key would be lost."])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users, made = list[str](), list[Path]()
    for user, rights in accounts:
        public, seed = _key()
        made.append(folder / f"{user}.creds")
        with open(os.open(made[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{user}:{seed}\n")
        users.append(f'    {{ nkey: "{public}",  # {user}\n{rights}\n    }}')
    return _file("# It holds no secrets: those are the programs' own.", [], users), made


def _key() -> tuple[str, str]:
    """Make a key of a user. Return its public half and its seed."""
    try:
        import nkeys
    except ModuleNotFoundError as error:
        raise SettingsError(["keys need the package nkeys: make setup EXTRAS=nkeys."]) from error
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    public: bytes = nkeys.from_seed(bytearray(seed)).public_key
    return public.decode(), seed.decode()


def _accounts(prefix: str, machines: Sequence[str], *, launcher: bool) -> list[tuple[str, str]]:
    for name in machines:
        try:
            if not word(name):
                raise ValueError("takes a name")
        except ValueError as error:
            raise SettingsError([f"{name!r}: {error}."]) from error
    if len(set(machines)) != len(machines):
        raise SettingsError(["each machine is named once."])
    accounts = [(BOT, _bot(prefix)), *((f"{WORKER}{name}", _worker(prefix, name)) for name in machines)]
    if launcher:
        accounts.append((LAUNCHER, _rights([f"{prefix}.queue.load"], [f"_INBOX.{LAUNCHER}.>"])))
    return accounts


def _file(note: str, notes: Sequence[str], users: Sequence[str]) -> str:
    head = HEAD.replace("{note}", note)
    return "\n".join([head, *notes, "", "authorization {", "  users: [", ",\n".join(users), "  ]", "}"])


def _bot(prefix: str) -> str:
    """What a bot may: order, hold, ask and answer; and all that bots say among themselves."""
    says = ["run.*", "stop.*", "hold.*", "ask.*", "forget", "queue.>", "gate.>", "bot.>"]
    hears = ["beat.*", "job.*", "done.*", "file.*", "put.*", "queue.>", "gate.>", "bot.>"]
    return _rights(
        [*(f"{prefix}.{one}" for one in says), "_INBOX.>"],
        [*(f"{prefix}.{one}" for one in hears), f"_INBOX.{BOT}.>"],
    )


def _worker(prefix: str, name: str) -> str:
    """What a machine with workers may: say what it has and does, and hear what is said to it."""
    says = [f"beat.{name}", "job.*", f"done.{name}", f"file.{name}", f"put.{name}"]
    hears = [f"run.{name}", f"stop.{name}", f"hold.{name}", f"ask.{name}", "forget"]
    return _rights(
        [f"{prefix}.{one}" for one in says],
        [*(f"{prefix}.{one}" for one in hears), f"_INBOX.{WORKER}{name}.>"],
        answers=True,
    )


def _rights(says: Sequence[str], hears: Sequence[str], *, answers: bool = False) -> str:
    lines = [
        "      permissions: {",
        f"        publish: {{ allow: [{_quoted(says)}] }}",
        f"        subscribe: {{ allow: [{_quoted(hears)}] }}",
    ]
    if answers:  # to whoever asked, once, and within the time that a question may take
        lines.append('        allow_responses: { max: 1, expires: "3m" }')
    return "\n".join([*lines, "      }"])


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def read_accounts(path: Path, machines: Sequence[str]) -> dict[str, str]:
    """Return the BUS_CREDS of each machine from a file that ``config`` has written, or its lines such
    as ``BUS_CREDS=worker-card1:password``. Raises SettingsError, also where a machine has none."""
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError([f"--creds {path}: can't be read ({why})."]) from error
    line = re.compile(rf"^(?:#\s*)?(?:BUS_CREDS=)?({WORKER}([A-Za-z0-9_-]+):\S+)\s*$", re.M)
    found = {match[2]: match[1] for match in line.finditer(text)}
    if missing := [name for name in machines if name not in found]:
        wanted = f"`atelier bus --print-config … {' '.join(missing)} --launcher` writes accounts"
        raise SettingsError([f"--creds {path}: no account for {', '.join(missing)}; {wanted}."])
    return {name: found[name] for name in machines}
