"""`python -m demo.train <stage> …`: makes the demo models from nothing, stage by stage, each resumable."""

import argparse
import logging

import torch

from demo import (
    examples,
    judge,
    train_captioner,
    train_clip,
    train_text,
    train_unet,
    train_upscaler,
    train_vae,
    train_vision,
    train_vit,
)

STAGES = {  # in the order in which they build on each other
    "examples": examples.main,
    "text": train_text.train,
    "vae": train_vae.train,
    "latents": train_unet.encode_latents,
    "decoder": train_vae.train_decoder,
    "unet": train_unet.train,
    "unet_refine": train_unet.refine,
    "unet_form": train_unet.refine_form,
    "assemble": train_unet.assemble,
    "upscaler_pictures": train_upscaler.make_pictures,
    "upscaler": train_upscaler.train,
    "vision": train_vision.train,
    "clip": train_clip.train,
    "captioner": train_captioner.train,
    "captioner_refine": train_captioner.refine,
    "vit": train_vit.train,
    "judge": judge.train,
}
UNTRAINED = ("examples", "latents", "assemble", "upscaler_pictures")


def main():
    parser = argparse.ArgumentParser(prog="python -m demo.train", description=__doc__)
    parser.add_argument("stages", nargs="+", choices=[*STAGES, "all"], metavar="stage")
    parser.add_argument(
        "--steps", type=int, help="train this long instead of the stage's own number of steps"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)  # models this small lose more in waiting for a second thread than they win
    for stage in STAGES if "all" in arguments.stages else arguments.stages:
        STAGES[stage](**({"steps": arguments.steps} if arguments.steps and stage not in UNTRAINED else {}))


if __name__ == "__main__":
    main()
