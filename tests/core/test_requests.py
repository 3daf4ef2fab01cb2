"""Requests check their ranges and survive a round trip through JSON. Requests for videos say what is
missing, and two of different work never count as alike. What frames are called, and which of them an answer
names."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, asdict, fields
from typing import Any

import pytest

from core.errors import UserError
from core.limits import MAX_LABELS, MAX_PROMPT
from core.requests import (
    AT_ONCE,
    PICTURE_KINDS,
    REQUESTS,
    AskRequest,
    BlendRequest,
    ClassifyRequest,
    ComposeRequest,
    CutOutRequest,
    DescribeRequest,
    EditRequest,
    ImagineRequest,
    OutpaintRequest,
    ReadRequest,
    RegionRequest,
    ShortenRequest,
    TryRequest,
    UpscaleRequest,
    VariationRequest,
    WhyRequest,
    from_json,
    recheck,
    to_json,
)
from core.requests.chat import cited_frames, clock, frame_labels, pieces_by_frame
from core.requests.custom_models import BundleRequest, InspectRequest, TrainRequest
from core.requests.video import CutRequest, FrameRequest, VideoRequest

SHA, OTHER, THIRD = "ab" * 32, "cd" * 32, "ef" * 32
STYLED = {"prompt": "hot, dog", "prompt_parts": (("hot", 2.0), ("dog", 1.0), ("cat", -0.5))}
STYLED |= {"negative_prompt": "snow", "width": 64, "height": 128, "aspect_ratio": (1, 2)}
STYLED |= {"num_inference_steps": 7, "guidance_scale": 4.5, "seed": 4, "num_images": 2, "image": "0a" * 32}
STYLED |= {"strength": 0.3, "sampler": "euler", "model": "v6", "draft": True, "chaos": 30, "stylize": 250}
STYLED |= {
    "raw": True,
    "weird": 10,
    "exp": 5,
    "stop": 80,
    "tile": True,
    "quality": 0.5,
    "hd": True,
    "think": True,
}
STYLED |= {"image_prompts": (("1a" * 32, 1.0), ("2a" * 32, -0.5)), "image_weight": 2.0}
STYLED |= {"style_references": (("3a" * 32, 2.0),), "style_codes": ((77, 1.0),), "style_weight": 300}
STYLED |= {"character_references": (("4a" * 32, 1.0),), "character_weight": 0}
STYLED |= {"omni_references": (("5a" * 32, 1.0),), "omni_weight": 400, "loras": (("ink", 0.8),)}
STYLED |= {"version": "niji 6", "unsupported": ("--video",), "taste_words": ("blue", "at night")}
STYLED |= {"taste_loras": (("mine", 0.7),)}
IN_VIDEOS = {"motion": "high", "seconds": 2.5, "fps": 12, "resolution": 720, "sound": False}
ASKED = {"project": "abcd2345efgh", "task": "anomaly", "version": 1, "artefact": "ef" * 32}
JOINED = {"clip_2": THIRD, "clip_2_ends": "7a" * 32}
ON_SHEETS = {"choices": ("hot", "dog"), "sheet_styles": tuple(range(24))}
CHOSEN = {"taste": (("me", 1.0), ("evening", -0.5)), "candidates": 8, "seeds": tuple(range(4, 28))}
FULL = (  # of each kind, with a value in every field, which differs from the field's default
    ImagineRequest(**STYLED | ON_SHEETS | {"num_images": 24, "hd": False, "think": False} | CHOSEN),
    VariationRequest(**STYLED, variation="subtle", remix=True, keep_structure=True),
    OutpaintRequest(**STYLED, left=3, top=4, right=5, bottom=9, zoom=2.0, remix=True),
    UpscaleRequest(**STYLED, factor=4, mode="creative"),
    EditRequest(**STYLED, about="a house", then=("at night",), images=(OTHER,)),
    CutOutRequest(**STYLED, named="the boat"),
    RegionRequest(**STYLED, mask_image=OTHER, remix=True),
    BlendRequest(**STYLED, images=(SHA, OTHER)),
    ComposeRequest(
        **STYLED,
        canvas=(4096, 64),
        layers=((SHA, 0, 0, 1, 1, None), (OTHER, -3.5, 7, 0.25, 0.5, THIRD)),
        mask_image=THIRD,
        keep_seam=True,
        remix=True,
    ),
    VideoRequest(
        **STYLED, **IN_VIDEOS, operation="remix", end_image="6a" * 32, clip=SHA, clip_ends=OTHER, **JOINED
    ),
    DescribeRequest(image=SHA, num_captions=3, seed=9),
    ClassifyRequest(image=SHA, labels=("a cat", "a dog"), top_k=3),
    WhyRequest(image=SHA, label="a dog", labels=("a cat", "a dog")),
    ReadRequest(image=SHA),
    ShortenRequest(prompt="a very red house"),
    AskRequest(
        question="What is it?",
        images=(SHA, OTHER),
        times=(None, 2.5),
        film_seconds=4.0,
        form="short",
        follows=True,
        seed=5,
        temperature=0.5,
        examples="abcd2345efgh",
    ),
    TryRequest(set_id="abcd2345efgh", image=SHA, name="pets"),
    TrainRequest(
        project="abcd2345efgh",
        task="style",
        alike="free",
        pixels=512,
        seconds=60,
        seed=3,
        settled=True,
        replaces=2,
        count=20,
        words="ink",
        model="v6",
    ),
    InspectRequest(
        project="abcd2345efgh",
        task="anomaly",
        version=2,
        artefact=THIRD,
        images=(SHA, OTHER),
        limit=1.5,
        explain=False,
    ),
    BundleRequest(
        project="abcd2345efgh",
        task="classify",
        version=2,
        artefact=THIRD,
        name="boards",
        limit=1.5,
        images=(SHA,),
        figures=("19 of 20 (75-100 %).",),
    ),
    CutRequest(**STYLED | {"num_images": 1}, **IN_VIDEOS, loop=True, clip=SHA, start=1.0, end=2.0),
    FrameRequest(**STYLED | {"num_images": 1}, clip=SHA),
)
EXAMPLES = (
    *FULL,
    ImagineRequest(prompt="a", aspect_ratio=(3, 2), seed=4),
    VariationRequest(prompt="", image=SHA),
    RegionRequest(prompt="d", image=SHA, boxes=((0, 0, 8, 8), (8, 0, 16, 8))),
    RegionRequest(prompt="d", image=SHA, region="the red boat"),
    BlendRequest(images=(SHA, OTHER)),
)
# Ways to say one thing: a request has one of them; and what can have one value alone
ONE_OF = {"mask_image", "boxes", "region", "loop"}
ONE_VALUE = {("cut", "num_images"), ("frame", "num_images")}


@pytest.mark.parametrize("request_", EXAMPLES, ids=lambda r: r.kind)
def test_a_request_survives_json(request_) -> None:
    assert from_json(request_.kind, to_json(request_)) == request_


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ImagineRequest(prompt="  "), "empty"),
        (lambda: ImagineRequest(prompt="\u200b \u2060"), "empty"),
        (lambda: ImagineRequest(prompt="x" * 6000), "6,000"),
        (lambda: ImagineRequest(prompt="a", width=9000), "9000"),
        (lambda: VariationRequest(prompt="a"), "no picture"),
        (lambda: OutpaintRequest(prompt="a", image=SHA), "Nothing to add"),
        (
            lambda: ClassifyRequest(image=SHA, labels=tuple(f"label {i}" for i in range(200))),
            f"200 labels; up to {MAX_LABELS}",
        ),
        (lambda: ClassifyRequest(image=SHA, labels=("one",)), "at least two"),
        (lambda: ImagineRequest(prompt="a", chaos=101), "chaos.*101.*100"),
        (lambda: ImagineRequest(prompt="a", stylize=60_001), "stylize.*60000"),
        (lambda: ImagineRequest(prompt="a", weird=-1), "weird.*3000"),
        (lambda: ImagineRequest(prompt="a", exp=200), "exp.*100"),
        (lambda: ImagineRequest(prompt="a", stop=5), "stop.*10"),
        (lambda: ImagineRequest(prompt="a", quality=3.0), "quality.*0.25"),
        (lambda: ImagineRequest(prompt="a", image_weight=101.0), "iw.*100"),
        (lambda: ImagineRequest(prompt="a", style_weight=2000), "sw.*1000"),
        (lambda: ImagineRequest(prompt="a", character_weight=101), "cw.*100"),
        (lambda: ImagineRequest(prompt="a", omni_weight=1001), "ow.*1000"),
        (lambda: ImagineRequest(prompt="a", loras=(("../x", 1.0),)), "lora"),
        (lambda: ImagineRequest(prompt="a", loras=(("ink", 9.0),)), "lora.*2"),
        (lambda: ImagineRequest(prompt="a", prompt_parts=(("a", 1.0), ("b", -1.0))), "add up to 0"),
        (
            lambda: ImagineRequest(prompt="a", prompt_parts=(("a", 0.4),), negative_prompt="b"),
            "add up to -0.1",
        ),
        (lambda: ImagineRequest(prompt="a", prompt_parts=(("a", 1.0),) * 21), "21 parts"),
        (lambda: ImagineRequest(prompt="a", style_references=((SHA, 1.0),) * 11), "11 pictures"),
        (lambda: ImagineRequest(prompt="", image_prompts=((SHA, 1.0),)), "One picture alone"),
        (lambda: UpscaleRequest(prompt="a"), "no picture"),
        (lambda: UpscaleRequest(prompt="a", image=SHA, factor=3), "factor.*2 or 4"),
        (lambda: UpscaleRequest(prompt="a", image=SHA, mode="wild"), "wild"),
        (lambda: RegionRequest(prompt="a", image=SHA), "one way"),
        (lambda: RegionRequest(prompt="a", image=SHA, region="boat", boxes=((0, 0, 1, 1),)), "one way"),
        (lambda: RegionRequest(prompt="a", image=SHA, boxes=((5, 0, 5, 1),)), "left < right"),
        (lambda: BlendRequest(images=(SHA,)), "2 to 5"),
        (lambda: ComposeRequest(prompt="a", layers=((SHA, 0, 0, 1, 1, None),)), "width.*0 px.*64"),
        (lambda: ComposeRequest(prompt="a", canvas=(64, 5000), layers=((SHA, 0, 0, 1, 1, None),)), "4096"),
        (lambda: ComposeRequest(prompt="a", canvas=(64, 64)), "0 pictures.*16"),
        (lambda: ComposeRequest(prompt="a", canvas=(64, 64), layers=((SHA, 0, 0, 0, 1, None),)), "scale"),
        (lambda: ShortenRequest(prompt="house"), "nothing to shorten"),
        (lambda: TryRequest(set_id="", image=SHA), "No set of examples"),
        (lambda: TrainRequest(project="boards", task="anomaly"), "project.*boards.*id of a project"),
        (lambda: TrainRequest(project="abcd2345efgh", task="guess"), "guess.*classify, detect, style"),
        (lambda: TrainRequest(project="abcd2345efgh", task="anomaly", alike="so"), "so.*auto, fixture"),
        (lambda: TrainRequest(project="abcd2345efgh", task="anomaly", pixels=64), "pixels.*64.*128"),
        (lambda: InspectRequest(**ASKED, images=()), "0 pictures.*1 to 50"),
        (lambda: InspectRequest(**ASKED, images=(SHA,) * 51), "51 pictures.*1 to 50"),
        (lambda: BundleRequest(**ASKED, images=(SHA,) * 7), "7 pictures.*up to 6"),
        (lambda: AskRequest(question=" ", images=(SHA,)), "question is empty"),
        (lambda: AskRequest(question="What?"), "no picture to ask about"),
        (lambda: AskRequest(question="x" * 4001, images=(SHA,)), "4,001.*4,000"),
        (lambda: AskRequest(question="What?", images=(SHA,) * 11), "11 pictures.*10"),
        (lambda: AskRequest(question="What?", images=(SHA,), form="video"), "free, short, table"),
        (lambda: AskRequest(question="What?", images=(SHA,), temperature=3.0), "temperature.*2"),
    ],
)
def test_what_cannot_be_honoured_is_told_in_a_sentence(make, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()


def test_a_field_or_a_kind_of_a_newer_version_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        from_json("sing", "{}")
    with pytest.raises(ValueError, match="volume"):
        from_json("imagine", '{"prompt": "a", "volume": 3}')


def test_every_kind_has_an_example_and_those_that_make_pictures_are_known() -> None:
    assert [*REQUESTS, *AT_ONCE] == [type(example) for example in FULL]
    kinds = "imagine variation outpaint upscale edit cutout region blend compose video cut frame"
    assert set(PICTURE_KINDS) == set(kinds.split())


@pytest.mark.parametrize("request_", FULL, ids=lambda r: r.kind)
def test_no_picture_of_a_request_can_be_forgotten(request_) -> None:
    """Every field is filled here, and whatever looks like a picture's name in it is among ``pictures``."""
    for item in fields(request_):
        known = item.name in ONE_OF or (request_.kind, item.name) in ONE_VALUE
        assert item.default is MISSING or getattr(request_, item.name) != item.default or known
    assert {*request_.pictures, *request_.files} == {
        text for text in strings(asdict(request_)) if re.fullmatch("[0-9a-f]{64}", text)
    }
    assert len(request_.pictures) == len(set(request_.pictures))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def test_the_worker_is_given_every_picture_once() -> None:
    request = ImagineRequest(
        prompt="a",
        image=SHA,
        image_prompts=((OTHER, 1.0),),
        style_references=((OTHER, 2.0),),
        character_references=((THIRD, 1.0),),
    )
    assert sorted(request.pictures) == sorted((SHA, OTHER, THIRD))
    assert RegionRequest(prompt="a", image=SHA, mask_image=OTHER).pictures == (SHA, OTHER)
    assert BlendRequest(images=(THIRD, SHA)).pictures == (THIRD, SHA)


