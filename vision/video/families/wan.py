"""Wan 2.1 and 2.2: flow transformers behind a causal decoder. What a video can start from is a matter of the
weights, so each kind of them is a family of its own.

Steps, guidance and the noise scheduler's shift are their makers' (Wan-Video/Wan2.1, generate.py and README;
Wan-Video/Wan2.2, wan/configs; looked up on 30 November 2026)."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from vision.video.families.family import (
    ENDINGS,
    FROM_OTHERS,
    SIZES,
    Operation,
    Take,
    VideoCard,
    VideoFamily,
)

FIRST_FRAME_ONLY = "continues from the last frame alone"
NEEDS_PICTURE = "these weights start from a picture; give a first one"
NO_END = "these weights accept a first picture only; use Wan 2.1 FLF2V, 2.2 A14B or VACE"
NO_REMIX = (
    "these weights were trained with pictures beside the noise and can't start from a video; use Wan's T2V"
)

PLAIN_SHIFTS = (1.0, 3.0, 5.0)  # of its makers' repositories; with another, somebody has trained for it


class Wan(VideoFamily):
    """Wan 2.1 T2V (1.3 B, 14 B) and 2.2 T2V-A14B: from words."""

    name = "wan"
    title = "Wan T2V"
    pipelines: tuple[str, ...] = ("WanPipeline", "WanVideoToVideoPipeline")
    native_area = 832 * 480
    multiple = 16
    fps = 16
    step = 4
    usual = 81
    longest = 81
    overlap = 1
    num_inference_steps = 50
    guidance_scale = 5.0
    flow_shift: Mapping[str, float] = {"480": 3.0, "720": 5.0}
    draft_steps = 12
    usual_negative = (  # diffusers' examples of its pipelines; its makers' own code has the same in Chinese
        "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images,"
        " static, overall gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra"
        " fingers, poorly drawn hands, poorly drawn faces, deformed, disfigured, misshapen limbs, fused"
        " fingers, still picture, messy background, three legs, many people in the background, walking"
        " backwards"
    )
    decoder = "causal"
    float32_decoder = True  # its model card: half precision shows
    sizes: Mapping[str, Mapping[str, Any]] = {  # what is special of some
        "1.3B": {"guidance_scale": 6.0, "flow_shift": dict.fromkeys(SIZES, 8.0)},
        "A14B": {
            "num_inference_steps": 40,
            **{"guidance_scale": 4.0, "guidance_scale_2": 3.0, "flow_shift": dict.fromkeys(SIZES, 12.0)},
        },
    }
    expands = False  # whether its time steps are those of 2.2's small model, one for each token
    trained = ""  # with which pictures: "first", "both" at once, or "either"; "" = with any, or none
    natively: Mapping[Operation, str] = {
        Operation.WORDS: "WanPipeline",
        Operation.REMIX: "WanVideoToVideoPipeline",
    }
    refusals: Mapping[Operation, str] = dict.fromkeys(
        FROM_OTHERS, "these weights draw from words alone; use Wan's I2V or VACE"
    )

    def belongs(self, index: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]]) -> bool:
        config = configs.get("transformer") or configs.get("transformer_2", {})
        trained = "both" if config.get("pos_embed_seq_len") else "first"
        if config.get("image_dim") is None:  # no encoder of pictures beside the decoder's
            trained = "either"
        expands = bool(index.get("expand_timesteps"))
        return super().belongs(index, configs) and expands == self.expands and self.trained in ("", trained)

    def adjust(self, configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the shift of the noise scheduler, and what is special of a size of the model."""
        small = configs.get("transformer", {}).get("num_attention_heads") == 12
        kind = "A14B" if "transformer_2" in configs else "1.3B" if small else ""
        shift = configs.get("scheduler", {}).get("flow_shift", 1.0)
        own: dict[str, Any] = {"flow_shift": self.flow_shift, **self.sizes.get(kind, {})}
        return own if shift in PLAIN_SHIFTS else own | {"flow_shift": {}}

    def components(self, name: str, parts: dict[str, Any]) -> dict[str, Any]:
        """Give a remix, which takes one transformer, that for the low noise."""
        if name == "WanVideoToVideoPipeline" and parts.get("transformer_2") is not None:
            return {**parts, "transformer": parts["transformer_2"]}
        return parts

    def prepare(self, pipe: Any, take: Take, card: VideoCard) -> Take:
        area = take.width * take.height
        shift = card.flow_shift.get(next(size for size, most in SIZES.items() if area <= most))
        if shift and "flow_shift" in pipe.scheduler.config:
            pipe.scheduler.register_to_config(flow_shift=shift)
        return take

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        is_usual = take.guidance_scale == card.guidance_scale
        if take.source:
            low = card.guidance_scale_2 if is_usual else None  # see components
            remixed = {"video": list(take.source), "strength": take.strength}
            return remixed if low is None else remixed | {"guidance_scale": low}
        last = next((known for known in take.known if known.at > 0), None)
        given: dict[str, Any] = {} if take.first_known is None else {"image": take.first_known}
        if is_usual and pipe.config.get("boundary_ratio") is not None:
            given["guidance_scale_2"] = card.guidance_scale_2
        return given | ({"last_image": last.frames[0]} if last else {})

    def running_latents(self, pipe: Any, latents: Any, take: Take) -> Any:
        config = pipe.vae.config
        mean, std = (
            latents.new_tensor(values).view(1, -1, 1, 1, 1)
            for values in (config.latents_mean, config.latents_std)
        )
        return latents * std + mean


