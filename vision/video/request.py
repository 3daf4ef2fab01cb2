"""Videos by a video model: prepares a request for it, and puts what it draws between the frames of the videos
that it goes on from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.limits import MAX_SEED
from core.requests.video import VideoRequest
from vision.diffusion.model import least_steps
from vision.images import encode
from vision.reporter import Reporter, Stage
from vision.store import Models
from vision.video import generate, reader
from vision.video.families.family import VideoCard
from vision.video.generate import Clip, Shot, Video, load_ends, save_ends
from vision.video.model import VideoModel
from vision.video.reader import Drawing, Sources
from vision.video.writer import Sound

SECONDS = {"extend": 4.0, "extend_back": 4.0, "blend": 2.0, "loop": 2.0}  # of what is drawn
WIDE = 16 / 9  # shape of a video of which only words are known
PIECE = 8  # frames at a time that are read of other videos


@dataclass
class DrawnVideos:
    """The videos of one request. shot: the first of them. size: px of the finished video."""

    request: VideoRequest
    sources: Sources
    model: VideoModel
    shot: Shot
    size: tuple[int, int]
    reporter: Reporter
    notes: list[str] = field(default_factory=list)

    @property
    def parameters(self) -> dict[str, Any]:
        """To report with the videos."""
        shot, request = self.shot, self.request
        told = {
            "kind": request.kind,
            "operation": request.operation,
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt.strip(),
            "width": self.size[0],
            "height": self.size[1],
            "fps": shot.fps,
            "seconds": round(shot.frames / shot.fps, 3),
            "num_inference_steps": shot.num_inference_steps,
            "guidance_scale": shot.guidance_scale,
            "strength": shot.strength if request.operation == "remix" else None,
            "seed": request.seed,
            "num_images": request.num_images,
            "model": self.model.name,
        }
        return {name: value for name, value in told.items() if value not in (None, "")}

    @property
    def count(self) -> int:
        """How many videos there are."""
        return self.request.num_images

    def draw(self, number: int) -> Drawing:
        """Draw video ``number``."""
        seed = (self.request.seed + number) % (MAX_SEED + 1)
        stage = Stage(self.reporter, number / self.count, (number + 1) / self.count, keeps=self.count == 1)
        video = generate.generate(
            self.model, replace(self.shot, seed=seed), stage, sound=self.request.sound is not False
        )
        self.notes += video.notes

        def finished(chunk: np.ndarray) -> np.ndarray:
            if chunk.shape[2::-1][:2] == self.size:
                return chunk
            return np.stack([np.asarray(reader.placed(Image.fromarray(one), self.size)) for one in chunk])

        def keep(path: Path, first: Image.Image, last: Image.Image) -> None:
            if video.ends:
                save_ends(video.ends, path, self.model.family.name)
            else:  # of a model that can't be shown its latents
                reader.keep_ends(path, first, last)

        drawn, sound = self._joined(map(finished, video.chunks)), partial(self._sound, video)
        return Drawing(drawn, self.size, self.shot.fps, seed, 0, keep, sound)

    def writing(self, number: int) -> Reporter:
        """Return what the writing of video ``number`` is reported to."""
        return Stage(self.reporter, number / self.count, (number + 1) / self.count)

    def _joined(self, drawn: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        one, two = self.sources.clip, self.sources.clip_2
        operation = self.request.operation
        if one is None or operation in ("new", "remix"):
            return drawn
        own = self._read(one.frames())
        if operation == "extend_back":
            return chain(drawn, own)
        if operation == "blend" and two is not None:
            behind = reader.at_rate(two, self.size, self.shot.fps)
            return chain(own, drawn, self._read(behind))
        return chain(own, drawn)

    def _read(self, frames: Iterator[Image.Image]) -> Iterator[np.ndarray]:
        while (frame := self.reporter.in_thread(lambda: next(frames, None))) is not None:
            yield np.asarray(frame.convert("RGB"))[None]

    def _sound(self, video: Video) -> Sound | None:
        """Return what is heard of the whole video: silence where frames of others stand."""
        if video.sound is None:
            return None
        samples, rate = video.sound
        one, two, operation = self.sources.clip, self.sources.clip_2, self.request.operation
        before = one.count / one.fps if one is not None and operation in ("extend", "blend", "loop") else 0.0
        last = one if operation == "extend_back" else two if operation == "blend" else None
        after = last.count / last.fps if last is not None else 0.0
        around = (round(before * rate), round(after * rate))
        return Sound(np.pad(samples[:2].astype(np.float32), ((0, 0), around)).clip(-1, 1), rate)


def prepare(request: VideoRequest, sources: Sources, models: Models, reporter: Reporter) -> DrawnVideos:
    """Return the videos of ``request``. Raises UserError for what the video model can't do."""
    model: VideoModel = models.video(request.model, reporter)
    card, notes = model.card, list[str]()
    drawn_at, size = _sizes(request, sources, card, notes)
    fps = _fps(request, sources, model, notes)
    frames = _frames(request, model, fps, notes)
    is_remix = request.operation == "remix"
    clip, clip_2 = (
        None if video is None else _clip(video, sha or "", drawn_at, model, every=is_remix)
        for video, sha in ((sources.clip, request.clip), (sources.clip_2, request.clip_2))
    )
    if request.sound and not model.family.sound:
        notes.append(f"{model.name} draws no sound.")
    usual = card.draft_steps if request.draft else card.num_inference_steps
    steps = request.num_inference_steps or max(1, round(usual * (request.quality or 1)))
    if steps < (least := least_steps(model.scheduler())):
        steps = least
        notes.append(f"{model.name} takes {least} steps at least, so it took {least}.")
    words = card.motion.get(request.motion or "", "")
    shot = Shot(
        operation=request.operation,
        prompt=", ".join(part for part in (request.prompt.strip(), words) if part),
        negative_prompt=request.negative_prompt.strip() or model.family.usual_negative,
        seed=request.seed,
        width=drawn_at[0],
        height=drawn_at[1],
        frames=frames,
        fps=fps,
        num_inference_steps=steps,
        guidance_scale=card.guidance_scale if request.guidance_scale is None else request.guidance_scale,
        first=None if sources.first is None else reader.placed(sources.first, drawn_at),
        last=None if sources.last is None else reader.placed(sources.last, drawn_at),
        loop=request.loop,
        clip=clip,
        clip_2=clip_2,
        strength=card.remix["mild"] if request.strength is None else request.strength,
    )
    return DrawnVideos(request, sources, model, shot, size, reporter, notes)


