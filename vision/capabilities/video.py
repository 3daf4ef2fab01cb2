"""/video: videos from words, pictures or other videos, by the host's video model, else sketched."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from PIL import Image

from core.events import Output, Video
from core.requests.video import VideoRequest
from vision.images import encode
from vision.reporter import Reporter
from vision.store import Models
from vision.video import reader as video_sources
from vision.video import request as from_model
from vision.video import writer
from vision.video.codecs import Encoder, encoder_of
from vision.video.cutout import request as sketch

Videos = from_model.DrawnVideos | sketch.Sketches  # of one request; ``notes`` are complete once all are drawn


def run(
    request: VideoRequest, paths: Mapping[str, str], models: Models, reporter: Reporter, folder: Path
) -> Output:
    """See vision.capabilities."""
    sources = reporter.in_thread(lambda: video_sources.open_sources(request, paths))
    videos: Videos
    if models.config.models.get("video"):
        videos = from_model.prepare(request, sources, models, reporter)
    else:
        videos = sketch.prepare(request, sources, models, reporter)
    encoder = encoder_of(models.config.video_encoder)
    made = tuple(_video(videos, number, encoder, folder, reporter) for number in range(videos.count))
    return Output(videos=made, parameters={**videos.parameters, "notes": list(dict.fromkeys(videos.notes))})


def _video(videos: Videos, number: int, encoder: Encoder, folder: Path, reporter: Reporter) -> Video:
    """Draw video ``number`` and write it into ``folder``."""
    path, ends = folder / f"{number}.mp4", folder / f"{number}.ends"
    drawing = videos.draw(number)
    writing, first, last, count = videos.writing(number), None, None, 0
    with writer.video_at(path, drawing.size, drawing.fps, encoder) as video:
        for chunk in drawing.chunks:
            writing.give_way()
            writing.in_thread(partial(video.write, chunk))
            first = Image.fromarray(chunk[0]) if first is None else first
            last, count = Image.fromarray(chunk[-1]), count + len(chunk)
            del chunk  # before the next is decoded
            if drawing.frames:
                writing.step(min(count, drawing.frames), drawing.frames)
    if first is None or last is None:
        raise ValueError("a video without a frame")
    reporter.in_thread(partial(drawing.keep_ends, ends, first, last))
    heard = drawing.sound()
    if heard is not None:
        reporter.in_thread(lambda: writer.add_sound(path, heard))
    own = {name: value for name, value in videos.parameters.items() if name != "num_images"}
    poster = reporter.in_thread(partial(encode.png, first, own, drawing.seed))
    has_sound = heard is not None
    return Video(str(path), *drawing.size, count, drawing.fps, poster, drawing.seed, str(ends), has_sound)
