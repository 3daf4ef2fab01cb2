"""``atelier doctor``: every problem comes with its fix. What doctor says of a database server."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
from aiohttp import web
from safetensors.numpy import save_file

from core import profiles
from core.errors import ModelError
from core.settings import ROOT, secret_files
from core.settings import load_settings as load_settings
from host import doctor as doctor_module
from host import doctor_services
from host.cli import main
from host.doctor import activity, doctor, model_problems, sign_in
from host.doctor_services import Server, ask_server, check_server, check_videos
from storage.database import open_database
from storage.engines import sqlite
from storage.identity import MARK
from tests.support.hub import COMMIT, serving
from vision import describe_models
from vision.readers.photo import fetch as photo_fetch


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run it on a machine with a processor, and with ``cards`` graphics cards → (exit status, what it
    printed). Where the worker's libraries aren't installed it says just that."""
    if find_spec("torch") is None:
        pytest.skip("torch isn't installed")

    def examined(
        cards: int = 0, bfloat16: bool = True, flops: float = 1e11, **environment: str
    ) -> tuple[int, str]:
        found = [
            {
                **{"device": name, "name": name, "memory": 2**34, "free": 2**33, "bfloat16": bfloat16},
                **({"flops": flops} if name == "cpu" else {}),
            }
            for name in ("cpu", *(f"cuda:{n}" for n in range(cards)))
        ]
        monkeypatch.setattr(describe_models, "probe_devices", lambda: found)
        settings = load_settings({"DATA_DIR": str(tmp_path), **environment}, Path("/nonexistent/.env"))
        return doctor(settings), capsys.readouterr().out

    return examined


def test_a_fresh_machine_is_ready(examine) -> None:
    status, text = examine()
    assert status == 0 and "WRONG" not in text and text.rstrip().endswith("Ready.")
    assert "image: stable-diffusion" in text and "no DISCORD_TOKEN" in text


def test_a_folder_of_pictures_that_is_not_mounted_is_told_and_not_made(examine, tmp_path: Path) -> None:
    folder = tmp_path / "nas" / "pictures"
    status, text = examine(FILES_URL=f"files:{folder}")
    assert status == 0 and f"Files      in {folder}" in text and not folder.exists()
    (tmp_path / "studio").write_text("a studio that was started")
    status, text = examine(FILES_URL=f"files:{folder}")
    assert status == 1 and "mount its disk" in text and not folder.exists()


def test_what_the_last_sweep_did_and_left_is_told(examine, tmp_path: Path) -> None:
    assert "Expired" not in examine()[1]
    noted = {"at": 0.0, "seen": 0.0, "done": ["2 uploads were deleted"], "problems": ["the clock is off"]}
    (tmp_path / "janitor.json").write_text(json.dumps(noted))
    status, text = examine()
    assert status == 0 and "2 uploads were deleted" in text and "note  Expired    the clock is off" in text


@pytest.mark.parametrize(
    ("version", "day", "ok"),
    [
        ("16.1.0", date(2026, 12, 1), True),
        ("16.1.0", date(2027, 2, 1), None),
        ("16.2.5", date(2027, 2, 1), None),
        ("15.0.0", date(2026, 12, 1), None),
        ("19.0.2", date(2027, 9, 1), True),
        ("19.0.2", date(2027, 10, 1), None),
        ("20.0.0", date(2030, 1, 1), True),
    ],
)
def test_a_reader_of_videos_that_is_a_year_old_is_told(version: str, day: date, ok: bool | None) -> None:
    check = check_videos("auto", version, day)
    assert check.ok is ok and version in check.found
    assert ("upgrade av" in check.fix) == (ok is None)


def test_an_encoder_that_isn_t_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"libopenh264"})
    assert "libopenh264" in check_videos("auto", "19.0.2", date(2026, 12, 1)).found
    check = check_videos("vp9", "19.0.2", date(2026, 12, 1))
    assert check.ok is False and "VIDEO_ENCODER=vp9" in check.found and "VIDEO_ENCODER=auto" in check.fix


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "status", "words"),
    [
        ((3, 10, 9), 1, "WRONG Python"),
        ((3, 13, 0), 0, "ok    Python"),
        ((3, 14, 4), 0, "note  Python     3.14.4, whose garbage collector lets memory grow"),
        ((3, 14, 5), 0, "ok    Python"),
    ],
)
def test_pythons_with_known_trouble_are_named(examine, monkeypatch, version, status, words) -> None:
    monkeypatch.setattr("sys.version_info", version)
    found, text = examine()
    assert found == status and words in text


