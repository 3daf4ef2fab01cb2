"""Secrets that people carry in a cookie or a link. A row never holds one, only its SHA-256."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_BYTES = 32


def new_token() -> str:
    """Return a secret of 256 bits, in 43 letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> str:
    """Return what a row keeps of a secret."""
    return hashlib.sha256(token.encode()).hexdigest()
