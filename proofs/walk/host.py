"""What the host does: asks how it is, backs up, kills and starts it, and ends it."""

from __future__ import annotations

import struct
import urllib.request
import zlib

from proofs.walk.newcomer import DONE
from proofs.walk.page import DRAWING, Page
from proofs.walk.report import Report
from proofs.walk.sandbox import Sandbox

WHO = "host"


def walk(page: Page, report: Report, sandbox: Sandbox) -> None:
    """Do what a host does on a good and on a bad day."""
    _asks(report, sandbox)
    _power_cut(page, report, sandbox)
    _end(report, sandbox)
    _database(report, sandbox)
    _direct_messages(page, report, sandbox)


def _asks(report: Report, sandbox: Sandbox) -> None:
    with report.step(WHO, "runs `atelier doctor` while it runs", "Ready") as step:
        status, text = sandbox.atelier("doctor")
        step.saw(next(line for line in text.splitlines() if "Database" in line))
        assert status == 0 and "in use: Atelier is running" in text and "WRONG" not in text, text
    with report.step(WHO, "reads the metrics", "the numbers of this run") as step:
        with urllib.request.urlopen(f"http://127.0.0.1:{sandbox.metrics_port}/metrics", timeout=20) as page:
            text = page.read().decode()
        lines = text.splitlines()
        step.saw(next(line for line in lines if line.startswith("atelier_steps")))
    with report.step(WHO, "mistypes a setting", "the one that was meant") as step:
        _, text = sandbox.atelier("doctor", USER_WAITNG="4")
        step.saw(next(line for line in text.splitlines() if "USER_WAITNG" in line))
        assert "did you mean USER_WAITING?" in text
    with report.step(WHO, "sets two wrong values", "both in one list, nothing started") as step:
        status, text = sandbox.atelier("run", USER_RUNNING="many", IMAGE_MODEL="models/nothere")
        step.saw(text)
        assert status == 2 and "USER_RUNNING=many" in text and "no such folder" in text
    with report.step(WHO, "runs `atelier backup` while it runs", "where the copy is") as step:
        status, text = sandbox.atelier("backup")
        step.saw(text)
        assert status == 0 and "Copied to" in text


def _power_cut(page: Page, report: Report, sandbox: Sandbox) -> None:
    with report.step(WHO, "pulls the plug in the middle of a drawing", "it starts again") as step:
        page.imagine("an orange mushroom on the grass")
        page.wait_text(r"an orange mushroom.*\(\d+%\)", DRAWING)
        sandbox.kill()
        address = sandbox.start()
        step.saw(address.partition("#")[0])
    with report.step("member", "opens the page after it", "that earlier jobs are safe") as step:
        page.open(address)
        text = page.wait_text("Welcome to Atelier.*jobs are safe")
        step.saw(text[text.find("Your ") :])
    with report.step("member", "waits", "the drawing goes on and is delivered") as step:
        step.saw(page.wait_text("an orange mushroom on the grass.*" + DONE, DRAWING))
    with report.step("member", "/show of an earlier job", "it comes back with its buttons") as step:
        before = page.newest()
        page.type_command("show")
        page.fill("job", "red house")
        page.pick("a red house in the snow")
        page.send()
        step.saw(page.wait_text("a red house in the snow.*" + DONE, since=before))


def _end(report: Report, sandbox: Sandbox) -> None:
    with report.step(WHO, "presses Ctrl+C", "a clean end") as step:
        since = len(sandbox.log)
        status = sandbox.interrupt()
        said = "".join(sandbox.log[since:])
        step.saw(said)
        assert status == 0 and "died" not in said and "Traceback" not in said and "ERROR" not in said


def _database(report: Report, sandbox: Sandbox) -> None:
    with report.step(WHO, "runs `atelier restore` on a sound database", "nothing without a yes") as step:
        status, text = sandbox.atelier("restore")
        step.saw(text)
        assert status == 1 and "Nothing was changed" in text
    with report.step(WHO, "starts it on a damaged database", "the way back, and nothing is touched") as step:
        file = sandbox.data / "atelier.db"
        data = bytearray(file.read_bytes())
        data[4096:12288] = b"\xff" * 8192
        file.write_bytes(data)
        status, text = sandbox.atelier("run")
        step.saw(text)
        assert status == 1 and "restore" in text and "Traceback" not in text
    with report.step(WHO, "runs `atelier restore`", "the backup is in its place") as step:
        status, text = sandbox.atelier("restore")
        step.saw(text)
        assert status == 0 and "is now the database" in text


def _direct_messages(page: Page, report: Report, sandbox: Sandbox) -> None:
    picture = sandbox.data / "mine.png"
    picture.write_bytes(_png(96))
    with report.step(WHO, "starts `atelier sandbox --dm mine.png`", "the direct messages") as step:
        address = sandbox.start("sandbox", "--dm", str(picture))
        page.open(address)
        step.saw(page.wait_text("96×96 px", DRAWING))
    with report.step("member", "presses Classify under a picture of their own", "what it shows") as step:
        since = page.press("96×96 px", "Classify")
        step.saw(page.wait_text(r"\d%", DRAWING, since=since))


def _png(side: int) -> bytes:
    """A red square in a white frame."""
    white, red = b"\xff\xff\xff", b"\xdc\x28\x1e"
    edge = side // 6
    frame, middle = white * side, white * edge + red * (side - 2 * edge) + white * edge
    rows = b"".join(b"\0" + (frame if y < edge or y >= side - edge else middle) for y in range(side))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
