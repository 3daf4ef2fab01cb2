"""Rights on the bus: a file for nats-server in which the bot and each machine with workers has an account."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from core.errors import SettingsError
from core.setting.servers import word

BOT = "bot"
WORKER = "worker-"  # before a machine's name
LAUNCHER = "launcher"  # of `atelier workers`
HEAD = """# For nats-server 2.10 or newer (nats-server -c FILE), written by `atelier bus --print-config`.
# It holds passwords: chmod 600.
listen: 0.0.0.0:4222
max_payload: 8MB
max_pending: 128MB
write_deadline: "10s"
ping_interval: "10s"
ping_max: 2

# Anybody who can read the line reads prompts and pictures: give it a certificate, and use tls:// in BUS_URL.
# tls {
#   cert_file: "/etc/nats/cert.pem"
#   key_file: "/etc/nats/key.pem"
# }
"""


def config(prefix: str, machines: Sequence[str], *, launcher: bool = False) -> str:
    """Return the file. machines: their NODE_NAMEs. launcher: has an account too. Raises SettingsError for a
    name that can't be one."""
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
        accounts.append((LAUNCHER, _launcher(prefix)))
    users, notes = list[str](), list[str]()
    for user, rights in accounts:
        password = secrets.token_urlsafe(24)
        users.append(f'    {{ user: "{user}", password: "{password}",\n{rights}\n    }}')
        notes.append(f"# BUS_CREDS={user}:{password}")
    return "\n".join([HEAD, *notes, "", "authorization {", "  users: [", ",\n".join(users), "  ]", "}"])


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


def _launcher(prefix: str) -> str:
    """What a launcher may: ask how long the queue is."""
    return _rights([f"{prefix}.queue.load"], [f"_INBOX.{LAUNCHER}.>"])


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
