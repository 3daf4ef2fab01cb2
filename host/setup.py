"""``atelier setup``: asks for the basic settings, one after the other, and writes them into ``.env``."""

from __future__ import annotations

import base64
import binascii
import getpass
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import Field
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from core.profiles import PROFILES
from core.settings import basic_settings, env_example, env_text, load_settings, read_value, values_of
from vision import describe_models
from vision.weights import memory

TOKEN = re.compile(r"([\w-]{23,30})\.[\w-]{6,7}\.[\w-]{27,}", re.ASCII)
PLAIN = re.compile(r"[^\s'\"#\\$`]+( [^\s'\"#\\$`]+)*")  # needs no quotes in .env
CARDS = {"small": 8, "medium": 12, "large": 16, "xlarge": 24}  # GB of the card that a profile is for
DOWNLOADS = {  # GB of a model of the profiles, as its weights are stored; computed by its shapes
    "black-forest-labs/FLUX.2-klein-4B": 16.0,
    "stabilityai/stable-diffusion-xl-base-1.0": 6.9,
    "Tongyi-MAI/Z-Image-Turbo": 32.8,
    "baidu/ERNIE-Image-Turbo": 23.9,
    "Qwen/Qwen-Image-2512": 57.7,
    "Qwen/Qwen3-VL-2B-Instruct": 4.3,
    "Qwen/Qwen3-VL-4B-Instruct": 8.9,
    "Qwen/Qwen3-VL-8B-Instruct": 17.5,
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": 22.8,
    "google/siglip2-base-patch16-224": 1.5,
    "google/vit-base-patch16-224": 0.3,
}


def application_of(token: str) -> int:
    """Return the id of the application that a bot's token is of; nobody is asked. Raises ValueError for what
    doesn't have the form of a token."""
    found = TOKEN.fullmatch(token)
    with suppress(binascii.Error, UnicodeDecodeError):
        text = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)).decode() if found else ""
        if re.fullmatch(r"\d{15,20}", text, re.ASCII):
            return int(text)
    raise ValueError(
        "takes a bot's token, of three parts with dots between; copy it again: developer portal, Bot, Reset"
        " Token"
    )


def invite_link(application: int) -> str:
    """Return the address by which a bot is invited, with the permissions that it needs."""
    import discord  # here: nobody else needs it

    permissions = discord.Permissions(
        view_channel=True,
        send_messages=True,
        send_messages_in_threads=True,
        create_public_threads=True,
        attach_files=True,
        read_message_history=True,
    )
    scopes = ("bot", "applications.commands")
    return discord.utils.oauth_url(application, permissions=permissions, scopes=scopes)


def downloads(profile: str) -> tuple[float, float]:
    """Return how many GB a profile downloads: the models that are always used, and with all for --model."""
    models = PROFILES[profile]
    usual = {spec.partition("@")[0] for name, spec in models.items() if name.endswith("_MODEL")}
    chosen = {part.partition("=")[2].partition("@")[0] for part in models.get("IMAGE_MODELS", "").split(",")}
    always, more = (sum(DOWNLOADS.get(name, 0.0) for name in names) for names in (usual, chosen - usual))
    return round(always, 1), round(always + more, 1)  # the same in any order of a set


def proposed_profile(devices: list[dict[str, Any]]) -> str:
    """Return the largest profile that the largest card has room for; without a card the demo's."""
    cards = [entry["memory"] for entry in devices if entry["device"] != "cpu"]
    fit = [name for name, size in CARDS.items() if max(cards, default=0) >= size * 10**9]
    return fit[-1] if fit else "demo"


