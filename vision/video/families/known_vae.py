"""Stands in for a pipeline's decoder and encoder where latents of known frames are kept: hands them out in
place of encoding the frames again, which would shift their colours at every join."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from PIL import Image

from vision.video.families.family import Known


class KnownVae:
    """Stands for ``vae`` in one call of a pipeline, which encodes ``known`` one after the other, in this
    order."""

    def __init__(self, vae: Any, known: Sequence[Known]) -> None:
        self._vae, self._kept = vae, [one.latents for one in known]

    def encode(self, pixels: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the latents of the next known frames as the encoder would: those that are kept, else of
        ``pixels``."""
        kept = self._kept.pop(0) if self._kept else None
        if kept is None:
            return self._vae.encode(pixels, *args, **kwargs)
        return SimpleNamespace(latents=kept.to(device=pixels.device, dtype=pixels.dtype))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_vae"), name)


def stand_in(pipe: Any, known: Sequence[Known]) -> None:
    """Put a KnownVae into ``pipe`` if any of ``known`` has its latents."""
    if any(one.latents is not None for one in known):
        vars(pipe)["vae"] = KnownVae(pipe.vae, known)


def pictures(known: Known, width: int, height: int) -> list[Image.Image]:
    """Return the frames of ``known``, px; blank ones of that size where its latents are kept."""
    if known.latents is None:
        return list(known.frames)
    return [Image.new("RGB", (width, height))] * len(known.frames)
