"""Every proof of docs/evidence/security.md, one after the other: ``python -m proofs.security
[--short]``. Exit status 1 when one of them fails."""

from __future__ import annotations

import argparse
import subprocess
import sys

PROOFS = {  # module → arguments of the short form
    "proofs.security.pictures": ("--count", "5000", "--whole", "20"),
    "proofs.security.videos": ("--count", "1000", "--whole", "10"),
    "proofs.security.clips": ("--count", "1000", "--whole", "10", "--canaries", "100"),
    "proofs.security.metadata": ("--count", "200"),
    "proofs.security.zips": ("--count", "28"),
    "proofs.studio.authority_cells": (),
    "proofs.studio.project_cells": (),
    "proofs.security.words": ("--count", "20000"),
    "proofs.security.smuggling": ("--n", "500"),
    "proofs.security.growing_answers": ("--terms", "2"),
    "proofs.security.obeying": (),
    "proofs.security.guided": ("--seconds", "15"),
    "proofs.security.weights": (),
    "proofs.security.links": ("--count", "30"),
    "proofs.security.canaries": (),
    "proofs.security.deletion": ("--jobs", "5"),
    "proofs.security.dependencies": (),
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
