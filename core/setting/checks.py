"""Checks of settings that need more than one value, or a look at the disk."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MODELS = (
    "IMAGE_MODEL",
    "CLIP_MODEL",
    "CAPTION_MODEL",
    "VIT_MODEL",
    "SEGMENT_MODEL",
    "VIDEO_MODEL",
    "CONTROLNET_MODEL",
    "ASK_MODEL",
    "EDIT_MODEL",
)


def cross_checks(read: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """Return a sentence for each setting that is wrong beside the others, or names what isn't there.

    read: settings by field, those that could be read. values: their texts by name.
    """
    problems = []
    url = read.get("database_url", "")
    if url and not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        problems.append("DATABASE_URL: takes sqlite:///path or postgresql+psycopg://….")
    if url.startswith("sqlite:///") and "?" in url:
        problems.append("DATABASE_URL: takes no options behind a ? for SQLite.")
    if url.startswith("postgresql") and sys.platform == "win32":
        problems.append("DATABASE_URL: PostgreSQL can't be used on Windows; leave it empty, or use WSL.")
    tokens, context = read.get("ask_tokens", 0), read.get("ask_context", 0)
    if tokens >= context > 0:
        problems.append(f"ASK_TOKENS={tokens}: an answer has to leave room in ASK_CONTEXT={context}.")
    if (port := read.get("web_port")) and port == read.get("metrics_port"):
        problems.append(f"METRICS_PORT={port}: WEB_PORT is the same; each needs its own.")
    if read.get("bus_url") and not read.get("bus_prefix"):
        problems.append("BUS_PREFIX: takes a word, such as at.")
    if (path := read.get("bus_ca")) and not Path(path).is_file():
        problems.append(f"BUS_CA={path}: no such file.")
    token = read.get("discord_token", "")
    if token and (len(token) < 10 or not token.isascii() or any(c.isspace() for c in token)):
        problems.append(
            "DISCORD_TOKEN: is too short, or holds spaces or curly quotes; copy it again: developer portal,"
            " Bot, Reset Token."
        )
    host, public = read.get("web_host", ""), read.get("public_url", "")
    here = urlsplit(public).hostname in LOOPBACK  # a container whose port this machine alone reaches
    if host not in LOOPBACK and not public.startswith("https://") and not here:
        problems.append(
            f"WEB_HOST={host}: other machines may come only by https. Set PUBLIC_URL to the https:// address"
            " of the proxy in front, or to http://localhost:PORT if only this machine may come."
        )
    if read.get("discord_client_secret") and not read.get("discord_client_id"):
        problems.append("DISCORD_CLIENT_SECRET: needs DISCORD_CLIENT_ID beside it.")
    if bool(read.get("c2pa_certificate")) != bool(read.get("c2pa_key")):
        problems.append("C2PA_CERTIFICATE and C2PA_KEY: each needs the other.")
    for name in ("c2pa_certificate", "c2pa_key"):
        if (path := read.get(name)) and not Path(path).is_file():
            problems.append(f"{name.upper()}={path}: no such file.")
    for name in MODELS:
        problem = _model_problem(values.get(name, "").strip())
        if problem:
            problems.append(f"{name}={values[name].strip()}: {problem}")
    if read.get("offload") == "sequential" and read.get("quantize") not in ("auto", "off"):
        problems.append("QUANTIZE: only off and auto go with OFFLOAD=sequential.")
    for name in ("image_models", "video_models", "loras", "tiny_vaes"):
        for key, spec in read.get(name, {}).items():
            if problem := _model_problem(spec):
                problems.append(f"{name.upper()}, {key}={spec}: {problem}")
    return problems


def _model_problem(spec: str) -> str | None:
    """Return why ``spec`` can't name a model, or None. Only ``atelier models`` knows whether it loads."""
    spec = spec.partition("@sha256:")[0]
    path = Path(spec).expanduser()
    if not spec or path.exists():
        return None
    if spec.startswith(("/", "./", "../", "~")) or path.suffix:
        if path.suffix in (".ckpt", ".pt", ".pth", ".bin", ".pkl"):
            return "only .safetensors files are loaded; this format can run code."
        if spec.startswith(("/", "./", "../", "~")) or path.suffix in (".safetensors", ".gguf"):
            return "no such file or folder."
    owner = spec.partition("/")[0]
    if "/" in spec and (owner in ("models", "checkpoints", "weights", "loras") or Path(owner).is_dir()):
        return "no such folder."
    if spec.count("/") != 1 or " " in spec:
        return (
            "takes a Hugging Face id such as owner/name@revision, a folder, or a .safetensors or .gguf file."
        )
    return None
