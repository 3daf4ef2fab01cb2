"""Draws a video: plans a shot as windows (calls of a pipeline, each of which may go on from the one before),
draws them one after the other, and decodes them a piece at a time as somebody asks for frames.

Encoding frames again shifts their colours a little at every join; where one window goes on from the pixels of
another, ``Colours`` brings them back."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core.errors import OutOfMemory, UserError
from vision import devices
from vision.diffusion import checkpoint
from vision.reporter import Reporter, Stage
from vision.video import decode, pipeline
from vision.video.families.family import Asked, Known, Operation, Take, VideoCard, VideoFamily
from vision.video.model import VideoModel

log = logging.getLogger(__name__)

FORMAT = "atelier.film-ends"


@dataclass(frozen=True, repr=False)
class Clip:
    """A video to start from. frames: RGB pictures of one size; all of them for a remix, else as many of its
    start and its end as there are. sha256: of its file, which stands for it in fingerprints. ends: "head" and
    "tail", see VideoFamily.ends; none for a video that another model drew."""

    frames: tuple[Image.Image, ...]
    sha256: str
    ends: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Clip({self.sha256}, {len(self.frames)} frames, {sorted(self.ends)})"


@dataclass(frozen=True, kw_only=True)
class Shot(Asked):
    """One video to draw, with everything that its model's card leaves open filled in. operation: one of
    core.requests.video.OPERATIONS. first, last: pictures of its size, of "new". loop: of "new", the end leads
    to the start. clip, clip_2: of the other operations, frames of that size. strength: of a remix, 0..1."""

    operation: str
    first: Image.Image | None = None
    last: Image.Image | None = None
    loop: bool = False
    clip: Clip | None = None
    clip_2: Clip | None = None
    strength: float = 0.55


def save_ends(ends: Mapping[str, Any], path: Path, family: str) -> None:
    """Write ``ends`` of a video that a model of ``family`` has drawn, for Clip.ends later."""
    tensors = {name: tensor.to("cpu", torch.bfloat16).contiguous() for name, tensor in ends.items()}
    save_file(tensors, path, {FORMAT: family})


def load_ends(path: Path, family: str) -> dict[str, Any]:
    """Return the ends in ``path``; {} when another family's model has drawn the video, or what lies there are
    its frames, which the video has read itself."""
    with suppress(OSError, SafetensorError), safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get(FORMAT) == family:
            return {name: file.get_tensor(name).float() for name in ("head", "tail")}
    return {}


@dataclass(frozen=True)
class Window:
    """One call. frames: of it. begin, end: of those, the ones that are the video's; the others are there
    already, or only lead on. known: given from outside. follows: it is shown the end of the window before, in
    front. precedes: it is shown the start of the window before, behind, at ``end``. closes: it is shown the
    video's own start, behind. source: its first frame of a remixed video, and the one behind its last."""

    frames: int
    begin: int
    end: int
    known: tuple[Known, ...] = ()
    follows: bool = False
    precedes: bool = False
    closes: bool = False
    source: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        """Frames of the video."""
        return self.end - self.begin


