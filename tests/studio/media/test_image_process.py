"""The picture process: what it gives up, what it takes, what is left of a picture."""

import io
import os
import signal
import subprocess
import sys

import pytest
from PIL import Image

from core.settings import ROOT
from proofs.security import pictures
from studio.media import media_process as gate
from studio.media.child import child_environment
from studio.media.confinement import LENGTHS
from tests.security import hostile

SHUT = (
    "from studio.media import confinement as confine, media_process as g; g.prepare();"
    " confine.limit(g.MAX_MEMORY, 5);"
    " shut = confine.shut_in();"
)
DEEDS = {
    "reads a file": "open('/etc/hostname').read()",
    "writes a file": "open('/tmp/atelier-gate', 'w')",
    "connects": "import _socket; _socket.socket()",
    "starts a program": "import os; os.posix_spawn('/bin/true', ['true'], {})",
    "forks": "import os; os.fork()",
    "takes memory": "bytearray(600 * 2**20)",
}


def python(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run Python as a confined process is run."""
    command, env = [sys.executable, *arguments], child_environment()
    return subprocess.run(
        command, cwd=ROOT, env=env, input=data, capture_output=True, timeout=60, check=False
    )


def tried(deed: str, begin: str = "") -> bytes:
    """Return what a process prints that tries to do something."""
    tries = (
        f"\ntry:\n  {deed}\nexcept (OSError, MemoryError, RuntimeError) as error: print('stopped',"
        " type(error).__name__)\nelse: print('done')"
    )
    return python("-c", f"import os, _socket, threading; {begin}{tries}").stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
@pytest.mark.parametrize("deed", DEEDS)
def test_a_picture_process_can_only_compute(deed: str) -> None:
    assert tried(DEEDS[deed], SHUT).startswith(b"stopped")
    assert b"done" in tried(DEEDS[deed]), "the deed must work elsewhere, or the test shows nothing"


OPENS = """
from studio.media import confinement as confine
def answer(data):
    try:
        return {"opened": bool(open("/etc/hostname"))}, data
    except PermissionError as error:
        return {"stopped": str(error.errno)}, data
confine.serve_confined(lambda: answer, 2**28, 5)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
def test_a_process_is_shut_in_before_it_reads_and_answers_until_nothing_more_comes() -> None:
    run = python("-c", OPENS, data=2 * (LENGTHS.pack(2, 3) + b"{}abc"))
    answer = b'{"stopped": "1"}'
    assert run.stdout == 2 * (LENGTHS.pack(len(answer), 3) + answer + b"abc") and run.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_time_is_up_before_the_limit_is_passed() -> None:
    before = os.times()
    assert python("-c", f"{SHUT.replace('5)', '1)')}\nwhile True: pass").returncode == -signal.SIGPROF
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert 0.6 < spent < 1.0  # counted by ticks of the clock, some of which fall to others on a busy machine


def test_no_secret_is_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "canary")
    assert "canary" not in str(child_environment())
    assert b"canary" not in python("-c", "import os; print(dict(os.environ))").stdout


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixels_becomes_rgb(mode: str) -> None:
    grey = Image.new("L", (32, 24), 100)
    picture = Image.new("I;16", (32, 24), 100 * 256) if mode == "I;16" else grey.convert(mode)
    header, body = gate.clean(hostile.encode(picture, "PNG"))
    opened = Image.open(io.BytesIO(body))
    assert (header["width"], header["height"], opened.mode) == (32, 24, "RGB")
    assert opened.getpixel((5, 5))[0] in ((0, 255) if mode == "1" else (99, 100, 101))
    assert pictures.clean_png(body)


def test_transparency_lies_on_white() -> None:
    _, body = gate.clean(hostile.encode(Image.new("RGBA", (32, 32), (255, 0, 0, 0)), "PNG"))
    assert Image.open(io.BytesIO(body)).getpixel((3, 3)) == (255, 255, 255)


def test_a_phones_picture_with_a_second_view_is_taken() -> None:
    frames = [Image.new("RGB", (40, 30), c) for c in ("red", "blue")]
    header, body = gate.clean(hostile.encode(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert header["width"] == 40 and Image.open(io.BytesIO(body)).getpixel((20, 15))[0] > 200


async def test_hostile_pictures_end_in_a_picture_or_a_sentence() -> None:
    """The long form is ``make security``."""
    tally = pictures.fuzz(3000)
    assert tally.count == 3000 and tally.wrong == [] and tally.taken > 100 and tally.refused > 100
    assert tally.slowest < 2 and tally.peak < pictures.LIMIT


async def test_the_products_own_path_survives_bombs_and_polyglots() -> None:
    named = [(name, data) for name, data in _cheap()]
    tally = await pictures.through_the_product(named)
    assert tally.wrong == [] and tally.count == len(named) and 5 <= tally.taken < tally.refused


def _cheap():
    yield "bomb", hostile.png_bomb(9459, 9459, colour=0)
    yield "scans", hostile.scan_bomb(300, side=2048)
    wanted = ("GIF", "PNG", "JPEG", "WEBP", "TIFF", "PDF", "EPS", "ICO", "BMP", "PSD", "PPM")
    yield from ((name, data) for name, data in hostile.every_format().items() if name in wanted)
    yield "zTXt bomb", hostile.text_bomb(b"zTXt", 20 * 2**20)
    good = hostile.encode(Image.effect_noise((64, 64), 60), "PNG")
    yield from (
        ("zip behind", good + b"PK\x05\x06" + b"\0" * 18),
        ("page before", b"<html>" + good),
        ("empty", b""),
    )
    yield "one line", hostile.png_bomb(2_000_000, 1)


MACOS = """
import resource, sys
sys.platform = "darwin"
plain = resource.setrlimit
def setrlimit(name, value):
    if name == resource.RLIMIT_AS:
        raise ValueError("current limit exceeds maximum limit")
    plain(name, value)
resource.setrlimit = setrlimit
import runpy
sys.argv = ["media_process", "clean"]
runpy.run_module("studio.media.media_process", run_name="__main__")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_system_without_a_limit_on_memory_still_takes_pictures() -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, "PNG")
    run = python("-c", MACOS, data=LENGTHS.pack(2, len(picture.getvalue())) + b"{}" + picture.getvalue())
    assert run.returncode == 0, run.stderr.decode()[-300:]
    assert b'"width": 64' in run.stdout


def test_what_is_transparent_stays_so_when_a_picture_is_made_smaller() -> None:
    noise = Image.effect_noise((300, 200), 80)
    clear = Image.merge("RGBA", [noise] * 3 + [Image.new("L", noise.size, 0)])
    header, data = gate.shrink(hostile.encode(clear, "PNG"), 40_000)
    made = Image.open(io.BytesIO(data))
    assert header["media_type"] == "image/webp" and made.mode == "RGBA"
    assert made.getchannel("A").getextrema()[1] == 0
    with pytest.raises(ValueError, match="doesn't fit"):
        gate.shrink(hostile.encode(clear, "PNG"), 10)
