"""`python -m demo.evaluate.choose`: which steps, guidance, scheduler and strengths suit the pack, tried on
held-out compositions that `demo.evaluate` does not use. Prints a table; a person puts what it shows into
`demo.train.unet.settings`."""

import argparse
import time
from collections.abc import Iterator
from itertools import product

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.utils import logging as diffusers_logging
from PIL import Image

from demo import judge
from demo.evaluate.images import SINGLE, Pack, has_both, held_out, main_of, prompt, two_objects

SCHEDULERS = {  # a class and what it differs in from the pack's own
    "DPM++ 2M": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "DPM++ 2M SDE": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "UniPC": (UniPCMultistepScheduler, {}),
    "Euler": (EulerDiscreteScheduler, {}),
    "DDIM": (DDIMScheduler, {}),
}


def _report(what: str, hits: dict[str, list[bool]], seconds: float):
    shares = ", ".join(f"{name} {sum(some) / len(some):6.1%}" for name, some in hits.items())
    print(f"{what:<34} {shares}   {seconds:.2f} CPU s a picture", flush=True)


def drawing(
    pack: Pack, n: int, steps: list[int], guidances: list[float], schedulers: list[str]
) -> Iterator[tuple]:
    """Every combination over `n` single objects and `n` pairs: what was tried, the hits, CPU seconds a
    picture."""
    own = pack.text_to_image.scheduler
    singles, pairs = held_out(n, SINGLE, "choose"), two_objects(n, "choose two")
    asked = [prompt(scene, rng) for scene, rng in singles + pairs]
    for name, count, guidance in product(schedulers, steps, guidances):
        kind, options = SCHEDULERS[name]
        pack.text_to_image.scheduler = kind.from_config(own.config, **options)
        started = time.process_time()
        pictures = pack.imagine(asked, num_inference_steps=count, guidance_scale=guidance)
        seconds = (time.process_time() - started) / len(pictures)
        verdicts = pack.judge(pictures)
        hits = {
            "object": [
                main_of(v).object == s.groups[0].object
                for v, (s, _) in zip(verdicts[:n], singles, strict=True)
            ],
            "colour": [
                main_of(v).colour == s.groups[0].colour
                for v, (s, _) in zip(verdicts[:n], singles, strict=True)
            ],
            "pair": [has_both(v, s) for v, (s, _) in zip(verdicts[n:], pairs, strict=True)],
            "well formed": [
                judge.look(picture, s).fits(s) for picture, (s, _) in zip(pictures[:n], singles, strict=True)
            ],
        }
        yield f"{name}, {count} steps, guidance {guidance:g}", hits, seconds
    pack.text_to_image.scheduler = own


def varying(pack: Pack, n: int, strengths: list[float]) -> Iterator[tuple]:
    """Variations of `n` generated pictures: does the judge read the same, has the object moved by 8 px or
    more?"""
    scenes = held_out(n, SINGLE, "choose variations")
    prompts = [prompt(scene, rng) for scene, rng in scenes]
    originals: list[Image.Image] = pack.imagine(prompts, first_seed=50_000)
    before = [main_of(v) for v in pack.judge(originals)]
    for strength in strengths:
        started = time.process_time()
        after = [main_of(v) for v in pack.judge(pack.vary(originals, prompts, strength))]
        both = list(zip(before, after, strict=True))
        hits = {
            "object": [a.object == b.object for a, b in both],
            "object and colour": [(a.object, a.colour) == (b.object, b.colour) for a, b in both],
            "moved": [max(abs(a.x - b.x), abs(a.y - b.y)) >= 1 / 16 for a, b in both],
        }
        yield f"variation, strength {strength:g}", hits, (time.process_time() - started) / n


def main():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.choose", description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="samples of each kind")
    parser.add_argument("--steps", type=int, nargs="*", default=[8, 12, 16])
    parser.add_argument("--guidances", type=float, nargs="*", default=[2.0, 3.0, 4.0])
    parser.add_argument("--schedulers", nargs="*", choices=SCHEDULERS, default=["DPM++ 2M"])
    parser.add_argument("--strengths", type=float, nargs="*", default=[0.25, 0.34, 0.42, 0.75, 0.85])
    parser.add_argument(
        "--bfloat16", action="store_true", help="draw in bfloat16: faster where the processor knows it"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    diffusers_logging.set_verbosity_error()
    pack = Pack(arguments.bfloat16)
    for row in drawing(pack, arguments.n, arguments.steps, arguments.guidances, arguments.schedulers):
        _report(*row)
    for row in varying(pack, arguments.n, arguments.strengths):
        _report(*row)


if __name__ == "__main__":
    main()