@dataclass(frozen=True)
class Plan:
    """Windows in the order of drawing. backwards: the last one drawn is the first of the video. notes:
    sentences about what didn't fit."""

    windows: tuple[Window, ...]
    backwards: bool = False
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Frames of the video."""
        return sum(window.count for window in self.windows)


def plan_windows(family: VideoFamily, card: VideoCard, shot: Shot, model: str) -> Plan:
    """Return how ``shot`` is drawn. Raises UserError for what the family can't do, or when there is too
    little of a video. model: its name, for that."""
    operation = Operation.WORDS if shot.first is None else Operation.FIRST
    if shot.operation != "new":
        operation = Operation[shot.operation.upper()]
    elif shot.loop or shot.last is not None:
        operation = Operation.LOOP if shot.loop else Operation.FIRST_LAST
    family.require(operation, model)
    plan: Plan = getattr(_Planner(family, card, model, shot), shot.operation)()
    return plan


@dataclass(frozen=True)
class _Planner:
    """A method for each operation."""

    family: VideoFamily
    card: VideoCard
    model: str
    shot: Shot

    @property
    def longest(self) -> int:
        return self.floor(self.card.longest)

    def floor(self, frames: int) -> int:
        """The largest allowed number of frames up to ``frames``; 1 at least."""
        return self.family.step * ((max(1, frames) - 1) // self.family.step) + 1

    def new(self) -> Plan:
        shot, total = self.shot, self.family.at_least(self.shot.frames)
        known = () if shot.first is None else (Known((shot.first,), 0),)
        if shot.loop and shot.first is None:
            return self.loop_of_words(total)
        # the last frame of a loop is the first one again
        last = shot.first if shot.loop else shot.last
        windows = list(self.forward(Window(0, 0, 0, known), total, last))
        if shot.loop:
            windows[-1] = replace(windows[-1], end=windows[-1].end - 1)
        return self.limited(windows, total - shot.loop)

    def loop_of_words(self, total: int) -> Plan:
        """A video, and a window that leads from its end to its start."""
        overlap = self.family.overlap
        between = max(1, min(total // 3, round(self.shot.fps)))
        video = self.family.at_least(max(total - between, 2 * overlap))
        windows = list(self.forward(Window(0, 0, 0), video, None))
        frames, at = self.family.around(overlap, between, overlap)
        return Plan((*windows, Window(frames, overlap, at, follows=True, closes=True)))

    def forward(self, first: Window, total: int, last: Any) -> Iterator[Window]:
        """Windows of ``total`` frames in all, from ``first`` on, of which ``begin`` are there already. last:
        a picture that the last one ends on."""
        window, left = first, total
        while left > 0:
            frames = min(self.longest, self.family.at_least(window.begin + left))
            left -= frames - window.begin
            known = window.known
            if left <= 0 and last is not None:
                known = (*known, Known((last,), frames - 1))
            yield replace(window, frames=frames, end=frames, known=known)
            if not self.family.goes_on:
                return
            window = Window(0, self.family.overlap, 0, follows=True)

    def limited(self, windows: list[Window], total: int) -> Plan:
        """The plan, with a note if it is shorter than ``total`` because the family can't go on."""
        made = Plan(tuple(windows))
        if made.count >= total:
            return made
        seconds = made.count / self.shot.fps
        return replace(
            made, notes=(f"{self.model} draws {seconds:.1f} s at a time, so the video is shorter.",)
        )

    def extend(self) -> Plan:
        first = Window(0, self.shown(self.clip), 0, (self.end_of(self.clip, "tail", 0),))
        return Plan(tuple(self.forward(first, self.shot.frames, None)))

    def extend_back(self) -> Plan:
        windows = list[Window]()
        left, after = self.shot.frames, self.shown(self.clip)
        known: Known | None = None
        while left > 0:
            frames, at = self.family.around(0, left, after)
            while frames > self.longest:
                frames, at = self.family.around(0, at - self.family.step, after)
            if not windows:
                known = self.end_of(self.clip, "head", at)
            windows.append(Window(frames, 0, at, (known,) if known else (), precedes=known is None))
            left, after, known = left - at, self.family.overlap, None
        return Plan(tuple(windows), backwards=True)

    def blend(self) -> Plan:
        """The way from the end of the clip to the start of the other, or to its own."""
        second = self.clip if self.shot.clip_2 is None else self.shot.clip_2
        before, behind, wanted = self.shown(self.clip), self.shown(second), self.shot.frames
        frames, at = self.family.around(before, wanted, behind)
        while frames > self.longest and wanted > 1:
            wanted -= min(self.family.step, wanted - 1)
            frames, at = self.family.around(before, wanted, behind)
        known = (self.end_of(self.clip, "tail", 0), self.end_of(second, "head", at))
        return self.limited([Window(frames, before, at, known)], self.shot.frames)

    loop = blend

    def remix(self) -> Plan:
        total = self.floor(len(self.clip.frames))
        if total < self.family.at_least(2):
            raise UserError(
                f"The video is too short: {self.model} takes {self.family.at_least(2)} frames or more."
            )
        frames = min(total, self.longest)
        windows, done = [Window(frames, 0, frames, source=(0, frames))], frames
        while done < total and self.family.remixes_in_windows:
            frames = min(self.longest, self.family.overlap + total - done)
            begin = done - self.family.overlap
            windows.append(
                Window(frames, self.family.overlap, frames, follows=True, source=(begin, begin + frames))
            )
            done = begin + frames
        made = Plan(tuple(windows))
        left = len(self.clip.frames) - made.count
        if left == 0:
            return made
        note = f"The last {left / self.shot.fps:.1f} s were left out: {self.model} takes whole steps"
        return replace(made, notes=(f"{note} of {self.family.step} frames, up to {self.longest} at a time.",))

    @property
    def clip(self) -> Clip:
        if self.shot.clip is None:
            raise UserError("There is no video to start from.")
        return self.shot.clip

    def shown(self, clip: Clip) -> int:
        """How many frames of an end of ``clip`` a call is shown."""
        return self.family.overlap if clip.ends else min(self.family.overlap, self.floor(len(clip.frames)))

    def end_of(self, clip: Clip, end: str, at: int) -> Known:
        """The "head" or "tail" of ``clip``. Where latents are kept, the frames themselves only count."""
        count = self.shown(clip)
        frames = clip.frames[:count] if end == "head" else clip.frames[-count:]
        return Known(frames + frames[-1:] * (count - len(frames)), at, clip.ends.get(end))


