"""The pack's models as the evaluation and the benchmarks use them."""

import json
from functools import cache, cached_property
from pathlib import Path

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image
from tqdm import tqdm
from transformers import (
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPModel,
    CLIPProcessor,
    ViTForImageClassification,
    ViTImageProcessor,
)

from demo.evaluation.scenes import SINGLE, held_out, prompt
from demo.judge import Judge
from demo.training.loop import MODELS
from vision.image_model.attached import merged_lora
from vision.model_store import Models
from vision.protocol import WorkerConfig

BATCH = 4


def merge_own_lora(pipe: StableDiffusionPipeline, folder: Path):
    """Adds the LoRA that the card in `folder` names, if it does, as the product does."""
    if name := json.loads((folder / "atelier.json").read_text()).get("merged_lora"):
        merged_lora.merge(pipe, folder, name)


class Pack:
    """The models, loaded when first asked for. `bfloat16`: draw in it, twice as fast on a processor that
    knows it. `verdicts`: a folder in which what is said of films is kept. `skipped`: films at the beginning
    of a row that are left out."""

    def __init__(self, bfloat16: bool = False, verdicts: Path | None = None, skipped: int = 0):
        self.bfloat16, self.verdicts, self.skipped = bfloat16, verdicts, skipped
        self.settings = json.loads((MODELS / "stable-diffusion" / "atelier.json").read_text())

    @cached_property
    def text_to_image(self) -> StableDiffusionPipeline:
        folder = MODELS / "stable-diffusion"
        pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
        merge_own_lora(pipe, folder)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @cached_property
    def image_to_image(self) -> StableDiffusionImg2ImgPipeline:
        pipe = StableDiffusionImg2ImgPipeline(**self.text_to_image.components, requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @cached_property
    def models(self) -> Models:
        """The models as a worker of the product holds them."""
        return Models(
            WorkerConfig(
                "cpu",
                {
                    "image": str(MODELS / "stable-diffusion"),
                    "clip": str(MODELS / "clip"),
                    "vit": str(MODELS / "vit"),
                    "segment": str(MODELS / "segmenter"),
                    "edit": str(MODELS / "edit"),
                },
                "data/cache",
                cpu_threads=1,
                allow_download=False,
            )
        )

    @cached_property
    def clip(self):
        return CLIPModel.from_pretrained(
            MODELS / "clip", dtype=torch.float32
        ).eval(), CLIPProcessor.from_pretrained(MODELS / "clip")

    @cached_property
    def captioner(self):
        model = BlipForConditionalGeneration.from_pretrained(MODELS / "captioner", dtype=torch.float32)
        return model.eval(), BlipProcessor.from_pretrained(MODELS / "captioner")

    @cached_property
    def vit(self):
        model = ViTForImageClassification.from_pretrained(MODELS / "vit", dtype=torch.float32)
        return model.eval(), ViTImageProcessor.from_pretrained(MODELS / "vit")

    @cached_property
    def judge(self) -> Judge:
        return Judge()

    @property
    def defaults(self) -> dict:
        return {key: self.settings[key] for key in ("num_inference_steps", "guidance_scale")}

    @cache  # noqa: B019 - one pack lives as long as its process
    def singles(self, n: int):
        """The held-out single-object scenes, their prompts and the pictures drawn for them."""
        scenes = held_out(n, SINGLE, "imagine")
        prompts = [prompt(scene, rng) for scene, rng in scenes]
        return [scene for scene, _ in scenes], prompts, self.imagine(prompts)

    def precision(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16)

    def imagine(self, prompts: list[str], first_seed: int = 0, **options) -> list[Image.Image]:
        """One picture a prompt, with seeds that count up from `first_seed`."""
        pictures = []
        for start in tqdm(range(0, len(prompts), BATCH), desc="imagine", mininterval=10):
            some = prompts[start : start + BATCH]
            seeds = [torch.Generator().manual_seed(first_seed + start + i) for i in range(len(some))]
            with self.precision():
                pictures += self.text_to_image(some, generator=seeds, **{**self.defaults, **options}).images
        return pictures

    @torch.no_grad()
    def decoded(self, pictures: list[Image.Image]) -> list[Image.Image]:
        """The pictures through the autoencoder alone."""
        vae, processor = self.text_to_image.vae, self.text_to_image.image_processor
        made = []
        for start in range(0, len(pictures), BATCH):
            x = processor.preprocess(pictures[start : start + BATCH])
            made += processor.postprocess(vae.decode(vae.encode(x).latents).sample)
        return made

    def vary(self, pictures: list[Image.Image], prompts: list[str], strength: float) -> list[Image.Image]:
        varied = []
        for start in tqdm(range(0, len(prompts), BATCH), desc=f"vary {strength}", mininterval=10):
            some = slice(start, start + BATCH)
            seeds = [torch.Generator().manual_seed(1000 + start + i) for i in range(len(prompts[some]))]
            with self.precision():
                varied += self.image_to_image(
                    prompts[some], image=pictures[some], strength=strength, generator=seeds, **self.defaults
                ).images
        return varied
