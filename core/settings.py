"""Everything a host can set, read once from the environment and ``.env``; the only place that reads either.

``FIELDS`` of the dataclass carry their help in metadata, from which ``.env.example`` is written (``make
env-example``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo" / "models"

PROFILES: dict[str, dict[str, str]] = {
    "demo": {
        "IMAGE_MODEL": str(DEMO / "stable-diffusion"),
        "CLIP_MODEL": str(DEMO / "clip"),
        "CAPTION_MODEL": str(DEMO / "captioner"),
        "VIT_MODEL": str(DEMO / "vit"),
    },
    "small": {
        "IMAGE_MODEL": "stable-diffusion-v1-5/stable-diffusion-v1-5@451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        "CLIP_MODEL": "google/siglip-base-patch16-224@7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed",
        "CAPTION_MODEL": "HuggingFaceTB/SmolVLM-256M-Instruct@7e3e67edbbed1bf9888184d9df282b700a323964",
        "VIT_MODEL": "google/vit-base-patch16-224@3f49326eb077187dfe1c2a2bb15fbd74e6ab91e3",
    },
    "large": {
        "IMAGE_MODEL": "stabilityai/stable-diffusion-xl-base-1.0@462165984030d82259a11f4367a4eed129e94a7b",
        "CLIP_MODEL": "openai/clip-vit-large-patch14@32bd64288804d66eefd0ccbe215aa642df71cc41",
        "CAPTION_MODEL": "HuggingFaceTB/SmolVLM-500M-Instruct@a7da5b986cb59b408707209984f360a5f4ad7e47",
        "VIT_MODEL": "google/vit-base-patch16-224@3f49326eb077187dfe1c2a2bb15fbd74e6ab91e3",
    },
}


def _text(value: str) -> str:
    return value


def _path(value: str) -> Path:
    return Path(value).expanduser()


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not value.lstrip("-").isdigit() or not low <= int(value) <= high:
            raise ValueError(f"takes a whole number from {low} to {high}")
        return int(value)

    return read


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError(f"takes one of: {', '.join(allowed)}")
        return value.lower()

    return read


def _ids(value: str) -> tuple[int, ...]:
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        raise ValueError("takes Discord ids (digits), separated by commas")
    return tuple(int(part) for part in parts)


def _flag(value: str) -> bool:
    if value.lower() not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
        raise ValueError("takes on or off")
    return value.lower() in ("1", "true", "yes", "on")


def _devices(value: str) -> tuple[str, ...]:
    parts = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    for part in parts:
        name, _, index = part.partition(":")
        if name not in ("auto", "cpu", "cuda", "mps", "xpu") or (index and not index.isdigit()):
            raise ValueError("takes auto, or devices such as cpu, cuda:0,cuda:1")
    return parts or ("auto",)


def _names(value: str) -> dict[str, str]:
    """name → what it stands for, of "name=value, name2=value2"."""
    named: dict[str, str] = {}
    for part in (part.strip() for part in value.split(",") if part.strip()):
        name, _, spec = (piece.strip() for piece in part.partition("="))
        if not re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,63}", name) or not spec:
            raise ValueError(
                "takes name=value pairs separated by commas; a name has letters, digits, '.', '_', '+'"
                " and '-'"
            )
        if name.lower() in (known.lower() for known in named):
            raise ValueError(f"has the name {name} twice")
        named[name] = spec
    return named


def _set(
    default: str, help: str, read: Callable[[str], Any] = _text, *, group: str, secret: bool = False
) -> Any:
    return field(
        repr=not secret,
        metadata={"default": default, "help": help, "read": read, "group": group, "secret": secret},
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Checked settings. Field names are the environment's, in lower case."""

    discord_token: str = _set("", "bot token; empty = the sandbox in a browser", group="Discord", secret=True)
    owner_ids: tuple[int, ...] = _set(
        "", "user ids that may administer everywhere, besides the application's owner", _ids, group="Discord"
    )
    home_guild_ids: tuple[int, ...] = _set(
        "",
        "servers whose managers may pause the whole queue; empty = a bot's only server",
        _ids,
        group="Discord",
    )

    data_dir: Path = _set(
        "data", "folder of the database, pictures, backups and logs", _path, group="Storage"
    )
    database_url: str = _set(
        "", "SQLAlchemy address; empty = SQLite in DATA_DIR", group="Storage", secret=True
    )
    disk_floor_mb: int = _set(
        "500", "no new job below this much free disk space, in MB", _whole(0, 10**6), group="Storage"
    )

    model_profile: str = _set(
        "demo",
        "ready set of models: demo, small (4-8 GB card), large (16-24 GB card)",
        _one_of(*PROFILES),
        group="Models",
    )
    image_model: str = _set(
        "",
        "text-to-image: Hugging Face id@revision, folder, or .safetensors file (@sha256:… pins it); empty:"
        " the profile's",
        group="Models",
    )
    image_models: dict[str, str] = _set(
        "",
        "more of them for --model: name=id@revision, …; one named v6 or niji is what --v 6 or --niji"
        " asks for",
        _names,
        group="Models",
    )
    loras: dict[str, str] = _set(
        "",
        "LoRAs for --lora: name=file.safetensors or name=id@revision, separated by commas",
        _names,
        group="Models",
    )
    tiny_vaes: dict[str, str] = _set(
        "",
        "tiny decoders (TAESD) for --draft, by family: stable-diffusion=id@revision, flux=folder, …",
        _names,
        group="Models",
    )
    clip_model: str = _set(
        "", "CLIP or SigLIP for /classify with labels; empty = the profile's", group="Models"
    )
    caption_model: str = _set("", "captioner for /describe; empty = the profile's", group="Models")
    vit_model: str = _set(
        "", "image classifier for /classify without labels; empty = the profile's", group="Models"
    )
    segment_model: str = _set(
        "",
        "CLIPSeg, which finds things by words for /region; empty = CLIP finds them, more coarsely",
        group="Models",
    )
    ip_adapter: str = _set(
        "",
        "folder of an IP-Adapter for image prompts (its .safetensors and image_encoder/); empty = none",
        group="Models",
    )
    allow_download: bool = _set(
        "on", "fetch missing models from Hugging Face at first use", _flag, group="Models"
    )
    hf_token: str = _set("", "Hugging Face token, for gated models", group="Models", secret=True)

    devices: tuple[str, ...] = _set(
        "auto", "one worker each: auto, cpu, or cuda:0,cuda:1", _devices, group="Hardware"
    )
    dtype: str = _set(
        "auto",
        "auto, float32, bfloat16 or float16",
        _one_of("auto", "float32", "bfloat16", "float16"),
        group="Hardware",
    )
    offload: str = _set(
        "auto",
        "weights on the CPU between steps: auto, none, model, sequential",
        _one_of("auto", "none", "model", "sequential"),
        group="Hardware",
    )
    cpu_threads: int = _set(
        "0", "threads of a CPU worker; 0 = measured choice", _whole(0, 256), group="Hardware"
    )
    compile: str = _set(
        "off",
        "torch.compile for the denoisers: auto (on CUDA cards), on (everywhere), off; models load longer",
        _one_of("off", "auto", "on"),
        group="Hardware",
    )
    exact: bool = _set(
        "off",
        "pictures that are the same bit for bit, whoever shares the pass they are drawn in; slower",
        _flag,
        group="Hardware",
    )

    user_running: int = _set("3", "jobs of one member running at once", _whole(1, 100), group="Limits")
    user_waiting: int = _set("10", "jobs of one member waiting", _whole(1, 10_000), group="Limits")
    guild_waiting: int = _set("200", "jobs of one server waiting", _whole(1, 100_000), group="Limits")
    max_upload_mb: int = _set("10", "largest picture that is taken in, in MB", _whole(1, 100), group="Limits")

    moderation: str = _set(
        "standard",
        "where a server has set nothing: off, standard (sexual content only in age-restricted channels),"
        " strict (nowhere)",
        _one_of("off", "standard", "strict"),
        group="Moderation",
    )
    moderation_pictures: str = _set(
        "spoiler",
        "standard: what becomes of pictures the classifier objects to: spoiler or block",
        _one_of("spoiler", "block"),
        group="Moderation",
    )
    nsfw_model: str = _set(
        "",
        "folder of an image classifier with labels such as nsfw; empty = open_nsfw, which is installed",
        group="Moderation",
    )

    ai_mark: bool = _set(
        "on",
        "pictures say in their metadata that a model made them (IPTC); the EU asks for it",
        _flag,
        group="Privacy",
    )
    picture_parameters: bool = _set(
        "on", "PNG files carry prompt, seed and settings, as other programs read them", _flag, group="Privacy"
    )
    retention_days: int = _set(
        "0",
        "days that jobs and their pictures are kept; 0 = until their author deletes them",
        _whole(0, 36_500),
        group="Privacy",
    )
    upload_days: int = _set(
        "30",
        "days that pictures people sent are kept while no job uses them",
        _whole(1, 36_500),
        group="Privacy",
    )
    backup_days: int = _set(
        "14", "days that backups are kept, deleted data in them", _whole(1, 3650), group="Privacy"
    )

    log_level: str = _set(
        "info", "debug, info, warning or error", _one_of("debug", "info", "warning", "error"), group="Running"
    )
    grace_seconds: int = _set(
        "20", "time to finish running jobs at shutdown, in seconds", _whole(0, 600), group="Running"
    )
    metrics_port: int = _set(
        "0",
        "port of /healthz and Prometheus /metrics on 127.0.0.1; 0 = off",
        _whole(0, 65535),
        group="Running",
    )
    sandbox_port: int = _set(
        "0", "port of the sandbox page on 127.0.0.1; 0 = a free one", _whole(0, 65535), group="Running"
    )
    open_browser: bool = _set("on", "open the sandbox page where there is a desktop", _flag, group="Running")

    @property
    def database(self) -> str:
        """The SQLAlchemy address really used."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'atelier.db').resolve()}"

    @property
    def models(self) -> dict[str, str]:
        """Role → model: image, clip, caption, vit."""
        profile = PROFILES[self.model_profile]
        return {
            "image": self.image_model or profile["IMAGE_MODEL"],
            "clip": self.clip_model or profile["CLIP_MODEL"],
            "caption": self.caption_model or profile["CAPTION_MODEL"],
            "vit": self.vit_model or profile["VIT_MODEL"],
            **({"segment": self.segment_model} if self.segment_model else {}),
        }


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Settings from ``environ`` (default: the process's) over ``env_file`` (default: ``.env`` here, if there
    is one).

    SettingsError lists every wrong setting at once, one readable line each.
    """
    values = {
        **_dotenv(env_file if env_file is not None else Path(".env")),
        **(os.environ if environ is None else environ),
    }
    problems, read = [], {}
    for item in fields(Settings):
        name = item.name.upper()
        raw = (values.get(name) or item.metadata["default"]).strip()
        try:
            read[item.name] = item.metadata["read"](raw)
        except ValueError as error:
            problems.append(f"{name}={raw}: {error}.")
    problems += _cross_checks(read, values)
    if problems:
        raise SettingsError(problems)
    return Settings(**read)