SCENE = 25.5  # of 255: a channel's mean that differs by more is another scene, not a shift
LEAST, MOST = 0.8, 1.25  # of a channel's deviation


@dataclass(frozen=True)
class Colours:
    """What brings frames back to the colours they had: value · gain + shift, for each channel."""

    gain: np.ndarray  # (3,)
    shift: np.ndarray  # (3,)

    @classmethod
    def between(cls, were: np.ndarray, are: np.ndarray) -> "Colours | None":
        """Return what makes mean and deviation of each channel of ``are`` those of ``were``, the same frames
        (f, H, W, 3) uint8; None if they show different things."""
        mean_were, mean_are = (frames.mean((0, 1, 2), dtype=np.float64) for frames in (were, are))
        if np.abs(mean_were - mean_are).max() > SCENE:
            return None
        deviations = [np.maximum(frames.std((0, 1, 2), dtype=np.float64), 1.0) for frames in (were, are)]
        gain = np.clip(deviations[0] / deviations[1], LEAST, MOST)
        return cls(gain, mean_were - mean_are * gain)

    def applied(self, frames: np.ndarray) -> np.ndarray:
        """Return ``frames`` (f, H, W, 3) uint8 with these colours, a frame at a time."""
        return np.stack(
            [np.clip(np.rint(frame * self.gain + self.shift), 0, 255).astype(np.uint8) for frame in frames]
        )


STEPS_SHARE = 0.85  # of a window: its steps; the rest is its decoding
SHARE = 0.95  # of the job: drawing and decoding; the rest is left to whoever writes the video
MOST_PAUSE = 30.0  # seconds between two checkpoints: a video's are large, and its steps long


