"""LTX-Video, a flow transformer on packed latents whose one pipeline takes known frames at any place; and
LTX-2, which draws video and sound in one."""

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from vision.video.families import family
from vision.video.families.family import Known, Operation, Take, VideoCard, VideoFamily


class Ltx(VideoFamily):
    """0.9.x, of 2 B and of 13 B. Known frames other than the first come as tokens in front of the others'."""

    name = "ltx"
    title = "LTX-Video"
    float16 = False  # black frames (github.com/openvinotoolkit/openvino, issue 37039)
    pipelines = ("LTXPipeline", "LTXConditionPipeline", "LTXImageToVideoPipeline")
    native_area = 704 * 480
    multiple = 32
    fps = 25
    most_fps = 30
    step = 8
    usual = 121
    longest = 257
    overlap = 9  # a video elsewhere than at the start takes two latents at least
    keeps_latents = True
    known_behind = False  # where the tokens of known frames are, among the others
    num_inference_steps = 40
    guidance_scale = 3.0
    draft_steps = 16
    usual_negative = "worst quality, inconsistent motion, blurry, jittery, distorted"  # its model card
    natively = {
        Operation.WORDS: "LTXPipeline",
        Operation.FIRST: "LTXConditionPipeline, the picture at frame 0",
        Operation.FIRST_LAST: "the same, the other at the last frame",
        Operation.EXTEND: "the last 2 latents at frame 0",
        Operation.EXTEND_BACK: "the first 2 latents at the end",
        Operation.REMIX: "LTXConditionPipeline with denoise_strength, from the video's latents",
        Operation.BLEND: "2 latents of each video at both ends",
        Operation.LOOP: "the picture at both ends",
    }

    def pipeline(self, take: Take, base: str) -> str:
        conditioned = bool(take.known or take.source)
        return "LTXConditionPipeline" if conditioned or base == "LTXConditionPipeline" else "LTXPipeline"

    def prepare(self, pipe: Any, take: Take, card: VideoCard) -> Take:
        family.stand_in(pipe, take.known)
        return take

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        from vision.video import decode

        given: dict[str, Any] = {"frame_rate": take.fps}
        if take.source:
            # with the video as a condition nothing of it would be drawn anew
            latents = decode.encode_video(pipe.vae, take.source).float()
            latents = pipe._normalize_latents(latents, pipe.vae.latents_mean, pipe.vae.latents_std)
            given |= {"latents": latents, "denoise_strength": take.strength}
        elif take.known:
            given["conditions"] = [self._condition(known, take) for known in take.known]
        return given

    def _condition(self, known: Known, take: Take) -> Any:
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        frames = family.known_pictures(known, take.width, take.height)
        if len(frames) == 1:
            return LTXVideoCondition(image=frames[0], frame_index=known.at)
        return LTXVideoCondition(video=frames, frame_index=known.at)

    def latents(self, pipe: Any, result: Any, take: Take) -> Any:
        return self._raw(pipe, result.frames)

    def _raw(self, pipe: Any, latents: Any) -> Any:
        vae = pipe.vae
        return pipe._denormalize_latents(
            latents.float(), vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )

    def _unpacked(self, pipe: Any, latents: Any, take: Take) -> Any:
        """The latents of the video alone, without the tokens of known frames: (1, C, f, h, w)."""
        h, w = (side // pipe.vae_spatial_compression_ratio for side in (take.height, take.width))
        f = self.frame_latents(take.frames)
        own = latents[:, : f * h * w] if self.known_behind else latents[:, -f * h * w :]
        return pipe._unpack_latents(
            own, f, h, w, pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
        )

    def running_latents(self, pipe: Any, latents: Any, take: Take) -> Any:
        return self._raw(pipe, self._unpacked(pipe, latents, take))

    def chunks(self, vae: Any, latents: Any, card: VideoCard, *, tiled: bool = False) -> Iterator[Any]:
        import torch

        from vision.video import decode

        temb = None
        if vae.config.timestep_conditioning:
            temb = torch.tensor([card.decode_timestep], device=latents.device, dtype=vae.dtype)
            noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0)).to(latents)
            scale = card.decode_noise_scale
            latents = (1 - scale) * latents + scale * self._decoder_noise(vae, noise)
        pieces = partial(decode.overlapping, vae, temb=temb)
        return decode.in_tiles(pieces, latents) if tiled else pieces(latents)

    def _decoder_noise(self, vae: Any, noise: Any) -> Any:
        return noise


FAMILY = Ltx()
# diffusers.pipelines.ltx2.utils.DISTILLED_SIGMA_VALUES, which a test compares: importing it takes torch
DISTILLED = (1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875)


