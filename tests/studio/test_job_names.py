"""What people call a job: one table for Discord, the web and the API."""

import pytest

from core.requests import AT_ONCE, PICTURE_NAMES, REQUESTS
from core.requests.custom_models import InspectRequest, TrainRequest
from core.requests.images import (
    BlendRequest,
    ComposeRequest,
    CutOutRequest,
    GenerateRequest,
    ImagineRequest,
    OutpaintRequest,
    RegionRequest,
    UpscaleRequest,
    VariationRequest,
)
from core.requests.video import CutRequest, VideoRequest
from studio.new_job import Source, custom_sides, direction_sides, zoom_sides
from studio.requests.actions import outpaint
from studio.texts import job_name, reader_text

SHA = "a" * 64
PICTURE = {"prompt": "a house", "image": SHA}
CLIP = {"prompt": "a boat", "clip": SHA}


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (ImagineRequest(prompt="a house"), "Imagine"),
        (VariationRequest(**PICTURE, variation="subtle"), "Variations (Subtle)"),
        (VariationRequest(**PICTURE, remix=True), "Remix (Strong)"),
        (RegionRequest(**PICTURE, mask_image=SHA), "Part redrawn"),
        (ComposeRequest(prompt="", canvas=(512, 512), layers=((SHA, 0, 0, 1, 1, None),)), "Edited"),
        (CutOutRequest(image=SHA), "Cut out"),
        (UpscaleRequest(**PICTURE, factor=4, mode="creative"), "Upscale 4× (Creative)"),
        (OutpaintRequest(**PICTURE, left=1, right=1), "Made wider"),
        (OutpaintRequest(**PICTURE, top=1, bottom=1), "Made taller"),
        (OutpaintRequest(**PICTURE, left=1, right=1, top=1, bottom=1), "Zoom out"),
        (BlendRequest(images=(SHA, "b" * 64)), "Blend of 2"),
        (VideoRequest(prompt="a boat"), "Video"),
        (VideoRequest(**CLIP, operation="extend_back"), "Extended back"),
        (VideoRequest(**CLIP, operation="remix", strength=0.9), "Remix (Strong)"),
        (CutRequest(clip=SHA, start=0.0, end=1.0), "Cut"),
        (TrainRequest(project="a" * 12, task="style"), "Training of a style"),
        (
            InspectRequest(project="a" * 12, task="anomaly", version=1, artefact=SHA, images=(SHA,)),
            "Inspection",
        ),
    ],
)
def test_a_job_is_called_by_what_was_pressed(request_, name: str) -> None:
    assert job_name(request_) == name


def test_a_larger_canvas_is_called_by_its_zoom_or_its_side() -> None:
    source = Source(SHA, 300, 201)
    assert job_name(outpaint(source, zoom_sides(source, 2), None).request) == "Zoom out 2×"
    assert job_name(outpaint(source, zoom_sides(source, 1.5), None).request) == "Zoom out 1.5×"
    assert job_name(outpaint(source, direction_sides(source, "right"), None).request) == "Pan right"
    assert job_name(outpaint(source, custom_sides(source, 1.5, (3, 1)), None).request) == "Zoom out"


def test_every_kind_has_a_name_of_its_own() -> None:
    named = [cls.called for cls in (*REQUESTS, *AT_ONCE)]
    assert len(set(named)) == len(named) and all(name[0].isupper() for name in named)
    assert {cls.kind for cls in (*REQUESTS, *AT_ONCE) if issubclass(cls, GenerateRequest)} == {*PICTURE_NAMES}


def test_who_did_the_work_is_told_where_there_was_a_choice() -> None:
    assert reader_text({"kind": "classify", "model": "vit", "knows": "drawings"}) == "Read by the demo model"
    assert reader_text({"kind": "cutout", "knows": "photographs"}) == "Cut out by the model for photographs"
    assert reader_text({"kind": "classify", "model": "vit"}) == ""
