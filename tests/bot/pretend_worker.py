"""A worker for tests of the Discord side: speaks the real protocol, draws plain pictures at once, loads no
torch.

Prompts steer it: each "slow" takes many short steps, "broken" fails, "huge" makes a large noisy picture,
"crash" ends the process once per file named in PRETEND_CRASH.
"""

import io
import math
import os
import queue
import re
import struct
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from core.events import ChatAnswer, Output, Picture, Video
from core.requests import (
    ClassifyRequest,
    GenerateRequest,
    ImagineRequest,
    OutpaintRequest,
    RegionRequest,
    TryRequest,
    UpscaleRequest,
    from_json,
)
from core.requests.base import Answer
from core.requests.custom_models import ProjectRequest
from core.requests.video import VideoRequest
from core.results import TextLine
from core.traces import open_tracing
from tests.bot.pretend_own_models import made, steps_of
from vision.chat.output_parser import wanted_of_card
from vision.chat.output_renderer import finish_output
from vision.protocol import (
    Answered,
    Broke,
    Check,
    Checked,
    Done,
    Embed,
    Fault,
    Measure,
    Measured,
    Nearest,
    Quit,
    Ready,
    Run,
    Step,
    Stop,
    Stopped,
    WorkerConfig,
)
from vision.worker.nearest import nearest
from vision.worker.pipe import sender

SIDE = 64
SIGNS = {  # what is to be read in a picture whose first pixel has this colour
    (1, 2, 3): "```\n@everyone [x](https://evil.example)\n~~~",
    (1, 2, 4): "a nude",
    (1, 2, 5): "\n".join(f"line number {n} of a long page" for n in range(120)),
}


def main(conn, config: WorkerConfig) -> None:
    inbox: queue.Queue = queue.Queue()
    stops: set[str] = set()
    send = sender(conn)
    tracing = open_tracing(config.traces, config.traces_headers)
    threading.Thread(target=_read, args=(conn, send, inbox, stops, tracing), daemon=True).start()
    send(Ready(config.device, os.getpid(), "pretend", 2**30))
    while (message := inbox.get()) is not None:
        with tracing.part(message.traceparent, "work", kind=message.kind):
            answer = _run(send, message, stops)
        send(answer)


def _read(conn, send, inbox, stops, tracing) -> None:
    while True:
        try:
            message = conn.recv()
        except (EOFError, OSError):
            os._exit(0)
        match message:
            case Stop(job_id):
                stops.add(job_id)
            case Quit():
                tracing.close()
                os._exit(0)
            case Run():
                inbox.put(message)
            case Embed(question_id, _, texts, paths):
                seen = (*map(_told, texts), *map(_seen, paths))
                send(Answered(question_id, seen))
            case Check(question_id, paths, _, rules):
                send(Answered(question_id, _checked(paths, rules)))
            case Measure(question_id, path, form):
                send(Answered(question_id, (_measured(path),) if form == "text" else ()))
            case Nearest(question_id):
                send(Answered(question_id, nearest(message)))


def _measured(path: str) -> Measured:
    with Image.open(path) as picture:
        return Measured(picture.size, "pretend", lines=_read_in(path).lines)


def _checked(paths, rules) -> Checked:
    texts = []
    for path in paths:
        lines = _read_in(path).lines
        texts.append("\n".join(line.text for line in lines))
    if not rules:
        return Checked(tuple(texts), "pretend", unjudged="this server has no rules in words")
    return Checked(tuple(texts), "pretend", "", "pretended chat", tuple(0.25 for _ in rules))


def _told(text: str) -> bytes:
    """A text looks like the colour of the seed that it names."""
    found = re.search(r"\d+", text)
    return _vector(_plain(int(found[0]) if found else 0))


def _seen(path: str) -> bytes:
    with Image.open(path) as picture:
        return _vector(picture.convert("RGB"))


def _vector(picture: Image.Image) -> bytes:
    colour = [value / 255 - 0.5 for value in picture.getpixel((0, 0))]
    length = math.hypot(*colour) or 1.0
    return struct.pack("<3e", *(value / length for value in colour))


