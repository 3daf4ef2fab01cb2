"""Builds the container without Docker and uses it: ``make image-check`` (root, Linux; 3 to 20 minutes).

Runs each step of the Dockerfile in a root of its own, starts what it starts as the user that it names, waits
for its own health check, and opens a picture, folders and a custom model in a browser. ``--base``
is a tar of a root with Python, made by ``mmdebstrap`` without it; ``--wheels`` a folder that pip looks into
first.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from core.settings import ROOT

MOUNTED = "ATELIER_IMAGE_CHECK"  # set in the mount namespace, which takes all mounts away at its end
DEVICES = ("null", "zero", "random", "urandom")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"
COMPOSE = {
    "WEB_PORT": "8080",
    "WEB_HOST": "0.0.0.0",
    "PUBLIC_URL": "http://localhost:8080",
}  # its environment
HEALTHY_WITHIN = 120.0  # seconds
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Stage:
    """A root in which steps run. environment: what ENV and ARG have set."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"

    def command(self, text: str) -> list[str]:
        """Return what runs a line of a shell in this root."""
        line = f"cd {shlex.quote(self.folder)} && {text}"
        return ["chroot", "--userspec", self.user, str(self.root), "/bin/sh", "-c", line]

    def run(self, text: str) -> subprocess.CompletedProcess[bytes]:
        """Run a line of a shell."""
        return subprocess.run(self.command(text), env=self._environment(), check=False)

    def start(self, text: str, output: Path) -> subprocess.Popen[bytes]:
        """Start a line of a shell. output: file for what it prints."""
        with output.open("wb") as file:
            return subprocess.Popen(
                self.command(f"exec {text}"), env=self._environment(), stdout=file, stderr=subprocess.STDOUT
            )

    def _environment(self) -> dict[str, str]:
        return {"PATH": SYSTEM, "HOME": "/root", **self.environment}


class Build:
    """The Dockerfile's steps. Raises RuntimeError at one that fails."""

    def __init__(self, work: Path, base: Path, wheels: Path | None) -> None:
        self._work, self._base, self._wheels = work, base, wheels
        self._stages: dict[str, Stage] = {}
        self._arguments: dict[str, str] = {}
        self.healthcheck: list[str] = []
        self.entry: list[str] = []

    def run(self, dockerfile: str) -> Stage:
        """Run every step; return the last stage."""
        stage = None
        for word, rest in steps(dockerfile):
            began = time.monotonic()
            if word == "FROM":
                stage = self._open(rest)
            elif word == "ARG" and stage is None:
                continue  # which base: ours is given
            else:
                assert stage is not None, "a Dockerfile begins with FROM"
                self._step(stage, word, rest)
            print(f"[{time.monotonic() - began:6.1f} s] {word} {rest[:90]}", flush=True)
        assert stage is not None
        return stage

    def _step(self, stage: Stage, word: str, rest: str) -> None:
        if word == "ARG":
            name, _, value = rest.partition("=")
            stage.environment.setdefault(name, os.environ.get(name, value.strip("\"'")))
        elif word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                known = {"PATH": SYSTEM, **stage.environment}
                stage.environment[name] = Template(value).substitute(known)
        elif word == "WORKDIR":
            stage.folder = rest
            (stage.root / rest[1:]).mkdir(parents=True, exist_ok=True)
        elif word == "RUN":
            if stage.run(rest).returncode:
                raise RuntimeError(f"failed: RUN {rest}")
        elif word == "COPY":
            self._copy(stage, shlex.split(rest))
        elif word == "USER":
            stage.user = rest
        elif word == "HEALTHCHECK":
            self.healthcheck = json.loads(rest[rest.index("CMD") + 3 :])
        elif word in ("ENTRYPOINT", "CMD"):
            self.entry += json.loads(rest)

    def _open(self, rest: str) -> Stage:
        """Return a new stage over the base, with devices and, for the steps alone, wheels."""
        name = rest.split()[-1] if " AS " in rest else "last"
        root = self._work / name
        root.mkdir()
        subprocess.run(["tar", "-C", root, "-xf", self._base], check=True)
        for device in DEVICES:
            place = root / "dev" / device
            place.touch()
            subprocess.run(["mount", "--bind", f"/dev/{device}", place], check=True)
        (root / "dev" / "shm").mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "shm", root / "dev" / "shm"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
        for file in ("/etc/resolv.conf", CERTIFICATES):
            (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, root / file[1:])
        stage = Stage(root, {"PIP_CERT": CERTIFICATES})
        if self._wheels:
            (root / "wheels").mkdir()
            subprocess.run(["mount", "--bind", self._wheels, root / "wheels"], check=True)
            stage.environment |= {"PIP_FIND_LINKS": "/wheels", "PIP_CONSTRAINT": "/etc/wheels.txt"}
            brought = (wheel.name.split("-")[:2] for wheel in self._wheels.glob("*.whl"))
            limits = (f"{package}<={version.partition('+')[0]}\n" for package, version in brought)
            (root / "etc" / "wheels.txt").write_text("".join(limits))
        self._stages[name] = stage
        return stage

    def _copy(self, stage: Stage, words: list[str]) -> None:
        origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
        *files, to = words
        target = stage.root / os.path.join(stage.folder, to)[1:]
        if not origin and files == ["."]:  # what is checked in, less .dockerignore
            ignored = [
                f":!{line}" for line in (ROOT / ".dockerignore").read_text().split() if "*" not in line
            ]
            listed = subprocess.run(
                ["git", "-C", ROOT, "ls-files", "-z", "--", ".", *ignored], check=True, capture_output=True
            )
            packed = ["tar", "-C", ROOT, "--null", "-T", "-", "-cf", "-"]
            tar = subprocess.run(packed, input=listed.stdout, stdout=subprocess.PIPE, check=True)
            subprocess.run(["tar", "-C", target, "--no-same-owner", "-xf", "-"], input=tar.stdout, check=True)
            return
        source = self._stages[origin].root if origin else ROOT
        for file in files:
            found = source / file.lstrip("/")
            if found.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", f"{found}/.", target], check=True)
            else:
                shutil.copy(found, target)