def test_a_row_of_an_older_version_still_loads() -> None:
    assert from_json("imagine", '{"prompt": "a", "seed": 3}') == ImagineRequest(prompt="a", seed=3)
    varied = VariationRequest(prompt="", image=SHA)
    assert from_json("variation", f'{{"prompt": "", "image": "{SHA}"}}') == varied


OLD_ROW = (  # as it was stored before parameters had a table of their own
    '{"prompt": "hot, dog", "negative_prompt": "snow", "width": 64, "height": 128, "aspect_ratio": [1, 2],'
    f' "num_inference_steps": 7, "guidance_scale": 4.5, "seed": 4, "num_images": 2, "image": "{"0a" * 32}",'
    ' "strength": 0.3, "sampler": "euler", "model": "v6", "draft": true, "prompt_parts": [["hot", 2.0],'
    ' ["dog", 1.0], ["cat", -0.5]], "chaos": 30, "stylize": 250, "raw": true, "weird": 10, "exp": 5,'
    ' "stop": 80, "tile": true, "quality": 0.5, "hd": true, "image_prompts": [["' + "1a" * 32 + '", 1.0],'
    ' ["' + "2a" * 32 + '", -0.5]], "image_weight": 2.0, "style_references": [["' + "3a" * 32 + '", 2.0]],'
    ' "style_codes": [[77, 1.0]], "style_weight": 300, "character_references": [["' + "4a" * 32 + '", 1.0]],'
    ' "character_weight": 0, "omni_references": [["' + "5a" * 32 + '", 1.0]], "omni_weight": 400,'
    ' "loras": [["ink", 0.8]], "version": "niji 6", "unmet": ["--video"]}'
)


