"""What is asked of a film model in its own terms, and the film that comes of it: frames a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

FORMAT = "atelier.film-ends"


@dataclass(frozen=True, repr=False)
class Clip:
    """A film to start from. frames: RGB pictures of one size; all of them for a remix, else as many of its
    start and its end as there are. sha256: of its file, which stands for it in fingerprints. ends: "head" and
    "tail", see VideoFamily.ends; none for a film that another model drew."""

    frames: tuple[Image.Image, ...]
    sha256: str
    ends: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Clip({self.sha256}, {len(self.frames)} frames, {sorted(self.ends)})"


@dataclass(frozen=True)
class Shot:
    """One film to draw, with everything that its model's card leaves open filled in.

    operation: one of core.requests.video.OPERATIONS. width, height: px, whole multiples of the card's.
    frames: to be drawn, at ``fps`` a second. first, last: pictures of that size, of "new". loop: of "new",
    the end leads to the start. clip, clip_2: of the other operations, frames of that size. strength: of a
    remix, 0..1.
    """

    operation: str
    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    frames: int
    fps: float
    num_inference_steps: int
    guidance_scale: float
    first: Image.Image | None = None
    last: Image.Image | None = None
    loop: bool = False
    clip: Clip | None = None
    clip_2: Clip | None = None
    strength: float = 0.55


@dataclass
class Film:
    """A film that is being drawn. chunks: its frames in order, uint8 (f, H, W, 3); the drawing goes on as
    they are asked for. count: of its frames. sound: once the first chunk is out, see VideoFamily.sounds.
    ends: once all are, see VideoFamily.ends. notes: sentences for the user."""

    chunks: Iterator[np.ndarray]
    count: int
    fps: float
    width: int
    height: int
    notes: tuple[str, ...] = ()
    ends: Mapping[str, torch.Tensor] = field(default_factory=dict)
    sound: tuple[np.ndarray, int] | None = None

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.count / self.fps


def save_ends(ends: Mapping[str, Any], path: Path, family: str) -> None:
    """Write ``ends`` of a film that a model of ``family`` has drawn, for Clip.ends later."""
    import torch
    from safetensors.torch import save_file

    tensors = {name: tensor.to("cpu", torch.bfloat16).contiguous() for name, tensor in ends.items()}
    save_file(tensors, path, {FORMAT: family})


def load_ends(path: Path, family: str) -> dict[str, Any]:
    """Return the ends in ``path``; {} when another family's model has drawn the film. Raises ModelError for a
    file that isn't one of those."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            drawn_by = (file.metadata() or {})[FORMAT]
            if drawn_by != family:
                return {}
            return {name: file.get_tensor(name).float() for name in ("head", "tail")}
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"The ends that were kept of a film can't be read: {error}.") from error