def steps(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction with what stands behind it, on one line."""
    text = re.sub(r"(?m)^\s*#.*\n", "", dockerfile)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            word, rest = line.strip().split(None, 1)
            yield word.upper(), rest


def use(address: str, shots: Path) -> None:
    """Draw a picture, put it into a folder and begin a custom model, in a browser. Raises what went wrong."""
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "response", lambda got: wrong.append(f"{got.status} {got.url}") if got.status >= 400 else None
        )
        page.goto(address)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("textbox").first.fill("a red house in the snow")
        page.keyboard.press("Enter")
        drawn = page.locator("a[href^='/pictures/']").first
        expect(drawn).to_be_visible(timeout=120_000)
        picture = drawn.get_attribute("href") or ""
        site = address.partition("/in#")[0]
        begun = page.request.post(f"{site}/api/projects", data={"name": "bottles"}, headers={"Origin": site})
        model = f"/projects/{begun.json()['id']}"
        for name, path in (("picture", picture), ("folders", "/folders"), ("model", model)):
            page.goto(site + path)
            page.wait_for_load_state("load")
            expect(page.get_by_role("heading").first).to_be_visible()
            page.screenshot(path=shots / f"{name}.png")
            print(f"{name}: {page.title()}", flush=True)
        browser.close()
        if wrong:
            raise RuntimeError("; ".join(wrong))


def check(work: Path, base: Path, wheels: Path | None, shots: Path) -> None:
    """Build, start and use the image. Raises what went wrong."""
    build = Build(work, base, wheels)
    stage = build.run((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    stage.environment |= COMPOSE | {"HOME": "/home/atelier"}
    output = work / "output"
    process = stage.start(shlex.join(build.entry), output)
    try:
        began = time.monotonic()
        while stage.run(f"{shlex.join(build.healthcheck)} 2> /dev/null").returncode:
            if process.poll() is not None or time.monotonic() - began > HEALTHY_WITHIN:
                raise RuntimeError(f"it isn't healthy:\n{output.read_text()[-3000:]}")
            time.sleep(1)
        print(f"healthy after {time.monotonic() - began:.0f} s", flush=True)
        while not (found := re.findall(r"studio: (http\S+)", output.read_text())):
            if process.poll() is not None or time.monotonic() - began > HEALTHY_WITHIN:
                raise RuntimeError(f"it names no address:\n{output.read_text()[-3000:]}")
            time.sleep(1)
        use(found[0], shots)
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(60)
    if ended:
        raise RuntimeError(f"it ended with {ended} after SIGTERM:\n{output.read_text()[-3000:]}")
    print("ended with 0 after SIGTERM", flush=True)


def main() -> int:
    """Check in a mount namespace of its own. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m proofs.image", description=__doc__)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--shots", type=Path, default=Path(tempfile.gettempdir()) / "atelier-image")
    given = parser.parse_args()
    if MOUNTED not in os.environ:
        again = [sys.executable, "-m", "proofs.image", *sys.argv[1:]]
        os.environ[MOUNTED] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *again])
    given.shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="atelier-image-") as folder:
        work, base = Path(folder), given.base
        if base is None:
            base = work / "base.tar"
            made = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", str(base)]
            subprocess.run(made, check=True)
        try:
            check(work, base, given.wheels, given.shots)
        finally:
            for mounted in reversed(_mounts(work)):
                subprocess.run(["umount", "--lazy", mounted], check=True)
    return 0


def _mounts(under: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(f"{under}/")]


if __name__ == "__main__":
    sys.exit(main())
