"""CogVideoX 1.0 and 1.5: one transformer over words and frames, behind a causal decoder. Weights for words
and weights for pictures are two families."""

from collections.abc import Mapping
from typing import Any

from vision.video.families.family import ENDINGS, FROM_OTHERS, Operation, Take, VideoCard, VideoFamily


class CogVideoX(VideoFamily):
    """Of 2 B and 5 B, from words. Its usual noise scheduler keeps what it predicted last in the pipeline's
    loop, so that no step can be saved."""

    name = "cogvideox"
    title = "CogVideoX"
    float16 = False  # black frames (github.com/zai-org/CogVideo, issues 559 and 637)
    pipelines: tuple[str, ...] = ("CogVideoXPipeline", "CogVideoXVideoToVideoPipeline")
    native_area = 720 * 480
    multiple = 16
    fps = 8
    step = 4
    usual = 49
    longest = 49
    overlap = 1
    decoder = "in_pairs"
    keeps_steps = False
    num_inference_steps = 50
    guidance_scale = 6.0
    draft_steps = 20
    natively: Mapping[Operation, str] = {
        Operation.WORDS: "CogVideoXPipeline",
        Operation.REMIX: "CogVideoXVideoToVideoPipeline",
    }
    refusals: Mapping[Operation, str] = dict.fromkeys(
        FROM_OTHERS, "these weights draw from words alone; use CogVideoX I2V"
    )

    def adjust(self, configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the longer videos and the frames a second of 1.5, whose patches are two latents deep."""
        config = configs.get("transformer", {})
        if config.get("patch_size_t") is None:
            return {}
        return {"fps": 16, "usual_frames": 81, "longest": 81, "native_size": round((1360 * 768) ** 0.5)}

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        if take.source:
            depth = pipe.transformer.config.patch_size_t or 1
            # 1.5 refuses a video of an odd number of latents
            missing = -self.frame_latents(take.frames) % depth
            more = take.source[-1:] * (missing * self.step)
            return {"video": [*take.source, *more], "strength": take.strength}
        return {}

    def running_latents(self, pipe: Any, latents: Any, take: Take) -> Any:
        """Return unfinished latents as the decoder takes them: without those that fill the patches of 1.5, in
        front, or behind a video that is remixed."""
        count = self.frame_latents(take.frames)
        own = latents[:, :count] if take.source else latents[:, -count:]
        return own.permute(0, 2, 1, 3, 4) / pipe.vae.config.scaling_factor


class CogVideoXPictures(CogVideoX):
    """Of 5 B, from a first picture."""

    name = "cogvideox-pictures"
    title = "CogVideoX I2V"
    pipelines = ("CogVideoXImageToVideoPipeline",)
    natively = {Operation.FIRST: "CogVideoXImageToVideoPipeline"}
    by_windows = {Operation.EXTEND: "continues from the last frame alone"}
    refusals = {
        Operation.WORDS: "these weights start from a picture; give a first one",
        Operation.REMIX: "these weights were trained with a picture beside the noise; use CogVideoX",
        **dict.fromkeys(ENDINGS, "its pipelines accept a first picture only; use LTX-Video or Wan VACE"),
    }

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        """Return the picture, and that guidance changes from step to step, as its makers draw."""
        return {"image": take.first_known, "use_dynamic_cfg": True}


FAMILIES = (CogVideoX(), CogVideoXPictures())
