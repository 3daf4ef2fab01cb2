"""Logs: readable on the terminal, rotated in DATA_DIR/logs; no token, prompt or signed address ever gets
in."""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import queue
import re
import sys
from dataclasses import fields

from core.errors import StorageError
from core.redact import RedactingFormatter, Redactor
from core.settings import Settings

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def redactor(settings: Settings) -> Redactor:
    """Knows the host's secrets."""
    secrets = [getattr(settings, item.name) for item in fields(settings) if item.metadata["secret"]]
    password = re.search(r"://[^:/@]*:([^@]+)@", settings.database_url)
    return Redactor([*map(str, secrets), *([password[1]] if password else [])])


def _of_interest(record: logging.LogRecord) -> bool:
    """Atelier never speaks, and simcord looks discord.py over with a client that has no intents."""
    text = str(record.msg)
    return "voice will NOT be supported" not in text and "Guilds intent seems to be disabled" not in text


def set_up_logs(settings: Settings) -> None:
    """To the terminal and DATA_DIR/logs, redacted. StorageError where that can't be written to."""
    redact = redactor(settings)
    folder = settings.data_dir / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            folder / "atelier.log", maxBytes=5_000_000, backupCount=5, encoding="utf-8"
        )
    except OSError as error:
        raise StorageError(
            f"can't write to {folder} ({error.strerror}). Set DATA_DIR to a folder you may write to."
        ) from error
    terminal = logging.StreamHandler(sys.stderr)
    for handler in (terminal, file):
        handler.setFormatter(RedactingFormatter(_FORMAT, redact))
    # A slow disk or terminal must not hold the event loop up, so another thread writes
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(lines)
    handler.addFilter(_of_interest)
    logging.getLogger().addHandler(handler)
    listener = logging.handlers.QueueListener(lines, terminal, file)
    listener.start()
    atexit.register(listener.stop)
    logging.getLogger().setLevel(settings.log_level.upper())
    for noisy in ("discord", "alembic", "asyncio", "PIL"):  # below warning they tell little, or too much
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
