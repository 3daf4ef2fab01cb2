"""`python -m demo.train <stage> …`: makes the demo models from nothing, stage by stage, each resumable."""

import argparse
import logging

import torch

from demo import judge
from demo.training import (
    captioner,
    clip,
    examples,
    photograph,
    segmenter,
    text,
    unet,
    upscaler,
    vision,
    vit,
)
from demo.training.ask import language, pool, tower
from demo.training.autoencoder import network as autoencoder
from demo.training.autoencoder import redrawn
from demo.training.edit import lora as edit_lora
from demo.training.edit import network as edit
from demo.training.edit import own as edit_own
from demo.training.edit import text as edit_text
from demo.training.form import fitted, lora
from demo.training.loop import MODELS
from demo.vocabulary import compact

STAGES = {  # in the order in which they build on each other
    "examples": examples.main,
    "text": text.train,
    "vae": autoencoder.train,
    "latents": unet.encode_latents,
    "decoder": autoencoder.train_decoder,
    "unet": unet.train,
    "unet_refine": unet.refine,
    "unet_form": unet.refine_form,
    "unet_hard": unet.refine_hard,
    "text_layout": text.train_layout,
    "text_tune": unet.tune_text,
    "assemble": unet.assemble,
    "redrawn_pictures": redrawn.make,
    "redrawn": redrawn.train,
    "redrawn_sharpen": redrawn.sharpen,
    "fitted_pictures": fitted.make,
    "unet_fitted": lora.train,
    "fitted_pictures_again": fitted.make_again,
    "form_lora": lora.train_lora,
    "fitted_pictures_last": lora.make_last,
    "form_lora_refine": lora.refine_lora,
    "fitted_pictures_wide": lora.make_wide,
    "form_lora_wide": lora.widen_lora,
    "upscaler_pictures": upscaler.make_pictures,
    "upscaler": upscaler.train,
    "edit_text": edit_text.train,
    "edit": edit.train,
    "edit_refine": edit.refine,
    "edit_text_tune": edit.tune_text,
    "edit_own_pictures": edit_own.make,
    "edit_own": edit_lora.train,
    "edit_own_pictures_again": edit_own.make_again,
    "edit_lora": edit_lora.train_lora,
    "edit_own_pictures_last": edit_lora.make_last,
    "edit_lora_refine": edit_lora.refine_lora,
    "edit_own_pictures_finish": edit_lora.make_finish,
    "edit_lora_finish": edit_lora.finish_lora,
    "vision": vision.train,
    "clip": clip.train,
    "captioner": captioner.train,
    "captioner_refine": captioner.refine,
    "vit": vit.train,
    "segmenter_pictures": segmenter.make_pictures,
    "segmenter": segmenter.train,
    "judge": judge.train,
    "photograph": photograph.main,
    "ask_pictures": pool.make,
    "ask_tower": tower.train,
    "ask_told": language.train_told,
    "ask": language.train,
    "ask_tower_refine": tower.refine,
    "ask_refine": language.refine,
    "tokenizers": lambda: compact(MODELS),
}
UNTRAINED = (
    "examples",
    "latents",
    "redrawn_pictures",
    "fitted_pictures",
    "fitted_pictures_again",
    "fitted_pictures_last",
    "fitted_pictures_wide",
    "edit_own_pictures",
    "edit_own_pictures_again",
    "edit_own_pictures_last",
    "edit_own_pictures_finish",
    "assemble",
    "upscaler_pictures",
    "segmenter_pictures",
    "photograph",
    "ask_pictures",
    "tokenizers",
)


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
