"""What a family of video models is: its diffusers classes, which lengths and sizes it draws, how one of its
models is best used (``VideoCard``), what it can be shown, and how its latents become frames.

Loads no torch."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import partial
from types import SimpleNamespace
from typing import Any

from PIL import Image

from core.errors import ModelError, UserError
from vision.weights.card import FILE, check_ranges

KNOWN = ("noised", "clean")
SIZES = {"480": 960 * 640, "720": math.inf}  # px of a frame, at most
MOST = {"sigmas": 1, "flow_shift": 100}
# What LoRAs for few steps take: lightx2v's for Wan 2.1 and 2.2, by their model cards (August 2025)
LIGHTNING = {
    **dict.fromkeys(("num_inference_steps", "draft_steps"), 4),
    **dict.fromkeys(("guidance_scale", "guidance_scale_2"), 1.0),
    "flow_shift": {"480": 5.0, "720": 5.0},
}


@dataclass(frozen=True)
class VideoCard:
    """Defaults and abilities of one video model. Sides are in px.

    native_size: side of a square with the area of a frame that it was trained on. multiple: sides are whole
    multiples of it. num_inference_steps: steps of a video. guidance_scale: how strictly videos follow the
    words. draft_steps: steps of ``--draft``. fps: frames a second when nothing is said. usual_frames: frames
    of a video when nothing is said. longest: frames of one call; longer videos are drawn in windows.
    max_area: largest frame, in native areas. output_scale: factor by which frames are enlarged.
    guidance_scale_2: guidance of the transformer for the low noise; null = the same. flow_shift: shift of the
    noise scheduler by the size of a frame, "480" up to 960×640 px and "720" above it; empty = as shipped.
    sigmas: the noise at which each step of a distilled model begins; empty = the scheduler's own. loras: part
    of the pipeline → name of a LoRA that the host has set up, which is added to the part's weights. remix:
    how far a remix moves from its video, by what is asked for. motion: words that "low" and "high" add to the
    prompt. known: of families that put known frames between the others' latents, whether those have the noise
    of the step ("noised") or none ("clean", of a motion adapter trained so). decode_timestep,
    decode_noise_scale: what the decoder of LTX-Video takes besides the latents.
    """

    native_size: int
    multiple: int
    num_inference_steps: int
    guidance_scale: float
    draft_steps: int
    fps: float
    usual_frames: int
    longest: int
    max_area: float = 4.0
    output_scale: int = 1
    guidance_scale_2: float | None = None
    flow_shift: Mapping[str, float] = field(default_factory=dict)
    sigmas: Sequence[float] = ()
    loras: Mapping[str, str] = field(default_factory=dict)
    remix: Mapping[str, float] = field(default_factory=lambda: {"subtle": 0.35, "mild": 0.55, "strong": 0.75})
    motion: Mapping[str, str] = field(
        default_factory=lambda: {"low": "slow, subtle motion", "high": "fast, dynamic motion, moving camera"}
    )
    known: str = "noised"
    decode_timestep: float = 0.05
    decode_noise_scale: float = 0.025

    def __post_init__(self) -> None:
        check_ranges(self, draft_steps=(1, 200), fps=(1, 60), longest=(2, 2000))
        if self.known not in KNOWN:
            raise ModelError(f"{FILE}: known is {self.known!r}; it takes {' or '.join(KNOWN)}.")
        for name, numbers in (("sigmas", self.sigmas), ("flow_shift", [*self.flow_shift.values()])):
            if not all(0 < number <= MOST[name] for number in numbers):
                raise ModelError(f"{FILE}: {name} is {numbers!r}; it takes numbers above 0 to {MOST[name]}.")
        if not self.flow_shift.keys() <= {*SIZES}:
            raise ModelError(f"{FILE}: flow_shift is for {', '.join(self.flow_shift)}; it takes 480 and 720.")


def make_video_card(
    defaults: Mapping[str, Any], adjusted: Mapping[str, Any], own: Mapping[str, Any]
) -> VideoCard:
    """Return the card of a video model: its family's defaults, then what its configuration says, then
    ``own``. own: the entries of ``atelier.json``; unknown ones are ignored; one with LoRAs that says nothing
    of steps draws with few. Raises ModelError for an entry of the wrong type or range."""
    known, entries = {f.name for f in fields(VideoCard)}, dict(defaults)
    few = LIGHTNING if own.get("loras") and "num_inference_steps" not in own else {}
    for layer in (adjusted, few, own):
        for name, value in layer.items():
            before = entries.get(name)
            if isinstance(value, Mapping) and isinstance(before, Mapping):
                value = {**before, **value}
            entries[name] = value
    try:
        return VideoCard(**{name: value for name, value in entries.items() if name in known})
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{FILE}: {error}.") from error


class Operation(StrEnum):
    """What somebody may want of a video model."""

    WORDS = "new from words"
    FIRST = "from a first picture"
    FIRST_LAST = "between a first and a last picture"
    EXTEND = "extend"
    EXTEND_BACK = "extend backwards"
    REMIX = "remix"
    BLEND = "blend two videos"
    LOOP = "loop"


# what weights that draw from words alone can't do
FROM_OTHERS = tuple(one for one in Operation if one not in (Operation.WORDS, Operation.REMIX))
# what those can't that know no picture but the first
ENDINGS = (Operation.FIRST_LAST, Operation.EXTEND_BACK, Operation.BLEND, Operation.LOOP)


class Way(StrEnum):
    """How a family does an operation."""

    NATIVE = "native"  # in one call of a pipeline
    WINDOWS = "windows"  # in several, each of which goes on from the last
    REFUSED = "refused"


@dataclass(frozen=True)
class Support:
    """How a family does an operation. note: by what; of a refusal, why: the end of a sentence for the user
    that begins with what can't be done."""

    way: Way
    note: str