@pytest.mark.parametrize(("flops", "told"), [(1e10, "68 min or more"), (1e9, "11 h or more")])
def test_how_long_a_picture_takes_without_a_card_is_told(examine, flops: float, told: str) -> None:
    model = {"IMAGE_MODEL": "stable-diffusion-v1-5/stable-diffusion-v1-5"}
    status, text = examine(flops=flops, **model)
    assert status == 0 and f"{model['IMAGE_MODEL']} takes {told}" in text
    assert text.rstrip().endswith("Ready, but slow.")
    assert "Speed" not in examine(cards=1, flops=flops, **model)[1]
    assert "takes minutes" in examine(flops=flops, MODEL_PROFILE="small", IMAGE_MODEL="owner/unknown")[1]


def test_a_device_that_is_not_there_is_named_with_those_that_are(examine) -> None:
    status, text = examine(cards=1, DEVICES="cuda:1")
    assert status == 1 and "DEVICES names cuda:1, which isn't here" in text and "cpu, cuda:0, or auto" in text
    assert examine(cards=2, DEVICES="cuda:1")[0] == 0


def test_what_an_extra_would_bring_is_told_and_a_card_that_torch_doesnt_see(
    examine, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(doctor_module, "NVIDIA", tmp_path)
    monkeypatch.setattr(profiles, "is_installed", lambda package: package not in ("rapidocr", "scipy"))
    status, text = examine()
    assert status == 0 and "make setup EXTRAS=train,ocr" in text and "torch doesn't see it" in text
    assert "EXTRAS=train\n" in examine(OCR="off")[1] and "doesn't see" not in examine(cards=1)[1]
    monkeypatch.setattr(profiles, "is_installed", lambda package: True)
    assert "Extras" not in examine()[1]


@pytest.mark.parametrize(
    ("cards", "devices", "warned"),
    [(0, "auto", True), (0, "cpu", True), (1, "cpu,cuda:0", True), (1, "auto", False)],
)
def test_float16_on_a_processor_is_slow(examine, cards: int, devices: str, warned: bool) -> None:
    status, text = examine(cards, DEVICES=devices, DTYPE="float16")
    assert status == 0 and ("slower in float16" in text) is warned
    assert "slower in" not in examine(cards, DEVICES=devices)[1]


def test_each_card_is_told_how_the_image_model_is_held(examine, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("vision.weights.memory.installed", lambda device: frozenset({"int8", "fp8", "nf4"}))
    text = examine(cards=2)[1]
    assert text.count("stable-diffusion on cuda:") == 2 and "as it is, all of it on the device" in text
    asked = {"QUANTIZE": "int8", "OFFLOAD": "model", "DEVICES": "cuda:0"}
    text = examine(cards=2, **asked)[1]
    assert text.count("as it is, each part on the device while it is needed") == 1, "it has a LoRA of its own"
    without = tmp_path / "plain"
    shutil.copytree(ROOT / "demo" / "models" / "stable-diffusion", without)
    card = json.loads((without / "atelier.json").read_text())
    (without / "atelier.json").write_text(json.dumps({**card, "merged_lora": ""}))
    text = examine(cards=2, IMAGE_MODEL=str(without), **asked)[1]
    assert text.count("quantised to int8, each part on the device while it is needed") == 1
    assert "stable-diffusion on" not in examine(cards=1, DEVICES="cpu")[1]


def _z_image(folder: Path) -> Path:
    """What the doctor looks at of a model with 2.75 billion weights, in a file that is a hole."""
    (folder / "transformer").mkdir(parents=True)
    parts = {"transformer": ["diffusers", "ZImageTransformer2DModel"]}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "ZImagePipeline", **parts}))
    (folder / "transformer" / "config.json").write_text("{}")
    weight = {"dtype": "BF16", "shape": [27_500, 100_000], "data_offsets": [0, 55 * 10**8]}
    head = json.dumps({"layers.0.weight": weight}).encode()
    with (folder / "transformer" / "diffusion_pytorch_model.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + 55 * 10**8)
    return folder


def test_a_model_that_cant_be_drawn_in_the_dtype_of_a_card_is_told(examine, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("vision.weights.memory.installed", lambda device: frozenset())
    model = {"IMAGE_MODEL": str(_z_image(tmp_path / "z"))}
    status, text = examine(cards=1, **model)
    assert status == 0 and "z on cuda:0: as it is, all of it on the device" in text
    status, text = examine(cards=1, bfloat16=False, **model)
    assert status == 1 and "z doesn't fit on cuda:0 in float32; it has no bfloat16, and in float16" in text
    assert "OFFLOAD=group, which is slow" in text
    status, text = examine(cards=1, bfloat16=False, OFFLOAD="group", **model)
    assert status == 0 and "each layer on the device while it is needed" in text
    status, text = examine(cards=1, DTYPE="float16", **model)
    assert status == 1 and "can't run with DTYPE=float16" in text and "set DTYPE=auto" in text


def test_a_card_without_the_libraries_of_quantising_is_told_before_a_model_is_there(
    examine, monkeypatch
) -> None:
    asked = {"MODEL_PROFILE": "medium"}
    monkeypatch.setattr("vision.weights.memory.installed", lambda device: frozenset())
    status, text = examine(cards=1, **asked)
    assert status == 0 and "note  Memory     the extra quantize isn't installed: " in text
    assert "→ make setup\n" in text
    assert "extra quantize" not in examine(cards=1, QUANTIZE="off", **asked)[1]
    assert "extra quantize" not in examine(cards=0, **asked)[1]
    monkeypatch.setattr("vision.weights.memory.installed", lambda device: frozenset({"int8"}))
    assert "extra quantize" not in examine(cards=1, **asked)[1]


def test_a_licence_with_conditions_is_told_before_the_download(examine) -> None:
    asked = {"IMAGE_MODEL": "black-forest-labs/FLUX.2-dev"}
    text = examine(**asked)[1]
    assert "note  Licence    black-forest-labs/FLUX.2-dev: not for commercial use" in text
    assert "read https://huggingface.co/black-forest-labs/FLUX.2-dev, and set HF_TOKEN" in text
    assert "set HF_TOKEN" not in examine(HF_TOKEN="hf_1", **asked)[1]
    for profile in ("small", "medium", "large", "xlarge"):
        assert "Licence" not in examine(MODEL_PROFILE=profile)[1], "no profile has one"


def test_a_card_for_a_model_of_the_hub_is_named_and_one_for_none_too(examine, tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    for name in ("Tongyi-MAI--Z-Image.json", "Z-Image.json"):
        (tmp_path / "cards" / name).write_text("{}")
    text = examine(IMAGE_MODEL="Tongyi-MAI/Z-Image")[1]
    assert "ok    Card       Tongyi-MAI--Z-Image.json for Tongyi-MAI/Z-Image" in text
    assert "note  Card       Z-Image.json for no model that is set" in text
    assert "it is called owner--name.json, after one of: Tongyi-MAI/Z-Image" in text


def test_quantising_without_its_library_is_wrong(examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vision.weights.memory.installed", lambda device: frozenset())
    status, text = examine(cards=1, QUANTIZE="nf4")
    assert status == 1 and "QUANTIZE=nf4 can't be used here" in text and "or set QUANTIZE=auto" in text


def test_a_folder_of_data_that_cannot_be_written_to_is_wrong(examine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, text = examine(DATA_DIR=str(tmp_path / "file"))
    assert status == 1 and text.count("WRONG") == 2
    assert text.count("→ set DATA_DIR to a folder you can write to") == 2, "the database has no other trouble"


def test_a_bot_that_runs_is_no_trouble(examine, tmp_path: Path) -> None:
    holder = "from pathlib import Path; from storage.engines.sqlite import ProcessLock; import sys;"
    holder += (
        "lock = ProcessLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    _make_database(tmp_path)
    command = [sys.executable, "-c", holder, str(tmp_path / "atelier.db")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout and running.stdin and running.stdout.readline() == b"held\n"
        status, text = examine()
        running.stdin.close()
    assert status == 0 and "in use: Atelier is running" in text


def _make_database(folder: Path, *, schema: str | None = None) -> None:
    """A database of this program's schema; of another's, by its number alone."""

    async def make() -> None:
        async with open_database(folder / "atelier.db", None):
            pass

    asyncio.run(make())
    if schema is not None:
        _execute(folder, "UPDATE alembic_version SET version_num = ?", schema)


def _execute(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "atelier.db")) as connection:
        connection.execute(statement, values)
        connection.commit()


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("schema", "status", "told"),
    [
        (None, 0, "ok    Database"),
        ("0030", 1, "schema 0030 is from before release 0.1.0"),
        ("9999", 1, "schema 9999 is a newer"),
    ],
)
def test_looking_changes_no_database(examine, tmp_path, schema: str | None, status: int, told: str) -> None:
    _make_database(tmp_path, schema=schema)
    before = _contents(tmp_path)
    found, text = examine()
    assert found == status and told in text and "there is none in" in text
    assert _contents(tmp_path) == before


def test_a_mistyped_folder_of_data_is_told_and_not_made(examine, tmp_path: Path) -> None:
    status, text = examine(DATA_DIR=str(tmp_path / "mistyped"))
    assert status == 0 and "there is none at" in text and "if there should be one" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left", ["backups/atelier-20260101T000000000000Z-daily.db", "pictures/ab/cd/x.png"])
def test_a_lost_database_is_told_where_something_of_it_is_left(examine, tmp_path: Path, left: str) -> None:
    (tmp_path / left).parent.mkdir(parents=True)
    (tmp_path / left).write_bytes(b"")
    status, text = examine()
    assert status == 1 and "WRONG Database" in text and "atelier restore" in text


def test_a_new_database_in_the_place_of_a_lost_one_is_told(examine, tmp_path: Path) -> None:
    """As a start leaves it that was refused."""
    _make_database(tmp_path)
    (tmp_path / MARK).write_text("0123456789abcdef")
    before = _contents(tmp_path)
    status, text = examine()
    assert status == 1 and "WRONG Studio" in text and "the database is new" in text and "restore" in text
    assert _contents(tmp_path) == before


def test_a_damaged_database_is_told(examine, tmp_path: Path) -> None:
    _make_database(tmp_path)
    data = bytearray((tmp_path / "atelier.db").read_bytes())
    data[4096:12288] = b"\xff" * 8192
    (tmp_path / "atelier.db").write_bytes(data)
    status, text = examine()
    assert status == 1 and "is damaged" in text and "atelier restore" in text


def test_backups_and_pictures_are_counted(examine, tmp_path: Path) -> None:
    _make_database(tmp_path)
    for number in (1, 2, 3):
        _execute(tmp_path, "INSERT INTO uploads VALUES (?, ?, 0)", 1, f"{number:064x}")
    for number in (2, 3, 4, 5, 6):
        path = tmp_path / "pictures" / "00" / "00" / f"{number:064x}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    folder = tmp_path / "elsewhere"
    for age in (100, 1000):
        stamp = datetime.fromtimestamp(time.time() - age * 3600, UTC).strftime(sqlite.STAMP)
        folder.mkdir(exist_ok=True)
        (folder / f"atelier-{stamp}-daily.db").write_bytes(b"")
    status, text = examine(BACKUP_DIR=str(folder))
    assert status == 0
    assert f"note  Backups    2 in {folder}, the newest 4 days old, the oldest 42 days" in text
    (tmp_path / "backups").mkdir()
    next(folder.iterdir()).rename(tmp_path / "backups" / "atelier-20260101T000000000000Z-daily.db")
    told = examine(BACKUP_DIR=str(folder))[1]
    assert f"note  Backups    1 are still in {tmp_path / 'backups'}" in told
    assert "note  Pictures   3 named by rows, 2 of them in" in text and "; 3 that none names" in text


@pytest.mark.parametrize(
    ("settings", "advice", "not_said"),
    [
        ({"IMAGE_MODEL": "{}"}, "correct IMAGE_MODEL", "ALLOW_DOWNLOAD"),
        ({"MODEL_PROFILE": "small", "ALLOW_DOWNLOAD": "off"}, "set ALLOW_DOWNLOAD=on, or", "first job"),
    ],
)
def test_each_models_fix_would_help(examine, tmp_path, settings, advice, not_said) -> None:
    (tmp_path / "empty").mkdir()
    status, text = examine(**{name: value.format(tmp_path / "empty") for name, value in settings.items()})
    assert status == 1 and advice in text and not_said not in text


def test_the_start_names_models_that_nobody_can_use(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    nowhere = Path("/nonexistent/.env")
    settings = load_settings({"DATA_DIR": str(tmp_path), "IMAGE_MODEL": str(tmp_path / "empty")}, nowhere)
    (line,) = model_problems(settings)
    assert line.startswith("IMAGE_MODEL: ") and line.endswith("; correct IMAGE_MODEL")
    assert model_problems(load_settings({"DATA_DIR": str(tmp_path), "MODEL_PROFILE": "small"}, nowhere)) == []


def test_the_bot_does_not_start_without_a_folder_to_write_to(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "file"))
    monkeypatch.setattr("gc.disable", lambda: None)  # for the start of a process, which this is not
    assert main(["sandbox"]) == 1
    text = capsys.readouterr().err
    assert "can't write to" in text and "Set DATA_DIR" in text and "Traceback" not in text


@pytest.mark.parametrize(
    ("changes", "redirects", "said"),
    [
        ({}, ("https://studio.example/in/discord/back",), "ok"),
        ({}, (), "Redirects: add it"),
        ({"PUBLIC_URL": ""}, ("http://127.0.0.1:8080/in/discord/back",), "ok"),
        ({"DISCORD_CLIENT_ID": "8"}, (), "set DISCORD_CLIENT_ID=7"),
        ({"WEB_PORT": "0"}, (), "set WEB_PORT"),
    ],
)
def test_signing_in_through_discord_is_looked_at(changes, redirects, said) -> None:
    usual = {"DISCORD_CLIENT_ID": "7", "WEB_PORT": "8080", "PUBLIC_URL": "https://studio.example"}
    settings = load_settings(usual | changes, Path("/nonexistent/.env"))
    [check] = sign_in(settings, 7, redirects)
    assert check.ok is (said == "ok") and (check.ok or said in check.fix)
    assert sign_in(load_settings({}, Path("/nonexistent/.env")), 7, redirects) == []


FRAMED = {"Content-Security-Policy": "frame-ancestors 'self' https://discord.com"}


@pytest.mark.parametrize(
    ("answered", "ok", "said"),
    [
        ({"text": '<body data-client="7">', "headers": FRAMED}, True, "URL Mappings: / →"),
        ({"text": '<body data-client="7">', "headers": FRAMED | {"X-Frame-Options": "DENY"}}, False, "frame"),
        ({"text": '<body data-client="7">'}, False, "frame-ancestors"),
        ({"text": "nothing here", "status": 404, "headers": FRAMED}, False, "status 404"),
        (None, None, "not reached"),
    ],
)
async def test_the_page_that_discord_opens_is_looked_at(answered, ok, said) -> None:
    async def page(request: web.Request) -> web.Response:
        assert request.path == "/activity/" and "frame_id" in request.query
        return web.Response(**answered)

    app = web.Application()
    app.router.add_get("/{rest:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    if answered is None:
        await runner.cleanup()
    usual = {"DISCORD_CLIENT_ID": "7", "WEB_PORT": "8080", "PUBLIC_URL": "https://studio.example"}
    settings = load_settings(usual | {"ACTIVITY": "on"}, Path("/nonexistent/.env"))
    [check] = await activity(replace(settings, public_url=address))
    assert check.ok is ok and said in f"{check.found} {check.fix}", check
    assert await activity(replace(settings, activity=False)) == []
    await runner.cleanup()


def test_photo_readers_are_wanted_where_the_extra_is_there(examine, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(profiles, "is_installed", lambda package: package != "rapidocr")
    status, text = examine()
    assert status == 0 and "photograph: efficientnet-lite0 isn't downloaded yet; the first job" in text
    status, text = examine(ALLOW_DOWNLOAD="off")
    assert status == 1 and "atelier fetch" in text
    status, text = examine(PHOTO_READERS="off")
    assert "efficientnet" not in text
    asked: list[str] = []

    def refused(name: str, cache: Path, report: object) -> Path:
        asked.append(name)
        if name != "u2netp":
            return cache / name
        raise ModelError("u2netp couldn't be downloaded: there is no network.")

    monkeypatch.setattr(photo_fetch, "fetch", refused)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert main(["fetch"]) == 1
    assert "there is no network" in capsys.readouterr().out and len(asked) == len(profiles.PACKAGED)
    monkeypatch.setattr(profiles, "is_installed", lambda package: False)
    assert main(["fetch"]) == 0 and "nothing to download" in capsys.readouterr().out
    assert load_settings({}, Path("/nonexistent/.env")).models.keys().isdisjoint(profiles.PACKAGED)


def test_a_host_can_fetch_the_models_of_the_hub_before_anybody_comes(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(describe_models, "probe_devices", lambda: [{"device": "cpu"}])
    (tmp_path / "hub").mkdir()
    save_file({"a.lora_A.weight": np.zeros((2, 2), np.float32)}, tmp_path / "hub" / "ink.safetensors")
    settings = {"DATA_DIR": tmp_path / "data", "LORAS": f"image=owner/name@{COMMIT}:ink.safetensors"}
    for name, value in {**settings, "PHOTO_READERS": "off"}.items():
        monkeypatch.setenv(name, str(value))
    with serving(tmp_path / "hub", monkeypatch) as played:
        played.refuses = 503
        assert main(["fetch", "--models"]) == 1 and "the hub answers 503" in capsys.readouterr().out
        played.refuses = ""
        assert main(["fetch"]) == 0 and not played.handed, "only where they are asked for"
        assert main(["fetch", "--models"]) == 0 and "owner/name: 100 %" in capsys.readouterr().out
        played.handed.clear()
        assert main(["fetch", "--models"]) == 0 and not played.handed


@pytest.mark.skipif(sys.platform == "win32", reason="rights aren't in the mode there")
def test_a_secret_that_every_account_can_read_is_named(tmp_path: Path) -> None:
    token, mine = tmp_path / "token", tmp_path / "mine"
    for file, mode in ((token, 0o644), (mine, 0o640)):
        file.write_text("x" * 20)
        file.chmod(mode)
    env = tmp_path / ".env"
    env.write_text(f"HF_TOKEN_FILE={mine}\nVLM_KEY=k\n")
    env.chmod(0o604)
    files = secret_files({"DISCORD_TOKEN_FILE": str(token), "AWS_ACCESS_KEY_ID_FILE": ""}, env)
    assert files == {"VLM_KEY": env, "DISCORD_TOKEN_FILE": token, "HF_TOKEN_FILE": mine}
    found = doctor_services.check_secrets({**files, "DATABASE_URL_FILE": tmp_path / "gone"})
    assert [(check.ok, check.fix.split()[2].rstrip(",")) for check in found] == [
        (None, str(env)),
        (None, str(token)),
    ]
    assert "DISCORD_TOKEN_FILE" in found[1].found and "x" * 20 not in found[1].found


GOOD = Server(150020, "15.20", 97, True, "10.0.0.5", 0.01)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (GOOD, [(True, "db/atelier, PostgreSQL 15.20")]),
        (replace(GOOD, number=120022, version="12.22"), [(False, "needs 13")]),
        (replace(GOOD, connections=5), [(True, ""), (False, "one bot needs 6")]),
        (replace(GOOD, encrypted=False), [(True, ""), (None, "read prompts")]),
        (replace(GOOD, encrypted=False, host=""), [(True, "")]),
        (replace(GOOD, apart=-7.0), [(True, ""), (None, "-7 s from this machine's")]),
    ],
)
def test_what_is_wrong_with_a_server_comes_with_its_fix(server: Server, said) -> None:
    lines = check_server(server, "db/atelier")
    assert [line.ok for line in lines] == [ok for ok, _ in said]
    for line, (ok, words) in zip(lines, said, strict=True):
        assert words in line.found and (ok is True or line.fix)


async def test_a_file_has_no_server(tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path / 'atelier.db'}", None) as database:
        assert await database.read(ask_server) is None
