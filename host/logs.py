"""Logs on the terminal and, rotated, in DATA_DIR/logs. No token, prompt or signed address ever gets in."""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import queue
import re
import sys
import time
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote

from core.errors import StorageError
from core.redact import RedactingFormatter, Redactor
from core.settings import Settings, known_parts

Lines = queue.SimpleQueue[logging.LogRecord]
WRITE_EVERY = 0.05  # seconds between two batches of lines
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def redactor(settings: Settings) -> Redactor:
    """Return a redactor that knows the secrets among the settings."""
    secrets = [getattr(settings, item.name) for item in fields(settings) if item.metadata["secret"]]
    password = re.search(r"://[^:/@]*:(.+)@", settings.database_url)
    parts = [password[1], unquote(password[1])] if password else []
    return Redactor([*map(str, secrets), *parts, *known_parts(settings.bus_creds)])


class _Writer(logging.handlers.QueueListener):
    """The thread that writes. It does so in batches: to wake it takes the interpreter from the event loop."""

    def __init__(self, lines: Lines, *handlers: logging.Handler) -> None:
        super().__init__(lines, *handlers)
        self._lines = lines

    def dequeue(self, block: bool) -> logging.LogRecord:
        """Return the next line, after a pause if there is none yet."""
        if self._lines.empty():
            time.sleep(WRITE_EVERY)
        return self._lines.get(block)


def _of_interest(record: logging.LogRecord) -> bool:
    """Whether a record may matter: Atelier never uses voice, and simcord opens a client without intents."""
    text = str(record.msg)
    return "voice will NOT be supported" not in text and "Guilds intent seems to be disabled" not in text


def set_up_logs(settings: Settings, *, name: str = "atelier") -> None:
    """Write what is logged from now on to the terminal and DATA_DIR/logs, redacted. name: of the file, which
    no other process may write to.

    Raises StorageError when that folder can't be written to.
    """
    terminal, file = logging.StreamHandler(sys.stderr), _log_file(settings.data_dir / "logs", name)
    for handler in (terminal, file):
        handler.setFormatter(RedactingFormatter(_FORMAT, redactor(settings)))
    # A slow disk or terminal must not hold the event loop up, so another thread writes
    lines: Lines = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(lines)
    handler.addFilter(_of_interest)
    logging.getLogger().addHandler(handler)
    listener = _Writer(lines, terminal, file)
    listener.start()
    atexit.register(listener.stop)
    logging.getLogger().setLevel(settings.log_level.upper())
    for noisy in ("discord", "alembic", "asyncio", "PIL"):  # below warning they tell little, or too much
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def _log_file(folder: Path, name: str) -> logging.Handler:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return logging.handlers.RotatingFileHandler(
            folder / f"{name}.log", maxBytes=5_000_000, backupCount=5, encoding="utf-8"
        )
    except OSError as error:
        raise StorageError(
            f"can't write to {folder} ({error.strerror}). Set DATA_DIR to a folder you may write to."
        ) from error