class WanFirst(Wan):
    """Wan 2.1 I2V: from a first picture."""

    name = "wan-first"
    title = "Wan 2.1 I2V"
    pipelines = ("WanImageToVideoPipeline",)
    num_inference_steps = 40
    sizes = {}
    trained = "first"
    natively = {Operation.FIRST: "WanImageToVideoPipeline"}
    by_windows: Mapping[Operation, str] = {Operation.EXTEND: FIRST_FRAME_ONLY}
    refusals = {Operation.WORDS: NEEDS_PICTURE, Operation.REMIX: NO_REMIX, **dict.fromkeys(ENDINGS, NO_END)}


class WanFirstLast(WanFirst):
    """Wan 2.1 FLF2V: between a first and a last picture."""

    name = "wan-first-last"
    title = "Wan 2.1 FLF2V"
    trained = "both"
    num_inference_steps = 50
    flow_shift = dict.fromkeys(SIZES, 16.0)
    natively = {
        Operation.FIRST_LAST: "WanImageToVideoPipeline with last_image",
        Operation.BLEND: "between the last frame of one and the first frame of the other",
        Operation.LOOP: "the picture first and last",
    }
    by_windows = {}
    refusals = {
        Operation.WORDS: NEEDS_PICTURE,
        Operation.REMIX: NO_REMIX,
        **dict.fromkeys(
            (Operation.FIRST, Operation.EXTEND, Operation.EXTEND_BACK),
            "these weights need a first and a last picture; use Wan 2.1 I2V or 2.2 A14B",
        ),
    }


class WanPictures(WanFirst):
    """Wan 2.2 I2V-A14B: from a first picture, or between a first and a last one."""

    name = "wan-pictures"
    title = "Wan 2.2 I2V-A14B"
    trained = "either"
    natively = {**WanFirst.natively, **WanFirstLast.natively}
    refusals = {
        Operation.WORDS: NEEDS_PICTURE,
        Operation.REMIX: NO_REMIX,
        Operation.EXTEND_BACK: "these weights always need the first frame; use VACE",
    }
    guidance_scale = 3.5
    flow_shift = dict.fromkeys(SIZES, 5.0)


class Wan5B(Wan):
    """Wan 2.2 TI2V-5B: from words or a first picture. Its pipeline ignores a last picture."""

    name = "wan-5b"
    title = "Wan 2.2 TI2V-5B"
    pipelines = ("WanPipeline", "WanImageToVideoPipeline")
    expands = True
    native_area = 1280 * 704
    multiple = 32
    fps = 24
    usual = 121
    longest = 121
    flow_shift = dict.fromkeys(SIZES, 5.0)
    sizes = {}
    draft_steps = 16
    natively = {Operation.WORDS: "WanPipeline", Operation.FIRST: "WanImageToVideoPipeline"}
    by_windows: Mapping[Operation, str] = {Operation.EXTEND: FIRST_FRAME_ONLY}
    refusals = {
        Operation.REMIX: "diffusers' pipeline for it knows Wan 2.1's decoder only; use Wan's T2V",
        **dict.fromkeys(ENDINGS, NO_END),
    }

    def pipeline(self, take: Take, base: str) -> str:
        return "WanImageToVideoPipeline" if take.known else "WanPipeline"


class WanVace(Wan):
    """Wan VACE: known frames anywhere, as an input; what isn't known is grey, and white in its mask."""

    name = "wan-vace"
    title = "Wan VACE"
    pipelines = ("WanVACEPipeline",)
    overlap = 5
    flow_shift = dict.fromkeys(SIZES, 16.0)
    sizes = {}
    natively = {
        Operation.WORDS: "WanVACEPipeline with nothing known",
        Operation.FIRST: "WanVACEPipeline, the first frame known",
        Operation.FIRST_LAST: "the same, with both frames",
        Operation.EXTEND: "the last 5 frames known",
        Operation.EXTEND_BACK: "the first 5 frames known, behind",
        Operation.BLEND: "5 frames of each video known",
        Operation.LOOP: "the picture known at both ends",
    }
    refusals = {Operation.REMIX: "its pipeline begins with noise alone; use Wan's T2V"}

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        if not take.known:
            return {}
        size = (take.width, take.height)
        video = [Image.new("RGB", size, (128, 128, 128))] * take.frames
        mask = [Image.new("L", size, 255)] * take.frames
        for known in take.known:
            for i, frame in enumerate(known.frames):
                video[known.at + i], mask[known.at + i] = frame, Image.new("L", size, 0)
        return {"video": video, "mask": mask}


FAMILIES = (Wan5B(), Wan(), WanFirst(), WanFirstLast(), WanPictures(), WanVace())
