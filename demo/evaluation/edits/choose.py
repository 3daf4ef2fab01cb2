"""`python -m demo.evaluation.edits.choose`: which guidance and which threshold of relevance suit the editor,
tried on held-out compositions that `demo.evaluate` does not use. Prints a table; a person puts what it shows
into `demo.training.edit.network`.
"""

import argparse
import statistics
import time
from dataclasses import replace
from itertools import product

import torch
from diffusers.utils import logging as diffusers_logging

from demo.evaluation.edits.rows import asked, change_outside, edited, is_done, is_kept
from demo.evaluation.pack import Pack
from demo.training.edit.scenes import KINDS
from vision.reporter import Reporter


def tried(pack: Pack, edits: list[tuple], **settings: float) -> str:
    """What comes of the edits with other settings of the card, kind by kind."""
    model = pack.models.editor(None, Reporter())
    own, started = model.card, time.process_time()
    model.card = replace(own, **settings)
    pairs = [edited(pack, edit, words, 50_000 + index) for index, (edit, words, _) in enumerate(edits)]
    model.card = own
    seconds = (time.process_time() - started) / len(edits)
    verdicts = pack.judge([after for _, after in pairs])
    hits = [
        (edit.kind, is_done(edit, verdict, told=told), is_kept(edit, verdict))
        for (edit, _, told), verdict in zip(edits, verdicts, strict=True)
    ]
    outside = [
        change_outside(edit.changed, *pair)
        for (edit, *_), pair in zip(edits, pairs, strict=True)
        if edit.group >= 0
    ]
    shares = [_shares("all", hits), *(_shares(kind, [h for h in hits if h[0] == kind]) for kind in KINDS)]
    return f"{', '.join(shares)}; outside {statistics.mean(outside):.2f}; {seconds:.2f} CPU s a picture"


def _shares(name: str, hits: list[tuple[str, bool, bool]]) -> str:
    done, kept = (statistics.mean(hit[part] for hit in hits) if hits else 0.0 for part in (1, 2))
    return f"{name} {done:.1%} / {kept:.1%}"


def main():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluation.edits.choose", description=__doc__)
    parser.add_argument("--n", type=int, default=60, help="edits, of every kind in turn")
    parser.add_argument("--guidances", type=float, nargs="*", default=[2.0, 3.0])
    parser.add_argument("--image-guidances", type=float, nargs="*", default=[1.5])
    parser.add_argument("--thresholds", type=float, nargs="*", default=[0.0, 0.28])
    parser.add_argument(
        "--bfloat16", action="store_true", help="draw in bfloat16: faster where the processor knows it"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    diffusers_logging.set_verbosity_error()
    pack = Pack(arguments.bfloat16)
    edits = [asked(f"choose edits {index}", KINDS[index % len(KINDS)]) for index in range(arguments.n)]
    given = product(arguments.guidances, arguments.image_guidances, arguments.thresholds)
    for guidance, image_guidance, threshold in given:
        found = tried(
            pack,
            edits,
            guidance_scale=guidance,
            image_guidance_scale=image_guidance,
            relevance_threshold=threshold,
        )
        print(f"{guidance:g}, {image_guidance:g}, {threshold:g}: done / kept {found}", flush=True)


if __name__ == "__main__":
    main()
