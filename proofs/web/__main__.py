"""Every proof about the web that docs/evidence/web.md tells of, one after the other: ``python -m proofs.web
[--short]``. Exit status 1 when one of them fails."""

from __future__ import annotations

import argparse
import subprocess
import sys

PROOFS = {  # module → arguments of the short form
    "proofs.web.matrix": ("--every", "20", "--pairs", "1000"),
    "proofs.web.attacks": (),
    "proofs.web.fuzz": ("--requests", "2000"),
    "proofs.web.scripts": ("--every", "20"),
    "proofs.web.figures": ("--pictures", "10000", "--seconds", "10"),
    "proofs.web.steadiness": ("--seconds", "40"),
    "proofs.web.tasks": (),
    "proofs.web.doors": ("--restarts", "50"),
    "proofs.web.kills": ("--kills", "20"),
    "proofs.web.edit_kills": ("--kills", "20"),
    "proofs.web.webhooks": ("--events", "600", "--tries", "100", "--kills", "5"),
    "proofs.web.load": ("--people", "5", "--seconds", "10"),
    "proofs.web.latency": ("--sockets", "10", "--seconds", "5", "--tries", "5"),
    "proofs.web.memory": ("--pictures", "10000", "--seconds", "10"),
    "proofs.web.strain": ("--requests", "5000", "--people", "10", "--mib", "10", "--seconds", "10"),
    "proofs.web.first": ("--times", "1"),
    "proofs.web.line": (),
    "proofs.web.learning": (),
    "proofs.web.editor.model_check": ("--sequences", "200"),
    "proofs.web.editor": ("--side", "2048", "--strokes", "50"),
    "proofs.vision.exact_edits": ("--documents", "100"),
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="fewer cells, requests, texts and pictures")
    parser.add_argument("only", nargs="*", help="such as matrix; all without any")
    given = parser.parse_args()
    failed = []
    for module, arguments in PROOFS.items():
        if given.only and module.rpartition(".")[2] not in given.only:
            continue
        run = subprocess.run([sys.executable, "-m", module, *(arguments if given.short else ())], check=False)
        if run.returncode:
            failed.append(module)
            print(f"FAILED: {module}", flush=True)
    print(f"{len(failed)} failed")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
