"""What is installed: ``python -m proofs.security.dependencies`` checks floors and constraints, ``--write``
writes constraints.txt from what is installed, ``--audit`` asks PyPI for known weaknesses of it.

torch and torchvision stay ranges in constraints.txt: an exact version would rule out the processor's build,
or a card's.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from core.settings import ROOT

CONSTRAINTS = ROOT / "constraints.txt"
WEAK = {
    "pillow": "12.2.0",
    "aiohttp": "3.13.3",
    "torch": "2.9.1",
    "transformers": "5.2.0",
    "diffusers": "0.38.0",
}  # the last with known holes
LOOSE = ("torch", "torchvision", "triton", "setuptools", "pip")  # builds differ by machine
NVIDIA = ("nvidia-", "cuda-")
HEAD = """# What Atelier was tested with. Reproducible: pip install -c constraints.txt -e '.[test]'. \
Written by `make constraints`.
# torch and torchvision are ranges up to what was tested: the processor's build and every card's are admitted.
"""


def declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in ("test", "ocr") for line in project["optional-dependencies"][extra]),
    ]
    return {canonicalize_name(req.name): req for req in map(Requirement, lines)}


def closure() -> dict[str, str]:
    """Everything that the declared packages need here, with the versions installed."""
    found: dict[str, str] = {}
    rest = [(name, frozenset(req.extras)) for name, req in declared().items()]
    seen = set()
    while rest:
        name, extras = rest.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
        for line in distribution(name).requires or ():
            req = Requirement(line)
            if req.marker is None or any(req.marker.evaluate({"extra": extra}) for extra in extras or {""}):
                rest.append((canonicalize_name(req.name), frozenset(req.extras)))
    return found


def up_to_here(name: str) -> str:
    """Return what is declared of a package, up to the version installed here: what nothing ran on isn't
    admitted."""
    here, req = Version(version(name)), declared()[name]
    return f"{req.name}{req.specifier & SpecifierSet(f'<{here.major}.{here.minor + 1}')}"


def text() -> str:
    """constraints.txt for what is installed."""
    kept = {
        name: found
        for name, found in sorted(closure().items())
        if name not in LOOSE and not name.startswith(NVIDIA)
    }
    loose = [up_to_here(name) for name in ("torch", "torchvision")]
    return HEAD + "\n".join([*(f"{name}=={found}" for name, found in kept.items()), *loose]) + "\n"


def constraints() -> dict[str, Requirement]:
    lines = [
        line
        for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return {canonicalize_name(req.name): req for req in map(Requirement, lines)}


def problems() -> list[str]:
    """Floors that pyproject.toml lets fall, packages that constraints.txt lacks or contradicts."""
    found, asked, fixed = [], declared(), constraints()
    for name, last in WEAK.items():
        if asked[name].specifier.contains(last):
            found.append(f"pyproject.toml admits {name} {last}")
        if name not in LOOSE and any(
            Version(s.version) <= Version(last) for s in fixed[name].specifier if name in fixed
        ):
            found.append(f"constraints.txt has {name} {last} or older")
    for name, req in asked.items():
        if name not in fixed:
            found.append(f"constraints.txt lacks {name}")
        elif name not in LOOSE and not all(req.specifier.contains(s.version) for s in fixed[name].specifier):
            found.append(f"constraints.txt contradicts pyproject.toml about {name}")
    for name in ("torch", "torchvision"):
        if any(s.operator == "==" for s in fixed[name].specifier):
            found.append(f"constraints.txt pins {name}: the processor's build is shut out")
        for file in ("Makefile", "Dockerfile"):
            ranges = re.findall(rf"""["']{name}([<>=!~][^"']*)["']""", (ROOT / file).read_text("utf-8"))
            if not ranges or any(SpecifierSet(one) != fixed[name].specifier for one in ranges):
                found.append(f"{file} has another {name} than constraints.txt, {fixed[name].specifier}")
    return found


def audit() -> int:
    """pip-audit over constraints.txt. 1 = weaknesses found; 0 = none, or nobody could be asked, which is
    said."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--disable-pip",
        "--no-deps",
        "--progress-spinner=off",
        "--format=json",
        "--requirement",
    ]
    plain = [line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if "==" in line]
    plain += [f"{name}=={version(name).split('+')[0]}" for name in ("torch", "torchvision")]
    file = Path(ROOT / ".audit.txt")
    file.write_text("\n".join(plain) + "\n")
    try:
        run = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        print("audit: nothing was checked: no answer within 10 minutes.")
        return 0
    finally:
        file.unlink(missing_ok=True)
    try:
        found = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        why = (run.stderr.strip().splitlines() or ["no answer"])[-1]
        print(
            "audit: nothing was checked: the list of known weaknesses can't be reached from here"
            f" ({why[:160]})."
        )
        return 0
    weak = [
        (entry["name"], entry["version"], fault["id"], fault["fix_versions"])
        for entry in found
        for fault in entry.get("vulns", ())
    ]
    skipped = [entry["name"] for entry in found if "skip_reason" in entry]
    if len(skipped) == len(found):
        print(
            "audit: nothing was checked: the list of known weaknesses can't be reached from here (it answers"
            " for no package)."
        )
        return 0
    print(
        f"audit: {len(found) - len(skipped)} packages checked, {len(weak)} known"
        f" weaknesses{f', not known there: {skipped}' if skipped else ''}"
    )
    print(
        *(
            f"  {name} {number}: {fault}, fixed in {', '.join(fixes) or 'nothing yet'}"
            for name, number, fault, fixes in weak
        ),
        sep="\n",
        end="",
    )
    return int(bool(weak))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--audit", action="store_true")
    arguments = parser.parse_args(argv)
    if arguments.write:
        CONSTRAINTS.write_text(text(), encoding="utf-8")
    if arguments.audit:
        return audit()
    found = problems()
    print(
        f"dependencies: {len(constraints())} packages in constraints.txt, {len(WEAK)} floors, {len(found)}"
        " problems",
        *found,
        sep="\n  ",
    )
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
