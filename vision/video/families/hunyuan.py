"""HunyuanVideo 1.5: a flow transformer over words, glyphs and frames, behind a causal decoder. Weights for
words and weights for pictures are two families."""

import copy
from collections.abc import Mapping
from typing import Any

from vision.video.families.family import ENDINGS, FROM_OTHERS, Operation, Take, VideoCard, VideoFamily

FROM_LATENTS = "from the video's latents and fewer steps"


class HunyuanVideo(VideoFamily):
    """From words. Its pipelines call nothing back: what follows a step is called by the noise scheduler. How
    far it is guided is a matter of a part of the pipeline, of which each job has its own."""

    name = "hunyuan"
    title = "HunyuanVideo 1.5"
    float16 = False  # black frames (github.com/Tencent-Hunyuan/HunyuanVideo, issue 60)
    pipelines: tuple[str, ...] = ("HunyuanVideo15Pipeline",)
    native_area = 640 * 640
    multiple = 16
    fps = 24
    step = 4
    usual = 121
    longest = 121
    overlap = 1
    decoder = "in_turn"
    calls_back = False
    num_inference_steps = 50
    guidance_scale = 6.0
    draft_steps = 16
    natively: Mapping[Operation, str] = {
        Operation.WORDS: "HunyuanVideo15Pipeline",
        Operation.REMIX: f"HunyuanVideo15Pipeline {FROM_LATENTS}",
    }
    refusals: Mapping[Operation, str] = dict.fromkeys(
        FROM_OTHERS, "these weights draw from words alone; use HunyuanVideo 1.5 I2V"
    )

    def adjust(self, configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the size that the transformer was trained on: a square of 640 px, or of 960 for 720p."""
        side = configs.get("transformer", {}).get("target_size")
        return {"native_size": side} if isinstance(side, int) else {}

    def loaded(self, pipe: Any) -> None:
        """Let the decoder and the encoder do with little memory."""
        from vision.video import decode

        decode.attend_in_turn(pipe.vae)

    def prepare(self, pipe: Any, take: Take, card: VideoCard) -> Take:
        guides = take.guidance_scale > 1
        guider = pipe.guider.new(guidance_scale=take.guidance_scale, enabled=guides)
        vars(pipe)["guider"] = guider  # not setattr: that would note its class in the configuration
        return take

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        """Return, for a remix, the video's latents with as much noise as the first of the last steps begins
        with, and those steps alone."""
        if not take.source:
            return {}
        import numpy as np
        import torch

        from vision.video import decode

        clean = decode.encode_video(pipe.vae, take.source).float()
        clean = clean * pipe.vae.config.scaling_factor
        steps = take.num_inference_steps
        sigmas = np.linspace(1.0, 0.0, steps + 1)[:-1][-max(1, round(steps * take.strength)) :]
        scheduler = copy.deepcopy(pipe.scheduler.wrapped)
        scheduler.set_timesteps(sigmas=sigmas)
        share = float(scheduler.sigmas[0])
        generator = torch.Generator("cpu").manual_seed(take.seed)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        return {"latents": (1 - share) * clean + share * noise, "sigmas": sigmas.tolist()}


class HunyuanVideoPictures(HunyuanVideo):
    """From a first picture, whose size the pipeline would bring to one of its own."""

    name = "hunyuan-pictures"
    title = "HunyuanVideo 1.5 I2V"
    pipelines = ("HunyuanVideo15ImageToVideoPipeline",)
    natively = {
        Operation.FIRST: "HunyuanVideo15ImageToVideoPipeline",
        Operation.REMIX: f"HunyuanVideo15ImageToVideoPipeline {FROM_LATENTS}, the first frame as its picture",
    }
    by_windows = {Operation.EXTEND: "continues from the last frame alone"}
    refusals = {
        Operation.WORDS: "these weights start from a picture; give a first one",
        **dict.fromkeys(ENDINGS, "its pipelines accept a first picture only; use LTX-Video or Wan VACE"),
    }

    def prepare(self, pipe: Any, take: Take, card: VideoCard) -> Take:
        processor = copy.copy(pipe.video_processor)
        vars(processor)["calculate_default_height_width"] = lambda **sizes: (take.height, take.width)
        vars(pipe)["video_processor"] = processor
        return super().prepare(pipe, take, card)

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        given = super().arguments(pipe, take, card)
        return given | {"image": take.source[0] if take.source else take.first_known}


FAMILIES = (HunyuanVideo(), HunyuanVideoPictures())
