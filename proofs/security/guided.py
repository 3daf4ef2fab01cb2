"""Words and custom ids by coverage guidance (atheris): ``python -m proofs.security.guided [--seconds N]``.

What ``words`` tries at random is steered here towards branches of the grammar, the messages and the buttons
that weren't reached yet. Needs ``pip install atheris`` (Linux, CPython); without it this says so and passes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

IDS = [
    f"{kind}:abcdefghjkmn:{action}:{index}"
    for kind in ("at", "mo", "rg", "rw")
    for action in ("vary", "upscale", "again")
    for index in (0, 3)
]
IDS += [f"{kind}:{rest}" for kind in ("fv", "st", "dr", "pv") for rest in ("0", "12", "caption:1", "a" * 64)]
PING_BUG = "a ping that gets through"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for words, and as long for custom ids")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--bug", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.inside:
        _fuzz(arguments.inside, arguments.seconds, arguments.bug)
        return 0
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("coverage-guided: atheris isn't installed here; nothing was tried")
        return 0
    results = [_run(what, arguments.seconds) for what in ("words", "ids")]
    seen = "trouble: " in _run("words", 60, bug=True)[1]
    print(f"negative control: {PING_BUG} is {'found' if seen else 'NOT found'}")
    return 0 if seen and all(status == 0 for status, _ in results) else 1


def _run(what: str, seconds: int, *, bug: bool = False) -> tuple[int, str]:
    """(exit status, what it found) of a process of its own: libFuzzer never comes back."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "proofs.security.guided",
            "--inside",
            what,
            "--seconds",
            str(seconds),
            *(["--bug"] if bug else []),
        ]
        done = subprocess.run(
            command,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "GUIDED_FOLDER": folder},
        )
    lines = done.stdout.splitlines()
    last = next((line for line in reversed(lines) if line.startswith("#") and "cov:" in line), "")
    runs = last.split()[0].lstrip("#") if last else "0"
    reached = last.split("cov: ")[-1].split()[0] if last else "0"
    found = "\n".join(line for line in lines if "Error" in line)[-2000:]
    if not bug:
        trouble = f"trouble: {found}" if done.returncode else "no trouble"
        print(
            f"coverage-guided {what}: {int(runs):,} inputs in {seconds} s, {reached} branches reached,"
            f" {trouble}",
            flush=True,
        )
    return done.returncode, found


def _fuzz(what: str, seconds: int, bug: bool) -> None:
    import atheris

    with atheris.instrument_imports(
        include=["core", "bot.ui.messages", "studio.requests.actions", "bot.ui.buttons", "bot.ui.modals"]
    ):
        from proofs.security import words

    folder = Path(os.environ["GUIDED_FOLDER"])
    (folder / "dictionary").write_text(
        "".join(f"{json.dumps(piece)[:100]}\n" for piece in _dictionary(words))
    )

    def one(data: bytes) -> None:
        source = atheris.FuzzedDataProvider(data).ConsumeUnicode(4000)
        if what == "words":
            for text in words.texts_of(source):
                _look(words, source if bug else text)
        else:
            words.try_id(source[:120], source[120:] or None)

    _sow(words, what, folder)
    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        "-max_len=2000",
        f"-dict={folder / 'dictionary'}",
        "-timeout=20",
        f"-artifact_prefix={folder}/",
        str(folder),
    ]
    atheris.Setup(options, one)
    atheris.Fuzz()


def _sow(words, what: str, folder: Path) -> None:
    """Inputs to begin with: a byte that says "ASCII follows" to ConsumeUnicode, then text."""
    seeds = IDS if what == "ids" else [source for source in words.prompts(300, 1) if source.isascii()]
    for number, seed in enumerate(seeds):
        (folder / f"seed{number}").write_bytes(b"\x01" + seed.encode())


def _dictionary(words) -> list[str]:
    """Pieces that libFuzzer's format can hold: printable ASCII."""
    pieces = (*words.PIECES, *words.ID_PIECES)
    return [
        piece for piece in pieces if piece.isascii() and piece.isprintable() and not set(piece) & set('\\"')
    ]


def _look(words, text: str) -> None:
    if (problem := words.trouble(text)) is not None:
        raise AssertionError(f"trouble: {problem} in {ascii(text)[:300]}")


if __name__ == "__main__":
    raise SystemExit(main())
