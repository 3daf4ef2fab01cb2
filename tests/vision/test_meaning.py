"""What parameters do to the demo models, by docs/explanation/what-parameters-do.md, on a few fixed prompts,
each with its control."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.requests import ImagineRequest, UpscaleRequest
from demo.judge import edge_width, steps_between
from tests.support.demo_pack import ONE, Pack, ask, blueness, judge, pack, scenes, seam, spread


@pytest.fixture(scope="module")
def here() -> Pack:
    return pack()


def brief(words: str, number: int, **more: Any) -> ImagineRequest:
    """Half the steps of the model: what a parameter does shows as well, and the long form has all of them."""
    return replace(ask(words, number, **more), num_inference_steps=6)


def test_a_seed_repeats_the_picture_bit_for_bit(here: Pack) -> None:
    request = replace(brief(scenes(1, "seed")[0][1], 0, num_images=2), num_inference_steps=2)
    first, other, again = (here.run(r).pictures for r in (request, replace(request, seed=5), request))
    assert [p.data for p in first] == [p.data for p in again] != [p.data for p in other]


@pytest.mark.long  # that it changes the four is in tests/vision/diffusion/test_conditioning.py
def test_full_chaos_spreads_the_four_twice_as_far(here: Pack) -> None:
    distances = {value: [] for value in (0, 100)}
    for i, (_, words) in enumerate(scenes(2, "chaos")):
        for value, seen in distances.items():
            seen.append(spread(here.draw(brief(words, i, chaos=value, num_images=3))))
    assert np.mean(distances[100]) >= 2 * np.mean(distances[0]) > 0


@pytest.mark.slow
def test_no_blue_lowers_blue_and_no_red_does_not(here: Pack) -> None:
    blue = {negative: [] for negative in ("", "blue", "red")}
    for i, obj in enumerate(("ball", "star")):
        for negative, seen in blue.items():
            seen += [
                blueness(image)
                for image in here.draw(brief(f"a {obj}", i, negative_prompt=negative, num_images=1))
            ]
    assert np.mean(blue["blue"]) < 0.5 * np.mean(blue[""]) < 0.5 * np.mean(blue["red"])


@pytest.mark.slow
def test_a_heavier_part_leads(here: Pack) -> None:
    pairs, leads = (("a red house", "a blue fish"), ("a yellow star", "a green tree")), []
    for i, (a, b) in enumerate(pairs):
        for weights in ((3, 1), (1, 3)):
            images = here.draw(
                brief(f"{a}, {b}", i, prompt_parts=((a, weights[0]), (b, weights[1])), num_images=1)
            )
            wanted = (a if weights[0] > weights[1] else b).split()[-1]
            leads += [verdict.found[0].object == wanted for verdict in judge()(images)]
    assert np.mean(leads) > 0.7, leads


@pytest.mark.long  # that it changes the picture is in tests/vision/test_flags.py
def test_more_image_weight_is_nearer_to_the_picture(here: Pack) -> None:
    near = {value: [] for value in (0.5, 3.0)}
    for i, (subject, words) in enumerate(
        (("a red house in the snow", "a blue ball"), ("a yellow star at night", "a green tree"))
    ):
        (source,) = here.draw(brief(subject, i, num_images=1))
        for value, seen in near.items():
            images = here.draw(
                brief(words, i + 40, image_prompts=((ONE, 1.0),), image_weight=value, num_images=1),
                {ONE: source},
            )
            seen.append(float((here.see(images) @ here.see([source])[0]).mean()))
    assert all(b > a for a, b in zip(near[0.5], near[3.0], strict=True)), near


@pytest.mark.slow
def test_an_enlarged_picture_is_sharper_than_by_bicubic(here: Pack) -> None:
    (source,) = here.draw(brief("a red house in the snow", 0, num_images=1))
    bicubic = source.resize((2 * source.width, 2 * source.height), Image.Resampling.BICUBIC)
    (large,) = here.draw(UpscaleRequest(prompt="a red house in the snow", image=ONE, seed=1), {ONE: source})
    steepest = [np.quantile(steps_between(picture), 0.999) for picture in (large, bicubic)]
    assert large.size == bicubic.size and steepest[0] > steepest[1]


def test_the_measures_see_what_they_are_for() -> None:
    stripes = Image.fromarray(
        np.tile(np.repeat(np.array([0, 255], np.uint8), 16), 4)[None].repeat(128, 0)
    ).convert("RGB")
    soft = stripes.resize((16, 128)).resize((128, 128), Image.Resampling.BICUBIC)
    assert edge_width(stripes) < edge_width(soft)
    ramp = Image.fromarray(np.linspace(0, 255, 128).astype(np.uint8)[None].repeat(128, 0)).convert("RGB")
    assert seam(ramp) > 50 and blueness(Image.new("RGB", (4, 4), (0, 0, 200))) == 200