def test_a_full_row_of_an_older_version_reads_as_it_was_meant() -> None:
    assert from_json("imagine", OLD_ROW) == ImagineRequest(
        **STYLED | {"think": None, "taste_words": (), "taste_loras": ()}
    )


def test_two_pictures_need_no_words() -> None:
    assert ImagineRequest(prompt="", image_prompts=((SHA, 1.0), (OTHER, 1.0))).pictures == (SHA, OTHER)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("imagine", {"prompt": "a" * (MAX_PROMPT + 1)}),
        ("imagine", {"prompt": "\u200b"}),
        ("imagine", {"prompt": "a", "width": 100_000, "height": 64, "seed": 7}),
        ("classify", {"image": SHA, "labels": ["cat"]}),
        ("blend", {"images": [SHA]}),
        ("ask", {"question": "", "images": [SHA] * 1000}),
    ],
)
def test_a_row_that_was_right_when_it_was_written_is_read_but_not_run_again(kind, fields) -> None:
    request = from_json(kind, json.dumps(fields))
    for name, value in fields.items():
        assert getattr(request, name) == (tuple(value) if isinstance(value, list) else value)
    assert from_json(kind, to_json(request)) == request and request.size() is not None
    assert set(request.pictures) <= {SHA}
    with pytest.raises(UserError):
        recheck(request)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("classify", "{}"),
        ("imagine", "[1]"),
        ("imagine", "{"),
        ("imagine", '{"prompt": "a", "width": "wide"}'),
        ("blend", '{"images": ["../../etc/passwd"]}'),
        ("variation", '{"prompt": "a", "variation": "odd", "image": "no hash"}'),
        ("variation", json.dumps({"prompt": "a" * (MAX_PROMPT + 1), "image": "no hash"})),
    ],
)
def test_what_is_no_request_is_no_request(kind: str, text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_json(kind, text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": " "}, "Say what the video should show"),
        ({"prompt": "a boat", "end_image": SHA}, "needs a first one"),
        ({"prompt": "", "operation": "extend"}, "no video to start from"),
        ({"prompt": "", "operation": "remix", "clip": SHA}, "what the video should show instead"),
        ({"prompt": "", "operation": "blend", "clip": SHA}, "there is one"),
        ({"prompt": "", "operation": "melt", "clip": SHA}, "it takes new, extend"),
        ({"prompt": "", "image": SHA, "end_image": OTHER, "loop": True}, "don't go together"),
        ({"prompt": "a boat", "num_images": 5}, "it takes 1, 2, 3, 4"),
        ({"prompt": "a boat", "seconds": 21.0}, "it takes 0.5 to 20"),
        ({"prompt": "a boat", "fps": 60}, "it takes 4 to 30"),
        ({"prompt": "a boat", "resolution": 600}, "it takes 480, 720, 1080"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(given, said):
    with pytest.raises(UserError, match=said):
        VideoRequest(**given)


def test_all_files_that_a_video_starts_from_are_known():
    request = VideoRequest(prompt="", operation="blend", clip=SHA, clip_2=OTHER, clip_ends=THIRD)
    assert set(request.pictures) == {SHA, OTHER, THIRD}


def test_videos_of_different_work_have_different_sizes():
    given = [{}, {"seconds": 4.0}, {"fps": 16}, {"resolution": 720}, {"num_images": 4}, {"draft": True}]
    assert len({VideoRequest(prompt="a boat", **more).size() for more in given}) == 6


TIMES = (0.5, 1.5, 3.5, 7.25, 12.0)


def test_frames_are_called_by_their_time() -> None:
    assert frame_labels((0.5, 12.04)) == ["0.5 s", "12.0 s"]
    assert frame_labels(()) == []


def test_two_frames_are_never_called_the_same() -> None:
    assert frame_labels((0.0, 0.04, 0.08)) == ["0.00 s", "0.04 s", "0.08 s"]
    assert frame_labels((0.001, 0.002)) == ["0.001 s", "0.002 s"]


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("It jumps [3.5 s].", [2]),
        ("at 3.5s, then at 12 seconds", [2, 4]),
        ("between 1.5 and 3.5 s", [1, 2]),
        ("1.5-3.5 s", [1, 2]),
        ("at 0.5 s, 1.5 s and 3.5 s", [0, 1, 2]),
        ("at 3,5 s", [2]),
        ("at 7.3 s", [3]),
        ("at 4 s", [2]),  # 3.5, rounded
        ("from 00:03 on", [2]),
        ("at 0:12", [4]),
        ("0:00:07", [3]),
    ],
)
def test_a_time_in_an_answer_names_its_frame(text: str, frames: list[int]) -> None:
    assert [one.frame for one in cited_frames(text, TIMES)] == frames


@pytest.mark.parametrize(
    "text",
    ["3.5 metres", "3 ships", "9.9 s", "version 3.5.1 s", "it is 3.5", "in 2012 she", "at 6 s", "00:45", ""],
)
def test_other_numbers_name_none(text: str) -> None:
    assert cited_frames(text, TIMES) == []
    assert cited_frames(f"at 3.5 s {text}", ()) == []


def test_an_answer_comes_apart_at_its_times() -> None:
    found = pieces_by_frame("It falls [3.5 s] and lies (12 s).", TIMES)
    assert found == [("It falls [", None), ("3.5", 2), (" s] and lies (", None), ("12", 4), (" s).", None)]
    assert pieces_by_frame("Nothing moves.", TIMES) == [("Nothing moves.", None)]
    assert pieces_by_frame("", TIMES) == [("", None)]


def test_a_clock_shows_whole_seconds() -> None:
    assert [clock(0.0), clock(3.9), clock(61.2)] == ["00:00", "00:03", "01:01"]