def profile_lines(devices: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each profile: its card, its download, and how long a picture takes here at least."""
    yield "demo     no card     no download, simple scenes, seconds a picture"
    fastest = max(devices, key=lambda entry: entry.get("flops", 0), default={})
    for name, size in CARDS.items():
        always, most = downloads(name)
        repository = PROFILES[name]["IMAGE_MODEL"].partition("@")[0]
        seconds = memory.flops(repository) / fastest["flops"] if fastest.get("flops") else 0
        speed = f", at least {seconds:.1f} s a picture" if 0 < seconds < 60 else ""
        speed = f", {seconds / 60:.0f} min a picture or more" if seconds >= 60 else speed
        yield f"{name:<8} {size:>2} GB card  {always:.0f} GB to download, {most:.0f} with all models{speed}"


def written(text: str, values: Mapping[str, str]) -> str:
    """Return the text of a ``.env`` file with these values: in their lines where they have one, else at its
    end. All other lines stay as they are."""
    lines, rest = text.splitlines(), dict(values)
    for number, line in enumerate(lines):
        name = line.partition("=")[0].strip().removeprefix("export ").strip()
        if "=" in line and name in values:
            lines[number] = f"{name}={quoted(values[name])}"
            rest.pop(name, None)
    return "\n".join([*lines, *(f"{name}={quoted(value)}" for name, value in rest.items())]) + "\n"


def quoted(value: str) -> str:
    """Return a value as ``.env`` has it."""
    if not value or PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def put_file(file: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    file = file.resolve()
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".env.")  # with mode 600
    try:
        with open(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(handle)
        if file.exists() and hasattr(os, "chown"):
            with suppress(PermissionError):
                os.chown(name, file.stat().st_uid, file.stat().st_gid)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def asked(item: Field[Any], usual: str) -> str:
    """Ask for a setting until the answer is one that it takes. usual: what Enter keeps. Raises EOFError."""
    name, secret = item.name.upper(), item.metadata["secret"]
    shown = ("kept as it is" if usual else "empty") if secret else usual or "empty"
    print(f"\n{item.metadata['help']}")
    while True:
        prompt = f"{name} [{shown}]: "
        answer = (getpass.getpass(prompt) if secret else input(prompt)).strip().strip("\"'")
        value = "" if answer == "-" else answer or usual
        try:
            if answer and value and secret:
                application_of(value)
            read_value(item, value or item.metadata["default"])
        except ValueError as error:
            print(f"  {name}: {error}.")
            continue
        return value


def setup(file: Path = Path(".env")) -> int:
    """Ask, write, and check. Return the exit status: that of the doctor, 1 without a terminal or without an
    answer, 2 where the file is wrong."""
    if not sys.stdin.isatty():
        print("`atelier setup` asks at a terminal. Without one, write these lines into .env yourself and run")
        print(f"`chmod 600 .env`:\n\n{env_example()}\nThen run `atelier doctor`.")
        return 1
    text = env_text(file)
    before = values_of(text)
    print(
        "Eight questions. Enter takes what is in brackets, - leaves a setting empty, Ctrl+C changes nothing."
    )
    print("Looking at this machine …", flush=True)
    try:
        values = answers(before)
        changed = {name: value for name, value in values.items() if value != before.get(name)}
        if changed or not file.exists():
            print()
            for name, value in changed.items():
                old = f" (before: {before[name] or 'empty'})" if name in before else ""
                print(f"  {name}: set" if name == "DISCORD_TOKEN" and value else f"  {name}={value}{old}")
            if input(f"Write this to {file.absolute()}? [Y/n] ").strip().lower() not in ("", "y", "yes"):
                print("Nothing was changed.")
                return 1
            put_file(file, written(text or env_example(), changed))
    except EOFError:
        print("\nNothing was changed.")
        return 1
    file.chmod(0o600)
    try:
        settings = load_settings(env_file=file)
    except SettingsError as error:
        print("\nThese settings are still wrong:", *(f"  - {line}" for line in error.problems), sep="\n")
        return 2
    from host.doctor import doctor  # here: it loads much

    print("\n`atelier doctor` checks it, and asks Discord whether the token is right:\n", flush=True)
    status = doctor(settings)
    if settings.discord_token:
        with suppress(ValueError):
            print(f"\nInvite the bot: {invite_link(application_of(settings.discord_token))}")
    print("`make run` starts it.")
    return status


def answers(before: Mapping[str, str]) -> dict[str, str]:
    """Return what the host answers, by setting. before: what is set. Raises EOFError where nobody answers."""
    devices = describe_models.probe_devices()
    for entry in devices:
        print(f"  {entry['device']}: {entry['name']}, {entry['memory'] / 10**9:.1f} GB")
    values: dict[str, str] = {}
    for item in basic_settings():
        name = item.name.upper()
        usual = before.get(name) or item.metadata["default"]
        if name in os.environ:
            print(f"\n{name} is set in the environment, which wins over .env.")
        if name == "MODEL_PROFILE":
            usual = before.get(name) or proposed_profile(devices)
            print("", *profile_lines(devices), sep="\n  ")
        elif name == "DATA_DIR":
            print(f"\n  {shutil.disk_usage(Path.cwd()).free / 10**9:.0f} GB are free in {Path.cwd()}.")
        elif name == "WEB_PORT":
            usual = before.get(name) or "8080"
        elif name == "PUBLIC_URL" and values["WEB_PORT"] == "0":
            continue
        values[name] = asked(item, usual)
    return values
