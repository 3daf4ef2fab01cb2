"""Logs: readable on the terminal, rotated in DATA_DIR/logs; no token, prompt or signed address ever gets in."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys

from core.settings import Settings

_SECRETS = (
    re.compile(r"(/(?:webhooks|interactions)/\d+/)[\w.\-]+"),
    re.compile(r"[\w-]{23,30}\.[\w-]{6,7}\.[\w-]{27,}"),
    re.compile(r"([?&](?:ex|is|hm)=)[0-9a-f]+"),
)
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class Redact(logging.Formatter):
    """Takes tokens out of the finished line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for pattern in _SECRETS:
            text = pattern.sub(lambda m: (m[1] if m.re.groups else "") + "[redacted]", text)
        return text


def _of_interest(record: logging.LogRecord) -> bool:
    """Atelier never speaks, and simcord looks discord.py over with a client that has no intents."""
    text = str(record.msg)
    return "voice will NOT be supported" not in text and "Guilds intent seems to be disabled" not in text


def set_up_logs(settings: Settings) -> None:
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(folder / "atelier.log", maxBytes=5_000_000, backupCount=5, encoding="utf-8")
    for handler in (logging.StreamHandler(sys.stderr), file):
        handler.setFormatter(Redact(_FORMAT))
        handler.addFilter(_of_interest)
        logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(settings.log_level.upper())
    for noisy in ("discord", "aiosqlite", "alembic", "asyncio", "PIL"):  # below warning they tell little, or too much
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
