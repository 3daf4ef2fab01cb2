"""LTX-Video: a flow transformer on packed latents. One pipeline takes known frames at any place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vision.video.families import known_vae
from vision.video.families.card import FilmCard
from vision.video.families.family import Known, Operation, Take, VideoFamily


class Ltx(VideoFamily):
    """0.9.x, of 2 B and of 13 B. Known frames other than the first come as tokens in front of the others'."""

    name = "ltx"
    title = "LTX-Video"
    pipelines = ("LTXPipeline", "LTXConditionPipeline", "LTXImageToVideoPipeline")
    native_area = 704 * 480
    multiple = 32
    fps = 25
    most_fps = 30
    step = 8
    usual = 121
    longest = 257
    overlap = 9  # a film elsewhere than at the start takes two latents at least
    keeps_latents = True
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
        Operation.REMIX: "LTXConditionPipeline with denoise_strength, from the film's latents",
        Operation.BLEND: "2 latents of each film at both ends",
        Operation.LOOP: "the picture at both ends",
    }

    def pipeline(self, take: Take, base: str) -> str:
        """Return the class that draws ``take``."""
        conditioned = bool(take.known or take.source)
        return "LTXConditionPipeline" if conditioned or base == "LTXConditionPipeline" else "LTXPipeline"

    def prepare(self, pipe: Any, take: Take, card: FilmCard) -> Take:
        """Return ``take`` as it is, with kept latents in place of what would be encoded."""
        known_vae.stand_in(pipe, take.known)
        return take

    def arguments(self, pipe: Any, take: Take, card: FilmCard) -> dict[str, Any]:
        """Return the arguments for what is known and for the source of a remix."""
        given: dict[str, Any] = {"frame_rate": take.fps}
        if take.source:
            # with the film as a condition nothing of it would be drawn anew
            given |= {"latents": self._normalized(pipe, take), "denoise_strength": take.strength}
        elif take.known:
            given["conditions"] = [self._condition(known, take) for known in take.known]
        return given

    def _condition(self, known: Known, take: Take) -> Any:
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        frames = known_vae.pictures(known, take.width, take.height)
        if len(frames) == 1:
            return LTXVideoCondition(image=frames[0], frame_index=known.at)
        return LTXVideoCondition(video=frames, frame_index=known.at)

    def _normalized(self, pipe: Any, take: Take) -> Any:
        from vision.video import decoding

        latents = decoding.encode(pipe.vae, decoding.tensor(take.source)).float()
        return pipe._normalize_latents(latents, pipe.vae.latents_mean, pipe.vae.latents_std)

    def latents(self, pipe: Any, result: Any, take: Take) -> Any:
        """Return what was drawn as the decoder takes it."""
        return self._raw(pipe, result.frames)

    def _raw(self, pipe: Any, latents: Any) -> Any:
        vae = pipe.vae
        return pipe._denormalize_latents(
            latents.float(), vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )

    def _unpacked(self, pipe: Any, latents: Any, take: Take) -> Any:
        """The latents of the film alone, without the tokens of known frames in front: (1, C, f, h, w)."""
        h, w = (side // pipe.vae_spatial_compression_ratio for side in (take.height, take.width))
        f = self.frame_latents(take.frames)
        own = latents[:, -f * h * w :]
        return pipe._unpack_latents(
            own, f, h, w, pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
        )

    def running_latents(self, pipe: Any, latents: Any, take: Take) -> Any:
        """Return unfinished latents as the decoder takes them."""
        return self._raw(pipe, self._unpacked(pipe, latents, take))

    def chunks(self, vae: Any, latents: Any, card: FilmCard) -> Iterator[Any]:
        """Decode piece by piece."""
        import torch

        from vision.video import decoding

        temb = None
        if vae.config.timestep_conditioning:
            temb = torch.tensor([card.decode_timestep], device=latents.device, dtype=vae.dtype)
            noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0)).to(latents)
            scale = card.decode_noise_scale
            latents = (1 - scale) * latents + scale * self._decoder_noise(vae, noise)
        return decoding.overlapping(vae, latents, temb)

    def _decoder_noise(self, vae: Any, noise: Any) -> Any:
        return noise


FAMILY = Ltx()