def _run(send, run: Run, stops: set[str]):
    request = from_json(run.kind, run.request)
    words = getattr(request, "prompt", getattr(request, "question", ""))
    if "broken" in words:
        return Broke(run.job_id, Fault.USER, "The model can't draw that.")
    steps = steps_of(request) if isinstance(request, ProjectRequest) else 40 * words.count("slow") or 4
    missing = [sha for sha in request.pictures if sha not in run.paths]
    if missing:
        return Broke(run.job_id, Fault.ERROR, f"{len(missing)} pictures weren't handed over")
    if request.answer is Answer.TEXT:
        return _answer(send, run, stops)
    for step in range(1, steps + 1):
        if run.job_id in stops:
            return Stopped(run.job_id)
        time.sleep(0.05 if steps > 4 else 0.002)
        preview = encode(_plain(step), "JPEG") if isinstance(request, GenerateRequest) else None
        send(Step(run.job_id, step, steps, preview))
    if isinstance(request, TryRequest):
        return Done(run.job_id, _tried(run))
    if isinstance(request, ProjectRequest):
        return Done(run.job_id, made(request, run.paths, Path(run.folder), _picture(_plain(3), None)))
    if isinstance(request, VideoRequest):
        return Done(run.job_id, videos_of(request, Path(run.folder)))
    return Done(run.job_id, _output(request, run.paths))


def videos_of(request: VideoRequest, folder: Path) -> Output:
    """Videos of a second: each is of its seed's colour and gets lighter; "huge" ones are noise."""
    from vision.video.codecs import encoder_of
    from vision.video.writer import video_at

    videos, side = [], 256 if "huge" in request.prompt else SIDE
    for number in range(request.num_images):
        path, seed = folder / f"{number}.mp4", request.seed + number
        shades = [_plain(seed).point(lambda value, n=n: min(255, value + 8 * n)) for n in range(8)]
        if "huge" in request.prompt:
            shades = [Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)) for _ in range(8)]
        with video_at(path, (side, side), 8, encoder_of("auto")) as video:
            video.write(np.stack([np.asarray(one) for one in shades]))
        ends = folder / f"{number}.ends"
        ends.write_bytes(f"ends of {request.operation} {seed}".encode())
        videos.append(Video(str(path), side, side, 8, 8.0, _picture(shades[0], seed), seed, str(ends)))
    return Output(
        videos=tuple(videos), parameters={"num_inference_steps": 4, "model": "pretend", "notes": []}
    )