def _cross_checks(read: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    problems = []
    url = read.get("database_url", "")
    if url and not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        problems.append("DATABASE_URL: takes sqlite:///path or postgresql+psycopg://….")
    token = read.get("discord_token", "")
    if token and (len(token) < 10 or any(c.isspace() for c in token)):
        problems.append(
            "DISCORD_TOKEN: is too short or holds spaces; copy it again: developer portal, Bot, Reset Token."
        )
    for name in ("IMAGE_MODEL", "CLIP_MODEL", "CAPTION_MODEL", "VIT_MODEL", "SEGMENT_MODEL"):
        problem = _model_problem(values.get(name, "").strip())
        if problem:
            problems.append(f"{name}={values[name].strip()}: {problem}")
    for name in ("image_models", "loras", "tiny_vaes"):
        for key, spec in read.get(name, {}).items():
            if problem := _model_problem(spec):
                problems.append(f"{name.upper()}, {key}={spec}: {problem}")
    return problems


def _model_problem(spec: str) -> str | None:
    """Why ``spec`` can't be a model, or None. Whether it loads is ``atelier models``' to say."""
    spec = spec.partition("@sha256:")[0]
    path = Path(spec).expanduser()
    if not spec or path.exists():
        return None
    if spec.startswith(("/", "./", "../", "~")) or path.suffix:
        if path.suffix in (".ckpt", ".pt", ".pth", ".bin", ".pkl"):
            return "only .safetensors files are loaded; this format can run code."
        if spec.startswith(("/", "./", "../", "~")) or path.suffix == ".safetensors":
            return "no such file or folder."
    if spec.count("/") != 1 or " " in spec:
        return "takes a Hugging Face id such as owner/name@revision, a folder, or a .safetensors file."
    return None


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # here: keeps `atelier --help` light

    return {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}


def env_example() -> str:
    """The text of ``.env.example``: each setting with its help and default, and the profiles."""
    lines = [
        "# Settings of Atelier. Copy to .env and change what you need; every line here shows the default.",
        "",
    ]
    group = None
    for item in fields(Settings):
        meta = item.metadata
        if meta["group"] != group:
            lines += [f"# {meta['group']}"]
            group = meta["group"]
        lines += [f"# {item.name.upper()}: {meta['help']}", f"{item.name.upper()}={meta['default']}"]
    lines += ["", "# Ready profiles: set MODEL_PROFILE, or copy single lines to mix."]
    for name, models in PROFILES.items():
        lines.append(f"# MODEL_PROFILE={name}")
        lines += [
            f"#   {key}={Path(value).relative_to(ROOT) if name == 'demo' else value}"
            for key, value in models.items()
        ]
    return "\n".join(lines) + "\n"
