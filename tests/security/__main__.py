"""Every proof of docs/security.md, one after the other: ``python -m tests.security [--short]``. Exit status 1
when one of them fails."""

from __future__ import annotations

import argparse
import subprocess
import sys

PROOFS = {  # module → arguments of the short form
    "tests.security.pictures": ("--count", "5000", "--whole", "20"),
    "tests.security.films": ("--count", "1000", "--whole", "10"),
    "tests.security.clips": ("--count", "1000", "--whole", "10", "--canaries", "100"),
    "tests.security.metadata": ("--count", "200"),
    "tests.security.zips": ("--count", "28"),
    "tests.studio.authority_cells": (),
    "tests.studio.project_cells": (),
    "tests.security.words": ("--count", "20000"),
    "tests.security.smuggling": ("--n", "500"),
    "tests.security.growing_answers": ("--terms", "2"),
    "tests.security.obeying": (),
    "tests.security.guided": ("--seconds", "15"),
    "tests.security.weights": (),
    "tests.security.links": ("--count", "30"),
    "tests.security.canaries": (),
    "tests.security.deletion": ("--jobs", "5"),
    "tests.security.dependencies": (),
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="fewer pictures, words and links")
    short = parser.parse_args().short
    failed = []
    for module, arguments in PROOFS.items():
        run = subprocess.run([sys.executable, "-m", module, *(arguments if short else ())], check=False)
        if run.returncode:
            failed.append(module)
            print(f"FAILED: {module}", flush=True)
    print(f"{len(PROOFS) - len(failed)} passed, {len(failed)} failed")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
