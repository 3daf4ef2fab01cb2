"""Of seeded bugs in what decides, how many the tests see: ``make mutants``, by mutmut.

What [tool.mutmut] of pyproject.toml names is changed, in a copy (``mutants/``). Of each module at most
``--most`` mutants are tried, drawn with ``--seed``; of those that check rights, four times as many.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator

from core.settings import ROOT

COPY = ROOT / "mutants"
RIGHTS = ("studio/authority", "studio/rights")
KILLED = {1, 3, 24, 36, 152, 255, -24}  # exit codes: a test failed, or it took too long
SURVIVED, UNTESTED = {0, 5}, {33, 34}


def _mutmut(*names: str) -> None:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"mutmut failed:\n{run.stdout[-3000:]}{run.stderr[-3000:]}")


def _outcomes() -> Iterator[tuple[str, dict[str, int | None]]]:
    """Each changed module, and the exit codes of its mutants' tests; None: not run."""
    for path in sorted(COPY.rglob("*.py.meta")):
        found = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        yield str(path.relative_to(COPY)).removesuffix(".py.meta"), found


def sample(module: str, names: list[str], most: int, seed: int) -> list[str]:
    """Return the mutants of ``module`` to be tried: all, or as many as that, the same for the same seed."""
    most *= 4 if module in RIGHTS else 1
    if len(names) <= most:
        return names
    return sorted(random.Random(f"{seed} {module}").sample(sorted(names), most))


def _diff(name: str) -> str:
    command = [sys.executable, "-m", "mutmut", "show", name]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    changed = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join(f"    {line}" for line in changed)


def _report(tried: dict[str, list[str]], everything: dict[str, dict[str, int | None]]) -> float:
    """Print a row of docs/evidence/mutants.md for each module, and what survived; return the share killed."""
    killed = survivors = 0
    alive: list[str] = []
    print("| module | mutants | tried | killed |\n|---|---|---|---|")
    for module, names in tried.items():
        codes = [everything[module][name] for name in names]
        alive += [name for name, code in zip(names, codes, strict=True) if code not in KILLED]
        dead = sum(code in KILLED for code in codes)
        killed, survivors = killed + dead, survivors + len(names) - dead
        print(f"| `{module}.py` | {len(everything[module])} | {len(names)} | {dead} |")
    total = sum(map(len, everything.values()))
    print(f"| all | {total} | {killed + survivors} | {killed} ({killed / (killed + survivors):.1%}) |")
    for name in alive:
        print(f"\n{name}\n{_diff(name)}")
    return killed / (killed + survivors)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=40, help="mutants of a module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="modules whose path has this, such as studio/moderation")
    parser.add_argument("--at-least", type=float, default=0.9, help="share killed, or else exit with 1")
    arguments = parser.parse_args(argv)
    first = (arguments.only or "studio/authority").replace("/", ".")
    _mutmut(f"{first}.*__mutmut_1")  # a run of a few makes all the others
    tried = {
        module: sample(module, list(codes), arguments.most, arguments.seed)
        for module, codes in _outcomes()
        if arguments.only in module
    }
    _mutmut(*(name for names in tried.values() for name in names))
    return 0 if _report(tried, dict(_outcomes())) >= arguments.at_least else 1


if __name__ == "__main__":
    raise SystemExit(main())