def _answer(send, run: Run, stops: set[str]) -> Done | Stopped:
    """Tell how many turns and pictures there are and repeat the question, a word at a time; "long" goes on
    for long, "quote" repeats what stands behind it only; on a "poster" stands what breaks a rule."""
    turns, question = run.talk.turns, run.talk.turns[-1].text
    if "poster" in question:
        send(Step(run.job_id, 0, 1, seen="a nude"))
    pictures = [sha for turn in turns for sha in turn.pictures]
    assert set(pictures) <= set(run.paths)
    text = f"This is turn {len(turns) // 2 + 1} with {len(pictures)} pictures. You asked: {question}"
    if "quote" in question:
        text = question.partition("quote")[2].strip()
    if "story" in question:
        text = "A fine day it was, and so on. " * 12 + "Then telling was forbidden. " + "And on. " * 40
    elif "long" in question:
        text = "\n\n".join(f"Paragraph {n} of a long answer, which goes on and on." for n in range(80))
    done = 0
    while done < len(text):
        if run.job_id in stops:
            return Stopped(run.job_id) if not done else _said(run, text[:done], "stopped")
        done += 30 if "slow" in question else 90
        time.sleep(0.05 if "slow" in question else 0.001)
        send(Step(run.job_id, done // 4 + 1, 512, text=text[:done]))
    return _said(run, text, "end")


def _said(run: Run, text: str, ended) -> Done:
    turns = run.talk.turns
    sides = tuple((SIDE, SIDE) for turn in turns for _ in turn.pictures)
    answer = ChatAnswer(text, ended, 20 * len(turns), 0, len(text) // 4, sides)
    return Done(
        run.job_id, finish_output(run.talk, answer, wanted_of_card({}), run.paths, {"model": "pretend"})
    )


def _tried(run: Run) -> Output:
    """The last label that it was told is the likeliest; the number of examples is told as the model's."""
    turns = run.talk.turns
    assert {sha for turn in turns for sha in turn.pictures} <= set(run.paths)
    labels = list(dict.fromkeys(turn.text for turn in turns if turn.role == "assistant"))[::-1]
    total = sum(range(1, len(labels) + 1))
    scores = tuple((label, (len(labels) - i) / total) for i, label in enumerate(labels))
    ways = [
        {"name": name, "label": labels[0], "chance": 0.75, "tested": 4, "right": right, "accuracy": accuracy}
        for name, right, accuracy in (("pretend", 3, 0.8), ("chat", 2, 0.5))
    ]
    return Output(
        grid=_picture(_plain(3), None),
        scores=scores,
        parameters={"model": "pretend", "examples": len(turns) // 2, "ways": ways, "notes": []},
    )


def _output(request, paths) -> Output:
    if request.answer is Answer.CAPTIONS:
        count = getattr(request, "num_captions", 2)
        return Output(
            captions=tuple(f"a picture, telling number {i + 1}" for i in range(count)),
            parameters={"model": "pretend"},
        )
    if request.answer is Answer.LABELS:
        labels = getattr(request, "labels", ()) or ("house", "cat", "tree")
        scores = tuple(
            (label, (len(labels) - i) / sum(range(1, len(labels) + 1))) for i, label in enumerate(labels)
        )
        chart = _picture(_plain(3), None) if isinstance(request, ClassifyRequest) else None
        return Output(grid=chart, scores=scores, parameters={"model": "pretend"})
    if request.answer is Answer.MAP:
        said = {"grid": _picture(_plain(4), None), "scores": ((request.label, 0.5),)}
        return Output(**said, parameters={"model": "pretend"})
    if request.answer is Answer.LINES:
        return _read_in(paths[request.image])
    if request.answer is Answer.WEIGHTS:
        words = request.prompt.split()
        return Output(
            scores=tuple((word, len(word) / max(map(len, words))) for word in words),
            parameters={"model": "pretend"},
        )
    assert isinstance(request, GenerateRequest)
    pictures = tuple(_picture(_drawn(request, paths, i), request.seed + i) for i in range(request.num_images))
    grid = _picture(_plain(request.seed), None) if len(pictures) > 1 else None
    values = {"width": SIDE, "height": SIDE, "num_inference_steps": 4, "guidance_scale": 3.0}
    values |= {"model": "pretend"}
    return Output(pictures, grid, parameters=values)


def _read_in(path: str) -> Output:
    """A picture says what its colour is called in SIGNS, or else "hello"."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    said = SIGNS.get(picture.getpixel((0, 0)), "hello world")
    lines = tuple(
        TextLine(text, 0.9, ((2, 9 * n + 2), (40, 9 * n + 2), (40, 9 * n + 9), (2, 9 * n + 9)))
        for n, text in enumerate(said.split("\n"))
    )
    parameters = {"model": "pretend", "width": picture.width, "height": picture.height}
    return Output(grid=_picture(picture, None), lines=lines, parameters=parameters)


def _drawn(request, paths, index) -> Image.Image:
    if "huge" in request.prompt and isinstance(request, ImagineRequest):
        return Image.frombytes("RGB", (1024, 1024), os.urandom(1024 * 1024 * 3))
    if isinstance(request, OutpaintRequest):
        with Image.open(paths[request.image]) as old:
            canvas = Image.new(
                "RGB", (old.width + request.left + request.right, old.height + request.top + request.bottom)
            )
            canvas.paste(old, (request.left, request.top))
            return canvas
    if isinstance(request, UpscaleRequest):
        with Image.open(paths[request.image]) as old:
            return old.resize((old.width * request.factor, old.height * request.factor))
    if isinstance(request, RegionRequest):
        return _part(request, paths, _plain(request.seed + index))
    return _plain(request.seed + index)


def _part(request, paths, fresh) -> Image.Image:
    """Outside the part everything stays."""
    with Image.open(paths[request.image]) as old:
        picture = old.convert("RGB")
    fresh = fresh.resize(picture.size)
    if request.mask_image:
        with Image.open(paths[request.mask_image]) as mask:
            picture.paste(fresh, mask=mask.convert("L").resize(picture.size))
    for box in request.boxes:
        picture.paste(fresh.crop(box), box)
    return picture


def _plain(number: int) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), ((number * 37) % 256, (number * 91) % 256, 120))


def _picture(image: Image.Image, seed: int | None) -> Picture:
    return Picture(encode(image, "PNG"), "image/png", image.width, image.height, seed)


def encode(image: Image.Image, form: str) -> bytes:
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()
