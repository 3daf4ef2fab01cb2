"""`python -m demo.train <stage> …`: makes the demo models from nothing, stage by stage, each resumable."""

import argparse
import logging

import torch

from demo import judge, photographs
from demo.train import autoencoder, chat_data, chat_train, loop, lora, readers, unet
from demo.train import editor as edit
from demo.train.loop import MODELS
from demo.world import compact

STAGES = {  # in the order in which they build on each other
    "examples": loop.main,
    "text": unet.text_train,
    "vae": autoencoder.train,
    "latents": unet.encode_latents,
    "decoder": autoencoder.train_decoder,
    "unet": unet.train,
    "unet_refine": unet.refine,
    "unet_form": unet.refine_form,
    "unet_hard": unet.refine_hard,
    "text_layout": unet.train_layout,
    "text_tune": unet.tune_text,
    "assemble": unet.assemble,
    "redrawn_pictures": autoencoder.make,
    "redrawn": autoencoder.train_redrawing,
    "redrawn_sharpen": autoencoder.sharpen,
    "fitted_pictures": lora.make,
    "unet_fitted": lora.train,
    "fitted_pictures_again": lora.make_again,
    "form_lora": lora.train_lora,
    "fitted_pictures_last": lora.make_last,
    "form_lora_refine": lora.refine_lora,
    "fitted_pictures_wide": lora.make_wide,
    "form_lora_wide": lora.widen_lora,
    "upscaler_pictures": autoencoder.make_upscaler_pictures,
    "upscaler": autoencoder.train_upscaler,
    "edit_text": edit.text_train,
    "edit": edit.train,
    "edit_refine": edit.refine,
    "edit_text_tune": edit.tune_text,
    "edit_own_pictures": edit.make,
    "edit_own": edit.train_own,
    "edit_own_pictures_again": edit.make_again,
    "edit_lora": edit.train_lora,
    "edit_own_pictures_last": edit.make_last,
    "edit_lora_refine": edit.refine_lora,
    "edit_own_pictures_finish": edit.make_finish,
    "edit_lora_finish": edit.finish_lora,
    "vision": readers.vision_train,
    "clip": readers.clip_train,
    "captioner": readers.train,
    "captioner_refine": readers.refine,
    "vit": readers.vit_train,
    "segmenter_pictures": readers.make_pictures,
    "segmenter": readers.train_segmenter,
    "judge": judge.train,
    "photograph": photographs.main,
    "ask_pictures": chat_data.make,
    "ask_tower": chat_train.tower_train,
    "ask_told": chat_train.train_told,
    "ask": chat_train.train,
    "ask_tower_refine": chat_train.tower_refine,
    "ask_refine": chat_train.refine,
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