def _sizes(
    request: VideoRequest, sources: Sources, card: VideoCard, notes: list[str]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size that is drawn, px, and that of the video: a clip keeps its own."""
    known = sources.clip or sources.first
    wide, high = known.size if known is not None else (WIDE, 1.0)
    if sources.clip is None and request.width and request.height:
        wide, high = request.width, request.height
    elif sources.clip is None and request.aspect_ratio:
        wide, high = request.aspect_ratio
    aspect, side = wide / high, float(card.native_size)
    if request.resolution and sources.clip is None:
        side = request.resolution / card.output_scale * max(aspect, 1 / aspect) ** 0.5
        most = card.native_size * card.max_area**0.5
        if side > most:
            side = most
            notes.append("The video is smaller than that: this model draws no larger frames.")
    drawn = encode.size_for_area(aspect, round(side), card.multiple)
    if sources.clip is not None:
        return _own_size(sources.clip.size, card) or drawn, sources.clip.size
    return drawn, (drawn[0] * card.output_scale, drawn[1] * card.output_scale)


def _own_size(size: tuple[int, int], card: VideoCard) -> tuple[int, int] | None:
    """Return at which size a video of ``size`` is drawn as it is; None where the model can't do that."""
    width, height = (side // card.output_scale for side in size)
    whole = all(side % (card.output_scale * card.multiple) == 0 for side in size)
    return (width, height) if whole and width * height <= card.max_area * card.native_size**2 else None


def _fps(request: VideoRequest, sources: Sources, model: VideoModel, notes: list[str]) -> float:
    family = model.family
    if sources.clip is not None:
        if request.fps and request.fps != sources.clip.fps:
            notes.append(f"The video keeps its {sources.clip.fps:g} frames a second; `--fps` had no effect.")
        return sources.clip.fps
    if request.fps is None:
        return model.card.fps
    fps = min(max(float(request.fps), family.least_fps), family.most_fps)
    if fps != request.fps:
        notes.append(f"{model.name} draws {family.least_fps:g} to {family.most_fps:g} frames a second.")
    return fps


def _frames(request: VideoRequest, model: VideoModel, fps: float, notes: list[str]) -> int:
    """Return how many frames are drawn: a number that the family takes."""
    if request.operation == "new":
        frames = model.family.frames(request.seconds, fps) if request.seconds else model.card.usual_frames
    elif request.operation == "remix":
        return 0
    else:
        frames = max(1, round((request.seconds or SECONDS[request.operation]) * fps))
    if request.seconds and abs(frames / fps - request.seconds) > 0.01:
        notes.append(f"{request.seconds:g} s became {frames / fps:.3g} s: {frames} frames.")
    return frames


def _clip(
    video: reader.OpenClip, sha256: str, size: tuple[int, int], model: VideoModel, *, every: bool
) -> Clip:
    """Return a video as the model is shown it. every: all of its frames, else those of its ends."""
    shown = max(1, model.family.overlap)
    frames: Iterable[Image.Image] = video.frames()
    if not every and video.count > 2 * shown:
        frames = (frame for number, frame in enumerate(frames) if not shown <= number < video.count - shown)
    fits = video.ends and _own_size(video.size, model.card) == size  # latents of another size are no use
    kept = load_ends(Path(video.ends), model.family.name) if fits else {}
    return Clip(tuple(reader.placed(frame, size) for frame in frames), sha256, kept)
