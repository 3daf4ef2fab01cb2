"""The suite's core on every Python that is here: ``make pythons``, or ``nox -s core-3.13``. Interpreters that
aren't installed are skipped and named. Without torch, so that it takes minutes and 300 MB each."""

import tomllib
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False
nox.options.default_venv_backend = "venv"
# what draws and reads pictures: the worker's part, which the core runs without
WORKER = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "accelerate",
    "peft",
    "safetensors",
    "tokenizers",
    "sentencepiece",
    "torchao",
    "bitsandbytes",
    "gguf",
)
CORE = ("tests/core", "tests/storage", "tests/jobs", "tests/studio", "tests/host", "tests/bot")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def core(session: nox.Session) -> None:
    """Install all but the worker's libraries, and run what needs none of them."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["test"],
        *project["optional-dependencies"]["train"],
    ]
    session.install(*(line for line in wanted if not line.startswith(WORKER)))
    session.install("--no-deps", "--editable", ".")
    session.run("python", "-W", "error", "-m", "compileall", "-q", *project_packages())
    session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *(session.posargs or CORE))


def project_packages() -> list[str]:
    """Return the program's own folders."""
    return ["atelier", "bot", "core", "host", "jobs", "storage", "studio", "vision", "web"]
