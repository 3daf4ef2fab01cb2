"""Draws a film: its windows one after the other, decoded a piece at a time as somebody asks for frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.errors import OutOfMemory
from vision import devices
from vision.drawing import checkpoint
from vision.drawing.checkpoint import State
from vision.reporter import Reporter, Stage
from vision.video import calling, decoding, windows
from vision.video.calling import Place
from vision.video.colours import Colours
from vision.video.families.family import Known, Take
from vision.video.model import VideoModel
from vision.video.shot import Film, Shot
from vision.video.windows import Plan, Window

STEPS_SHARE = 0.85  # of a window: its steps; the rest is its decoding
SHARE = 0.95  # of the job: drawing and decoding; the rest is left to whoever writes the film
MOST_PAUSE = 30.0  # seconds between two checkpoints: a film's are large, and its steps long


def generate(model: VideoModel, shot: Shot, reporter: Reporter, *, sound: bool = True) -> Film:
    """Return the film of ``shot``; it is drawn while its ``chunks`` are taken. Continues from the job's
    checkpoint, if another process left one.

    Of "extend" and "extend_back" the chunks are the new frames, of "blend" and of a clip's "loop" those of
    the way between; ``ends`` are always those of the whole, with the clip's own frames. sound: whether it may
    have some.

    Raises UserError for what the model can't do, before anything is drawn; from ``chunks``, OutOfMemory, and
    JobCancelled from ``reporter.check`` between two steps or two pieces.
    """
    plan = windows.plan(model.family, model.card, shot, model.name)
    film = Film(iter(()), plan.count, shot.fps, shot.width, shot.height, plan.notes)
    wants_sound = sound and model.family.sound and shot.operation != "remix"
    film.chunks = _Drawing(model, shot, plan, reporter, film, wants_sound).chunks()
    return film


@dataclass
class _Drawing:
    """One film on its way. drawn: the latents of the windows that are done, in the order of drawing."""

    model: VideoModel
    shot: Shot
    plan: Plan
    reporter: Reporter
    film: Film
    wants_sound: bool
    drawn: list[torch.Tensor] = field(default_factory=list)
    sounds: list[tuple[np.ndarray, int]] = field(default_factory=list)
    tail: tuple[Image.Image, ...] = ()  # of the film so far, where frames go on from pixels
    head: tuple[Image.Image, ...] = ()

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield the film's frames (f, H, W, 3) in order."""
        saved = self._open()
        if saved is not None:
            self.drawn = [latents.to(self.model.device) for latents in saved.images]
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
                " this device; take a smaller or a shorter film."
            ) from error
        self.film.ends = self._ends()

    @property
    def _is_joined(self) -> bool:
        """Whether the windows' latents are one film, which is decoded as a whole: without a seam."""
        return self.model.family.keeps_latents and not self.plan.backwards

    def _drawn_first(self, saved: State | None) -> Iterator[np.ndarray]:
        """Draw all windows, then decode them in the film's order."""
        count = len(self.plan.windows)
        for number in range(count):
            self._draw(number, saved, (STEPS_SHARE * number / count, STEPS_SHARE * (number + 1) / count))
        self.film.sound = self._sound()
        if self._is_joined:
            yield from self._decode(
                self._whole(), self.plan.windows[0].begin, self.plan.count, (STEPS_SHARE, 1)
            )
            return
        for place, number in enumerate(reversed(range(count))):
            window, length = self.plan.windows[number], (1 - STEPS_SHARE) / count
            part = STEPS_SHARE + place * length, STEPS_SHARE + (place + 1) * length
            yield from self._decode(self.drawn[number], window.begin, window.count, part)

    def _in_turn(self, saved: State | None) -> Iterator[np.ndarray]:
        """Draw a window and decode it, which the next one goes on from."""
        count = len(self.plan.windows)
        for number, window in enumerate(self.plan.windows):
            begin, middle, end = ((number + part) / count for part in (0.0, STEPS_SHARE, 1.0))
            self._draw(number, saved, (begin, middle))
            were = self.tail if window.follows else _in_front(window)
            for frames in self._decode(self.drawn[number], window.begin, window.count, (middle, end), were):
                self._keep(frames)
                yield frames

    def _keep(self, frames: np.ndarray) -> None:
        """Keep the pixels that later windows are shown."""
        overlap, pictures = self.model.family.overlap, tuple(map(Image.fromarray, frames))
        self.head = (self.head + pictures)[:overlap]
        self.tail = (self.tail + pictures)[-overlap:]

    # Windows

    def _draw(self, number: int, saved: State | None, part: tuple[float, float]) -> None:
        """Draw a window, unless that is done."""
        if number < len(self.drawn):
            return
        window, count = self.plan.windows[number], len(self.plan.windows)
        stage = Stage(self.reporter, part[0] * SHARE, part[1] * SHARE, keeps=True)
        state = saved if saved is not None and saved.chunk == number else None
        place = Place(number, count, tuple(self.drawn))
        made = calling.call(self.model, self._take(window), stage, place, state, sound=self.wants_sound)
        self.drawn.append(made.latents)
        if made.sound is not None:
            self.sounds.append(made.sound)

    def _take(self, window: Window) -> Take:
        shot, family = self.shot, self.model.family
        known = list(window.known)
        if window.follows:
            known.append(self._handed_on(0, "tail"))
        if window.precedes or window.closes:
            known.append(self._handed_on(window.end, "head"))
        source = shot.clip.frames[slice(*window.source)] if shot.clip and window.source else ()
        return Take(
            prompt=shot.prompt,
            negative_prompt=shot.negative_prompt,
            seed=shot.seed,
            width=shot.width,
            height=shot.height,
            frames=window.frames,
            fps=shot.fps,
            num_inference_steps=shot.num_inference_steps,
            guidance_scale=shot.guidance_scale,
            known=tuple(sorted(known, key=lambda one: one.at)),
            source=tuple(source),
            strength=shot.strength if family and source else 0.0,
        )

    def _handed_on(self, at: int, end: str) -> Known:
        """What a window is shown of those before it: the "tail" of the last one, or the "head" of the film so
        far."""
        family = self.model.family
        overlap = family.overlap
        if not family.keeps_latents:
            if end == "head" and self.plan.backwards:
                return Known(self._first_frames(), at)
            return Known(self.tail if end == "tail" else self.head, at)
        latents = self._so_far() if end == "tail" else self.drawn[-1 if self.plan.backwards else 0]
        blank = (Image.new("RGB", (self.shot.width, self.shot.height)),) * overlap
        return Known(blank, at, family.ends(latents)[end])

    def _first_frames(self) -> tuple[Image.Image, ...]:
        """The first frames of the window drawn last, which a causal decoder makes of its first latents."""
        overlap = self.model.family.overlap
        latents = self.drawn[-1][:, :, : self.model.family.frame_latents(overlap)]
        return tuple(Image.fromarray(frame) for frames in self._pieces(latents) for frame in frames)[:overlap]

    def _so_far(self) -> torch.Tensor:
        """The latents of the window drawn last, as far as it is the film's."""
        window = self.plan.windows[len(self.drawn) - 1]
        return self.drawn[-1][:, :, : self.model.family.frame_latents(window.end)]

    def _whole(self) -> torch.Tensor:
        """The latents of all windows as those of one film; each begins with some of the one before."""
        shared = self.model.family.frame_latents(self.model.family.overlap)
        return torch.cat([self.drawn[0], *(latents[:, :, shared:] for latents in self.drawn[1:])], 2)

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
        were: what the frames before ``begin`` looked like before they were encoded, for the colours of the
        others."""
        decoding.check(latents)
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
                colours, skipped = Colours.between(_stacked(were[-len(are) :]), are), []
            yield own if colours is None else colours.applied(own)
            del own, frames  # before the next are decoded
            if seen >= begin + count:
                return

    def _pieces(self, latents: torch.Tensor) -> Iterator[np.ndarray]:
        """Decode beside other jobs' steps, a piece at a time; a stop is seen between two."""
        model = self.model
        pieces = model.family.chunks(model.vae, latents, model.card)
        run = self.reporter.in_thread if model.shares_steps else self.reporter.inline
        while (frames := run(lambda: next(pieces, None), lock=model.decoder_lock)) is not None:
            self.reporter.check()
            yield frames
            del frames  # before the next are decoded

    # The end

    def _ends(self) -> dict[str, torch.Tensor]:
        """Those of the film with the clip's own frames; none where a side of it has none."""
        family, shot = self.model.family, self.shot
        if not family.keeps_latents:
            return {}
        first = self.drawn[-1] if self.plan.backwards else self.drawn[0]
        last = self.drawn[0] if self.plan.backwards else self._so_far()
        own = {"head": family.ends(first)["head"], "tail": family.ends(last)["tail"]}
        joined = shot.operation in ("extend", "blend", "loop") and shot.clip is not None
        found: dict[str, Any] = dict(own)
        if joined and shot.clip is not None:
            found["head"] = shot.clip.ends.get("head")
        if shot.operation == "extend_back" and shot.clip is not None:
            found["tail"] = shot.clip.ends.get("tail")
        if shot.operation == "blend" and shot.clip_2 is not None:
            found["tail"] = shot.clip_2.ends.get("tail")
        return {} if None in found.values() else {name: one.cpu() for name, one in found.items()}

    def _sound(self) -> tuple[np.ndarray, int] | None:
        """The sound of the film's own frames, (channels, N), and its rate."""
        if not self.sounds:
            return None
        order = list(zip(self.plan.windows, self.sounds, strict=True))
        pieces = []
        for window, (samples, _) in reversed(order) if self.plan.backwards else order:
            each = samples.shape[1] / window.frames
            pieces.append(samples[:, round(window.begin * each) : round(window.end * each)])
        return np.concatenate(pieces, 1), self.sounds[0][1]

    def _open(self) -> State | None:
        kept = self.reporter.checkpoint
        if kept is None or not self.model.family.keeps_steps:
            return None
        kept.pace = replace(kept.pace, max_pause=MOST_PAUSE)
        model = self.model
        return kept.open(
            checkpoint.fingerprint(
                self.shot, model.identity, model.card, model.device, model.pipe.dtype, model.base
            )
        )


def _in_front(window: Window) -> tuple[Image.Image, ...]:
    """The known frames in front of a window's own."""
    return next((known.frames for known in window.known if known.at == 0), ())[: window.begin]


def _stacked(pictures: tuple[Image.Image, ...]) -> np.ndarray:
    return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