@dataclass(frozen=True)
class Known:
    """Frames of a video that are there already: those from frame ``at`` on. frames: RGB pictures of the
    video's size. latents: of the same frames, as the decoder takes them, (1, C, f, h, w), kept since they
    were drawn; None = the frames are encoded."""

    frames: tuple[Image.Image, ...]
    at: int
    latents: Any = None


@dataclass(frozen=True)
class Asked:
    """What a video and each call for it have in common. width, height: px, whole multiples of the card's.
    frames: to be drawn, at ``fps`` a second."""

    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    frames: int
    fps: float
    num_inference_steps: int
    guidance_scale: float


@dataclass(frozen=True)
class Take(Asked):
    """One call of a pipeline. frames: of the call, an allowed number. known: those that are there already.
    source: all frames of the video that is remixed, else none; strength: how far from them, 0..1."""

    known: tuple[Known, ...] = ()
    source: tuple[Image.Image, ...] = ()
    strength: float = 0.0

    @property
    def first_known(self) -> Image.Image | None:
        """The last of the known frames that the video begins with: the picture that it starts from."""
        return next((known.frames[-1] for known in self.known if known.at == 0), None)


class VideoFamily:
    """One family of video models; a subclass for each, whose docstrings say only what is special.

    name: in settings and tables. title: for people. pipelines: values of ``_class_name`` in model_index.json
    that belong here. native_area: px of a frame that it was trained on. multiple: sides are whole multiples
    of it, px. fps: frames a second that it was trained on; least_fps, most_fps: what it can be told. step: a
    video has step·k + 1 frames. usual: frames of a video when nothing is said. longest: of one call. overlap:
    frames that a call is shown of the video before it, when it goes on from there. keeps_latents: it can be
    shown the latents of those frames, and draws on from them; else the frames go through the decoder and the
    encoder. sound: it draws sound, too. remixes_in_windows: a window of a remix can be shown the end of the
    one before. keeps_steps: a step of it can be saved, see Checkpoint. calls_back: its pipelines call
    something after each step. usual_negative: the negative prompt
    where none is given. decoder: the function of vision.video.decode that makes frames of its latents.
    float32_decoder: it is kept in float32. float16: it can be drawn in that.
    """

    name: str
    title: str
    pipelines: tuple[str, ...]
    native_area: int
    multiple: int
    fps: float
    least_fps: float = 8
    most_fps: float = 30
    step: int
    usual: int
    longest: int
    overlap: int
    keeps_latents = False
    sound = False
    keeps_steps = True
    calls_back = True
    remixes_in_windows = False
    num_inference_steps: int
    guidance_scale: float
    draft_steps: int
    usual_negative = ""
    decoder: str
    float32_decoder = False
    float16 = True
    refusals: Mapping[Operation, str] = {}
    natively: Mapping[Operation, str] = {}
    by_windows: Mapping[Operation, str] = {}

    def belongs(self, index: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]]) -> bool:
        """Return whether a folder with this model_index.json and these configurations is of this family."""
        return index.get("_class_name") in self.pipelines

    def adjust(self, configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return entries of the card that follow from the configurations by part."""
        return {}

    def defaults(self) -> dict[str, Any]:
        """Return the entries of the card when nothing else is said."""
        plain = "multiple", "num_inference_steps", "guidance_scale", "draft_steps", "fps", "longest"
        entries = {name: getattr(self, name) for name in plain}
        return entries | {"native_size": round(self.native_area**0.5), "usual_frames": self.usual}

    # Lengths

    def frames(self, seconds: float, fps: float) -> int:
        """Return the number of frames nearest to ``seconds`` at ``fps``, one that the pipelines take as it
        is. They round others up or down by themselves, without a word."""
        return self.step * max(1, round((seconds * fps - 1) / self.step)) + 1

    def at_least(self, frames: int) -> int:
        """Return the least allowed number of frames from ``frames`` on."""
        return self.step * max(1, -(-(frames - 1) // self.step)) + 1

    def around(self, overlap: int, between: int, after: int) -> tuple[int, int]:
        """Return (frames of a call, the frame at which the last ``after`` known ones begin), so that at least
        ``between`` frames are drawn behind ``overlap`` known ones and before those."""
        frames = self.at_least(overlap + between + after)
        return frames, frames - after

    # Operations

    def support(self, operation: Operation) -> Support:
        """Return how the family does ``operation``."""
        for way, notes in zip(Way, (self.natively, self.by_windows, self.refusals), strict=True):
            if operation in notes:
                return Support(way, notes[operation])
        raise NotImplementedError(f"{self.name} doesn't say how it does {operation}")

    def require(self, operation: Operation, model: str) -> None:
        """Raise UserError, with the reason, if the family can't do ``operation``. model: its name."""
        support = self.support(operation)
        if support.way is Way.REFUSED:
            raise UserError(f"{model} can't do `{operation}`: {support.note}.")

    @property
    def goes_on(self) -> bool:
        """Whether a video may be longer than one call."""
        return self.support(Operation.EXTEND).way is not Way.REFUSED

    # Calls

    def loaded(self, pipe: Any) -> None:
        """Change a pipeline that was loaded, before it is moved anywhere."""

    def pipeline(self, take: Take, base: str) -> str:
        """Return the name of the diffusers class that draws ``take``: where a family says nothing else, its
        only one, or the second for a remix. base: of the pipeline that was loaded."""
        return self.pipelines[1 if take.source and len(self.pipelines) > 1 else 0]

    def components(self, name: str, parts: dict[str, Any]) -> dict[str, Any]:
        """Return what a pipeline of class ``name`` is made of, out of the ``parts`` of the loaded one."""
        return parts

    def prepare(self, pipe: Any, take: Take, card: VideoCard) -> Take:
        """Change ``pipe``, a job's own, for a call, and return ``take`` with what is made before it."""
        return take

    def arguments(self, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
        """Return the arguments of a call that only this family's pipelines take, for what is known and for
        the source of a remix. The usual ones come by themselves."""
        return {}

    def after_step(self, pipe: Any, take: Take, step: int, latents: Any, card: VideoCard) -> Any:
        """Return the latents to go on with after ``step`` steps."""
        return latents

    # Latents and frames

    def latents(self, pipe: Any, result: Any, take: Take) -> Any:
        """Return what a call has drawn as the decoder takes it: (1, C, f, h, w)."""
        return self.running_latents(pipe, result.frames, take)

    def running_latents(self, pipe: Any, latents: Any, take: Take) -> Any:
        """Return unfinished latents, as a step has them, as the decoder takes them."""
        return latents / pipe.vae.config.scaling_factor

    def frame_latents(self, frames: int) -> int:
        """Return how many latents the first ``frames`` frames of a video take."""
        return (frames - 1) // self.step + 1

    def chunks(self, vae: Any, latents: Any, card: VideoCard, *, tiled: bool = False) -> Iterator[Any]:
        """Decode ``latents`` (1, C, f, h, w) in pieces: uint8 (f, H, W, 3) in host memory. tiled: by
        in_tiles."""
        from vision.video import decode

        pieces: Callable[[Any], Iterator[Any]] = partial(getattr(decode, self.decoder), vae)
        return decode.in_tiles(pieces, latents) if tiled else pieces(latents)

    def ends(self, latents: Any) -> dict[str, Any]:
        """Return what is kept of a video's latents to go on from it later: "head" and "tail", the first and
        the last latents of ``overlap`` frames; nothing for a family that can't be shown them."""
        if not self.keeps_latents:
            return {}
        count = self.frame_latents(self.overlap)
        return {"head": latents[:, :, :count].clone(), "tail": latents[:, :, -count:].clone()}

    def sounds(self, pipe: Any, result: Any) -> Any:
        """Return the sound of what a call has drawn: (samples (channels, N) float32 in -1..1, rate in Hz);
        None = there is none."""
        return None


class KnownVae:
    """Stands for ``vae`` in one call of a pipeline, which encodes ``known`` in this order."""

    def __init__(self, vae: Any, known: Sequence[Known]) -> None:
        self._vae, self._kept = vae, [one.latents for one in known]

    def encode(self, pixels: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the latents of the next known frames as the encoder would: kept ones, else of ``pixels``."""
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


def known_pictures(known: Known, width: int, height: int) -> list[Image.Image]:
    """Return the frames of ``known``, px; blank ones of that size where its latents are kept."""
    if known.latents is None:
        return list(known.frames)
    return [Image.new("RGB", (width, height))] * len(known.frames)