class Ltx2(Ltx):
    """LTX-2, 2.3 and 2.5. Known frames other than the first come as tokens behind the others', and begin with
    a latent: at frame 8·i + 1. What becomes of the sound isn't told after a step, so no step can be saved."""

    name = "ltx2"
    title = "LTX-2"
    pipelines = ("LTX2Pipeline", "LTX2ImageToVideoPipeline", "LTX2ConditionPipeline")
    native_area = 768 * 512
    fps = 24
    longest = 481
    sound = True
    known_behind = True
    keeps_steps = False
    guidance_scale = 3.0
    num_inference_steps = 30
    draft_steps = 12
    natively = {
        Operation.WORDS: "LTX2ConditionPipeline",
        Operation.FIRST: "LTX2ConditionPipeline, the picture as the first latent",
        Operation.FIRST_LAST: "the same, the other as the last latent",
        Operation.EXTEND: "the last 2 latents in front",
        Operation.EXTEND_BACK: "the first 2 latents behind",
        Operation.REMIX: "LTX2ConditionPipeline from the video's latents and fewer steps; without sound",
        Operation.BLEND: "2 latents of each video at both ends",
        Operation.LOOP: "the picture at both ends",
    }

    @property
    def usual_negative(self) -> str:  # type: ignore[override]
        """The negative prompt of its makers."""
        from diffusers.pipelines.ltx2.utils import DEFAULT_NEGATIVE_PROMPT

        return DEFAULT_NEGATIVE_PROMPT

    def adjust(self, configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return how a distilled model is used: its scheduler bends no noise, as diffusers' conversion writes
        it and as 2.5 is published."""
        if configs.get("scheduler", {}).get("use_dynamic_shifting", True):
            return {}
        steps = dict.fromkeys(("num_inference_steps", "draft_steps"), len(DISTILLED))
        return {**steps, "guidance_scale": 1.0, "sigmas": DISTILLED}

    def around(self, overlap: int, between: int, after: int) -> tuple[int, int]:
        """As the others', but that known frames begin at 8·i + 1, and that the call goes on behind them for
        as long as a latent lasts."""
        at = self.at_least(overlap + between)
        return self.at_least(at + after), at

    def pipeline(self, take: Take, base: str) -> str:
        return "LTX2ConditionPipeline"

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        given: dict[str, Any] = {"frame_rate": float(take.fps), "num_frames": take.frames}
        if take.guidance_scale <= 1:  # distilled: each of the other guidances would be a pass of its own
            given |= {"stg_scale": 0.0, "modality_scale": 1.0, "guidance_rescale": 0.0}
            given |= {"audio_guidance_scale": 1.0, "audio_stg_scale": 0.0, "audio_modality_scale": 1.0}
        layers = len(pipe.transformer.transformer_blocks)
        given["spatio_temporal_guidance_blocks"] = [min(28, layers - 1)]
        if card.sigmas:
            given["sigmas"] = self._sigmas(card, take.num_inference_steps)
        if take.source:
            given |= self._beginning(pipe, take, card)
        elif take.known:
            given["conditions"] = [self._condition(known, take) for known in take.known]
        return given

    def _condition(self, known: Known, take: Take) -> Any:
        from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

        frames = family.known_pictures(known, take.width, take.height)
        index = -(-known.at // self.step)  # of the latent that the frame is in
        return LTX2VideoCondition(frames=frames, index=index)

    def _sigmas(self, card: VideoCard, steps: int) -> list[float]:
        """The noise at which each step begins, before the scheduler: of a distilled model its own, between
        which others lie for another number of steps."""
        import numpy as np

        ends = [*(card.sigmas or (1.0,)), 0.0]
        places = np.linspace(0, len(ends) - 1, steps + 1)[:-1]
        return [float(one) for one in np.interp(places, range(len(ends)), ends)]

    def _beginning(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        """The video's latents, and the last steps alone with as much noise as the first begins with."""
        from diffusers.pipelines.ltx2.pipeline_ltx2 import calculate_shift

        from vision.video import decode

        latents = decode.encode_video(pipe.vae, take.source).float()
        steps = take.num_inference_steps
        count = max(1, min(steps, round(steps * take.strength)))
        sigmas = self._sigmas(card, steps)[-count:]
        scheduler, config = copy.deepcopy(pipe.scheduler), pipe.scheduler.config
        mu = calculate_shift(
            latents[0, 0].numel(),
            config.get("base_image_seq_len", 1024),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.95),
            config.get("max_shift", 2.05),
        )
        scheduler.set_timesteps(sigmas=sigmas, mu=mu)
        return {
            "latents": latents,
            "sigmas": sigmas,
            "noise_scale": float(scheduler.sigmas[0]),
            "num_inference_steps": count,
        }

    def latents(self, pipe: Any, result: Any, take: Take) -> Any:
        return result.frames.float()  # its pipelines return them as the decoder takes them

    def _decoder_noise(self, vae: Any, noise: Any) -> Any:
        mean, std = (one.view(1, -1, 1, 1, 1).to(noise) for one in (vae.latents_mean, vae.latents_std))
        return noise * std / vae.config.scaling_factor + mean

    def sounds(self, pipe: Any, result: Any) -> Any:
        import torch

        with torch.no_grad():
            latents = result.audio.to(pipe.audio_vae.dtype)
            samples = pipe.vocoder(pipe.audio_vae.decode(latents, return_dict=False)[0])
        rate = pipe.vocoder.config.output_sampling_rate
        return samples[0].float().clamp(-1, 1).cpu().numpy(), rate


LTX2_FAMILY = Ltx2()