class Video:
    """A video that is being drawn. chunks: its frames in order, uint8 (f, H, W, 3); the drawing goes on as
    they are asked for. count: of its frames. sound: once the first chunk is out, see VideoFamily.sounds.
    ends: once all are, see VideoFamily.ends. notes: sentences for the user."""

    def __init__(
        self, model: VideoModel, shot: Shot, plan: Plan, reporter: Reporter, wants_sound: bool
    ) -> None:
        self.model, self.shot, self.plan, self.reporter = model, shot, plan, reporter
        self.count, self.notes, self.wants_sound = plan.count, plan.notes, wants_sound
        self.ends: Mapping[str, torch.Tensor] = {}
        self.sound: tuple[np.ndarray, int] | None = None
        self.drawn: list[torch.Tensor] = []  # latents of the windows that are done, in the order of drawing
        self.sounds: list[tuple[np.ndarray, int]] = []
        self.head = self.tail = tuple[Image.Image, ...]()  # of the video so far, where it goes on from pixels
        self.chunks = self._chunks()

    def _chunks(self) -> Iterator[np.ndarray]:
        model, kept, saved = self.model, self.reporter.checkpoint, None
        if kept is not None and model.family.keeps_steps:
            kept.pace = replace(kept.pace, max_pause=MOST_PAUSE)
            identity = (model.identity, model.card, model.device, model.pipe.dtype, model.base)
            saved = kept.open(checkpoint.fingerprint(self.shot, *identity))
        if saved is not None:
            self.drawn = [latents.to(model.device) for latents in saved.images]
        try:
            if self.plan.backwards or self._is_joined:
                yield from self._drawn_first(saved)
            else:
                yield from self._in_turn(saved)
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            devices.release()
            most = max(window.frames for window in self.plan.windows)
            raise OutOfMemory(
                f"{most} frames of {self.shot.width}x{self.shot.height} px are too much for the memory of"
                " this device; take a smaller or a shorter video."
            ) from error
        self.ends = self._ends()

    @property
    def _is_joined(self) -> bool:
        """Whether the windows' latents are one video, which is decoded as a whole: without a seam."""
        return self.model.family.keeps_latents and not self.plan.backwards

    def _drawn_first(self, saved: checkpoint.State | None) -> Iterator[np.ndarray]:
        """Draw all windows, then decode them in the video's order."""
        count = len(self.plan.windows)
        for number in range(count):
            self._draw(number, saved, (STEPS_SHARE * number / count, STEPS_SHARE * (number + 1) / count))
        self.sound = self._sound()
        if self._is_joined:  # each window begins with some latents of the one before
            shared = self.model.family.frame_latents(self.model.family.overlap)
            whole = torch.cat([self.drawn[0], *(latents[:, :, shared:] for latents in self.drawn[1:])], 2)
            yield from self._decode(whole, self.plan.windows[0].begin, self.plan.count, (STEPS_SHARE, 1))
            return
        for place, number in enumerate(reversed(range(count))):
            window, length = self.plan.windows[number], (1 - STEPS_SHARE) / count
            part = STEPS_SHARE + place * length, STEPS_SHARE + (place + 1) * length
            yield from self._decode(self.drawn[number], window.begin, window.count, part)

    def _in_turn(self, saved: checkpoint.State | None) -> Iterator[np.ndarray]:
        """Draw a window and decode it, which the next one goes on from."""
        count = len(self.plan.windows)
        for number, window in enumerate(self.plan.windows):
            begin, middle, end = ((number + part) / count for part in (0.0, STEPS_SHARE, 1.0))
            self._draw(number, saved, (begin, middle))
            in_front = next((known.frames for known in window.known if known.at == 0), ())
            were = self.tail if window.follows else in_front[: window.begin]
            for frames in self._decode(self.drawn[number], window.begin, window.count, (middle, end), were):
                overlap, pictures = self.model.family.overlap, tuple(map(Image.fromarray, frames))
                self.head = (self.head + pictures)[:overlap]  # which later windows are shown
                self.tail = (self.tail + pictures)[-overlap:]
                del pictures  # before the next are decoded
                yield frames

    # Windows

    def _draw(self, number: int, saved: checkpoint.State | None, part: tuple[float, float]) -> None:
        if number < len(self.drawn):
            return
        window, count = self.plan.windows[number], len(self.plan.windows)
        stage = Stage(self.reporter, part[0] * SHARE, part[1] * SHARE, keeps=True)
        state = saved if saved is not None and saved.chunk == number else None
        place = pipeline.Place(number, count, tuple(self.drawn))
        take = self._take(window)
        latents, sound = pipeline.call(self.model, take, stage, place, state, sound=self.wants_sound)
        self.drawn.append(latents)
        self.sounds += [] if sound is None else [sound]

    def _take(self, window: Window) -> Take:
        shot, known = self.shot, list(window.known)
        if window.follows:
            known.append(self._handed_on(0, "tail"))
        if window.precedes or window.closes:
            known.append(self._handed_on(window.end, "head"))
        source = shot.clip.frames[slice(*window.source)] if shot.clip and window.source else ()
        given: dict[str, Any] = {one.name: getattr(shot, one.name) for one in fields(Asked)}
        given |= {"frames": window.frames, "known": tuple(sorted(known, key=lambda one: one.at))}
        return Take(**given, source=tuple(source), strength=shot.strength if source else 0.0)

    def _handed_on(self, at: int, end: str) -> Known:
        """What a window is shown of those before it: the "tail" of the last, or the "head" of the video."""
        family = self.model.family
        overlap = family.overlap
        if not family.keeps_latents:
            if end == "head" and self.plan.backwards:
                # of the window drawn last, which a causal decoder makes of its first latents
                first = self.drawn[-1][:, :, : family.frame_latents(overlap)]
                frames = [Image.fromarray(frame) for piece in self._pieces(first) for frame in piece]
                return Known(tuple(frames[:overlap]), at)
            return Known(self.tail if end == "tail" else self.head, at)
        latents = self._so_far() if end == "tail" else self.drawn[-1 if self.plan.backwards else 0]
        blank = (Image.new("RGB", (self.shot.width, self.shot.height)),) * overlap
        return Known(blank, at, family.ends(latents)[end])

    def _so_far(self) -> torch.Tensor:
        """The latents of the window drawn last, as far as it is the video's."""
        window = self.plan.windows[len(self.drawn) - 1]
        return self.drawn[-1][:, :, : self.model.family.frame_latents(window.end)]

    # Frames

    def _decode(
        self,
        latents: torch.Tensor,
        begin: int,
        count: int,
        part: tuple[float, float],
        were: tuple[Image.Image, ...] = (),
    ) -> Iterator[np.ndarray]:
        """Yield the frames from ``begin`` on, ``count`` of them. part: of the drawing, for the progress.
        were: the frames before ``begin`` before they were encoded, for the others' colours."""
        decode.check_latents(latents)
        stage = Stage(self.reporter, part[0] * SHARE, part[1] * SHARE)
        seen, skipped, colours = 0, list[np.ndarray](), None
        for frames in self._pieces(latents):
            before = max(0, begin - seen)
            if before and were:
                skipped.append(frames[:before])
            own = frames[before : begin + count - seen]
            seen += len(frames)
            stage.step(min(seen, begin + count), begin + count)
            if len(own) == 0:
                continue
            if skipped:
                are = np.concatenate(skipped)
                before_it = np.stack([np.asarray(one.convert("RGB")) for one in were[-len(are) :]])
                colours, skipped = Colours.between(before_it, are), []
            yield own if colours is None else colours.applied(own)
            del own, frames  # before the next are decoded
            if seen >= begin + count:
                return

    def _pieces(self, latents: torch.Tensor) -> Iterator[np.ndarray]:
        """Decode beside other jobs' steps, a piece at a time; a stop is seen between two. Where a piece
        doesn't fit into memory, decode in tiles, but for the frames that have come."""
        model, came, skipped, tiled = self.model, 0, 0, False
        pieces = model.family.chunks(model.vae, latents, model.card)
        run = self.reporter.in_thread if model.shares_steps else self.reporter.inline
        while True:
            try:
                frames = run(partial(next, pieces, None), lock=model.decoder_lock)
            except Exception as error:
                if tiled or not devices.is_out_of_memory(error):
                    raise
                pieces, tiled = model.family.chunks(model.vae, latents, model.card, tiled=True), True
            else:
                self.reporter.check()
                if frames is None:
                    return
                yield frames[skipped:]
                came, skipped = came + len(frames), max(0, skipped - len(frames))
                del frames  # before the next are decoded
                continue
            log.warning("%s: out of memory, decoding in tiles", model.name)
            devices.release()
            skipped = came

    # The end

    def _ends(self) -> dict[str, torch.Tensor]:
        """Those of the video with the clip's own frames; none where a side of it has none."""
        family, shot = self.model.family, self.shot
        if not family.keeps_latents:
            return {}
        first = self.drawn[-1] if self.plan.backwards else self.drawn[0]
        last = self.drawn[0] if self.plan.backwards else self._so_far()
        found: dict[str, Any] = {"head": family.ends(first)["head"], "tail": family.ends(last)["tail"]}
        if shot.operation in ("extend", "blend", "loop") and shot.clip is not None:
            found["head"] = shot.clip.ends.get("head")
        if shot.operation == "extend_back" and shot.clip is not None:
            found["tail"] = shot.clip.ends.get("tail")
        if shot.operation == "blend" and shot.clip_2 is not None:
            found["tail"] = shot.clip_2.ends.get("tail")
        return {} if None in found.values() else {name: one.cpu() for name, one in found.items()}

    def _sound(self) -> tuple[np.ndarray, int] | None:
        """The sound of the video's own frames, (channels, N), and its rate."""
        if not self.sounds:
            return None
        order = list(zip(self.plan.windows, self.sounds, strict=True))
        pieces = []
        for window, (samples, _) in reversed(order) if self.plan.backwards else order:
            each = samples.shape[1] / window.frames
            pieces.append(samples[:, round(window.begin * each) : round(window.end * each)])
        return np.concatenate(pieces, 1), self.sounds[0][1]


def generate(model: VideoModel, shot: Shot, reporter: Reporter, *, sound: bool = True) -> Video:
    """Return the video of ``shot``; it is drawn while its ``chunks`` are taken. Continues from the job's
    checkpoint, if another process left one.

    Of "extend" and "extend_back" the chunks are the new frames, of "blend" and of a clip's "loop" those of
    the way between; ``ends`` are always those of the whole, with the clip's own frames. sound: whether it may
    have some.

    Raises UserError for what the model can't do, before anything is drawn; from ``chunks``, OutOfMemory, and
    JobCancelled from ``reporter.check`` between two steps or two pieces.
    """
    plan = plan_windows(model.family, model.card, shot, model.name)
    wants_sound = sound and model.family.sound and shot.operation != "remix"
    return Video(model, shot, plan, reporter, wants_sound)
