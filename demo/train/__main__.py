"""`python -m demo.train <stage> …`: makes the demo models from nothing, stage by stage, each resumable, in
`data/demo-training`; with `--copy` puts the finished pack into `demo/models`."""

import argparse
import logging

import torch

from demo import judge, photographs
from demo.train import autoencoder, chat_train, editor, loop, readers, text, unet

STAGES = {  # in the order in which they build on each other
    "text": text.train,
    "vae": autoencoder.train,
    "segmenter": readers.train_segmenter,
    "unet": unet.train,
    "text_tune": unet.tune_text,
    "decoder": autoencoder.train_decoder,
    "upscaler": autoencoder.train_upscaler,
    "edit": editor.train,
    "vision": readers.vision_train,
    "clip": readers.clip_train,
    "captioner": readers.train,
    "vit": readers.vit_train,
    "judge": judge.train,
    "photograph": photographs.main,
    "ask_tower": chat_train.train_tower,
    "ask": chat_train.train,
}


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(prog="python -m demo.train", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="stage", help=f"{', '.join(STAGES)}, or all")
    parser.add_argument(
        "--steps", type=int, help="train this long instead of the stage's own number of steps"
    )
    parser.add_argument("--copy", action="store_true", help="then put the whole pack into demo/models")
    given = parser.parse_args(arguments)
    unknown = [stage for stage in given.stages if stage not in (*STAGES, "all")]
    if unknown or not (given.stages or given.copy):
        named = f"no stage {unknown[0]}" if unknown else "name a stage or --copy"
        parser.error(f"{named}; stages are {', '.join(STAGES)}, or all")
    if given.steps is not None and given.steps < 1:
        parser.error(f"--steps {given.steps}: at least 1")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)  # models this small lose more in waiting for a second thread than they win
    for stage in STAGES if "all" in given.stages else given.stages:
        STAGES[stage](**({"steps": given.steps} if given.steps and stage != "photograph" else {}))
    if given.copy:
        loop.copy()


if __name__ == "__main__":
    main()
