"""AnimateDiff: motion modules in Stable Diffusion's UNet. A latent a frame, so that known frames go between
the others' latents."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vision.video.families.family import Known, Operation, Take, VideoCard, VideoFamily


class AnimateDiff(VideoFamily):
    """With Stable Diffusion 1.5's UNet. Known frames are put back after every step: with the noise of the
    next one, as in inpainting, or with none for an adapter that was trained so (``known`` of its card)."""

    name = "animatediff"
    title = "AnimateDiff"
    pipelines = ("AnimateDiffPipeline", "AnimateDiffVideoToVideoPipeline")
    native_area = 512 * 512
    multiple = 8
    fps = 8
    step = 1
    usual = 16
    longest = 16
    overlap = 4
    decoder = "one_by_one"
    keeps_latents = True
    remixes_in_windows = True
    num_inference_steps = 25
    guidance_scale = 7.5
    draft_steps = 10
    natively = {
        Operation.WORDS: "AnimateDiffPipeline",
        Operation.FIRST: "AnimateDiffPipeline, the first frame put back after every step",
        Operation.FIRST_LAST: "the same, with both frames",
        Operation.EXTEND: "the same, with the last 4 frames' own latents",
        Operation.EXTEND_BACK: "the same, with the first 4 frames' own latents",
        Operation.REMIX: "AnimateDiffVideoToVideoPipeline",
        Operation.BLEND: "the same, with 4 frames of each video",
        Operation.LOOP: "the first frame known as the last, too",
    }

    def adjust(self, configs: Any) -> dict[str, Any]:
        """Return the longest video that the adapter's positions allow, and the UNet's native size."""
        adapter = configs.get("motion_adapter") or configs.get("unet", {})
        found: dict[str, Any] = {}
        positions = adapter.get("motion_max_seq_length")
        if isinstance(positions, int):
            found["longest"] = min(positions, 16 if positions >= 16 else positions)
            found["usual_frames"] = found["longest"]
        side = configs.get("unet", {}).get("sample_size")
        if isinstance(side, int):
            levels = len(configs.get("vae", {}).get("block_out_channels", [0] * 4))
            found["native_size"] = side * 2 ** (levels - 1)
        return found

    def prepare(self, pipe: Any, take: Take, card: VideoCard) -> Take:
        from vision.video import decode

        def with_latents(known: Known) -> Known:
            if known.latents is not None:
                return known
            return replace(known, latents=decode.encode_video(pipe.vae, known.frames))

        return replace(take, known=tuple(map(with_latents, take.known)))

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        import torch

        given: dict[str, Any] = {"decode_chunk_size": 1}
        if take.source:
            given |= {"video": [list(take.source)], "strength": take.strength}
        elif take.known and card.known == "clean":
            scale = pipe.scheduler.init_noise_sigma  # pipelines multiply by it
            height, width = (side // pipe.vae_scale_factor for side in (take.height, take.width))
            generator = torch.Generator("cpu").manual_seed(take.seed)
            noise = torch.randn(
                (1, pipe.unet.config.in_channels, take.frames, height, width), generator=generator
            ).to(pipe.vae.device, pipe.vae.dtype)
            given["latents"] = self._with_known(pipe, take, noise, lambda clean: clean / scale)
        return given

    def _with_known(self, pipe: Any, take: Take, latents: Any, noised: Callable[[Any], Any]) -> Any:
        """``latents`` with those of the known frames in their places, as ``noised`` makes them."""
        latents = latents.clone()
        for known in take.known:
            clean = (known.latents * pipe.vae.config.scaling_factor).to(latents)
            latents[:, :, known.at : known.at + clean.shape[2]] = noised(clean)
        return latents

    def after_step(self, pipe: Any, take: Take, step: int, latents: Any, card: VideoCard) -> Any:
        """Return the latents with the known frames put back."""
        if not take.known:
            return latents
        times = pipe.scheduler.timesteps[-pipe.num_timesteps :]  # a remix begins later
        if card.known == "clean" or step >= len(times):
            return self._with_known(pipe, take, latents, lambda clean: clean)

        def noised(clean: Any) -> Any:
            import torch

            generator = torch.Generator("cpu").manual_seed(take.seed + 1)  # the same at every step
            noise = torch.randn(clean.shape, generator=generator).to(clean)
            return pipe.scheduler.add_noise(clean, noise, times[step : step + 1].to(clean.device))

        return self._with_known(pipe, take, latents, noised)


FAMILY = AnimateDiff()
