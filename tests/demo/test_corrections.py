"""What a picture drawn from words alone should have been, and what is learned from it."""

import random

import numpy as np
import pytest
from PIL import Image, ImageFilter

torch = pytest.importorskip("torch")

from diffusers import AutoencoderTiny  # noqa: E402
from transformers import UperNetForSemanticSegmentation  # noqa: E402

from demo.drawing import FLOATING, SIZE, Placed, draw, draw_apart  # noqa: E402
from demo.train import corrections  # noqa: E402
from demo.train.loop import MODELS, to_tensor  # noqa: E402
from demo.world import OBJECTS, Group, Scene  # noqa: E402

pytestmark = pytest.mark.training


def a_scene(name="boat", style="flat", background="orange", colour="blue"):
    return Scene((Group(1, colour, name, "medium"),), "any", background, style)


def drawn(scene, x=0.4, y=0.55, half=0.25):
    """The picture, (SIZE, SIZE, 3) uint8, and what shows its thing, (SIZE, SIZE) float32."""
    placed = [Placed(scene.groups[0].object, scene.groups[0].colour, x, y, half, 0)]
    picture, owner = draw_apart(scene, random.Random(1), (SIZE, SIZE), placed)
    return np.asarray(picture), (owner >= 0).astype(np.float32)


@pytest.mark.parametrize("outline", [False, True])
@pytest.mark.parametrize("name", OBJECTS)
def test_a_thing_is_found_where_it_was_drawn(name, outline):
    mask = corrections.silhouette(name, (70.5, 60.0, 31.0), outline)
    place, overlap = corrections.fit(mask, name, outline)
    assert place == pytest.approx((70.5, 60.0, 31.0), abs=1.0)
    assert overlap > 0.93


@pytest.mark.parametrize("style", ["flat", "outline"])
@pytest.mark.parametrize("name", OBJECTS)
def test_what_was_drawn_well_stays_as_it_is(name, style):
    scene = a_scene(name, style)
    picture, mask = drawn(scene)
    target, painted = corrections.meant(picture, mask, scene)
    assert np.array_equal(target[~painted], picture[~painted])
    apart = np.abs(target.astype(int) - picture).mean()
    without = np.abs(
        picture.astype(int) - np.asarray(draw(Scene((), "any", "orange", style), random.Random(1)))
    )
    assert apart < 0.25 * without.mean()


def test_a_blunt_thing_gets_its_points_and_the_ground_its_own_colours():
    scene = a_scene("star", background="sea", colour="yellow")
    picture, mask = drawn(scene)
    soft = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(4))
    blunt = (
        np.asarray(Image.fromarray((255 * mask).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4))) / 255
    )
    target, painted = corrections.meant(np.asarray(soft), (blunt > 0.5).astype(np.float32), scene)
    assert np.array_equal(target[~painted], np.asarray(soft)[~painted])
    before, after = (np.abs(np.asarray(p).astype(int) - picture)[painted].mean() for p in (soft, target))
    assert after < 0.6 * before


def test_the_ground_goes_on_behind_a_thing_row_by_row():
    rows = np.arange(SIZE, dtype=np.float32)[:, None, None].repeat(SIZE, 1).repeat(3, 2)
    hidden = np.zeros((SIZE, SIZE), bool)
    hidden[30:60, 20:90] = True
    spoilt = np.where(hidden[..., None], 255.0, rows).astype(np.float32)
    np.testing.assert_allclose(corrections.ground_without(spoilt, hidden), rows)
    hidden[40] = True  # a row that shows nothing of the ground
    assert np.isfinite(corrections.ground_without(spoilt, hidden)).all()


@pytest.mark.parametrize("name", ["boat", "star"])
def test_a_shadow_is_painted_where_the_world_draws_one(name):
    scene = a_scene(name)
    picture, mask = drawn(scene, half=0.3)
    target, _ = corrections.meant(picture, mask, scene)
    y, x = int((0.55 + 0.3 * 0.98) * SIZE), int(0.4 * SIZE)
    assert np.abs(target[y, x].astype(int) - picture[y, x]).max() <= 12
    is_dark = target[y, x].sum() < target[y, 2].sum() - 40
    assert is_dark == (name not in FLOATING)


@pytest.mark.parametrize("mask", [np.zeros((SIZE, SIZE), np.float32), np.eye(SIZE, dtype=np.float32)])
def test_what_is_not_recognised_teaches_nothing(mask):
    picture, _ = drawn(a_scene())
    assert corrections.meant(picture, mask, a_scene()) is None


def test_only_styles_that_come_out_badly_are_drawn():
    styles = {corrections.single_scene(random.Random(seed)).style for seed in range(200)}
    assert styles == set(corrections.STYLES)
    assert all(len(corrections.single_scene(random.Random(seed)).groups) == 1 for seed in range(50))


def test_things_that_come_out_badly_are_drawn_more_often():
    things = [corrections.single_scene(random.Random(seed)).groups[0].object for seed in range(400)]
    assert things.count("flower") > 1.5 * things.count("ball")


@pytest.fixture
def shard():
    """Pairs of two drawings, one of a thing that isn't there."""
    vae = AutoencoderTiny.from_pretrained(MODELS / "stable-diffusion" / "vae", torch_dtype=torch.float32)
    segmenter = UperNetForSemanticSegmentation.from_pretrained(MODELS / "segmenter", dtype=torch.float32)
    scenes = [a_scene("heart"), a_scene("house"), a_scene("star")]
    pictures = [drawn(scene)[0] for scene in scenes[:2]]
    pictures.append(np.asarray(draw(Scene((), "any", "orange", "flat"), random.Random(1))))
    with torch.no_grad():
        latents = vae.encoder(to_tensor(np.stack(pictures)))
    return latents, corrections.pairs(latents, scenes, ["heart", "house", "star"], vae, segmenter.eval())


def test_pairs_hold_what_was_drawn_and_what_was_meant(shard):
    latents, found = shard
    assert found["words"].tolist() == ["heart", "house"]
    assert np.array_equal(found["drawn"], latents[:2].numpy().astype(np.float16))
    apart = np.abs(found["meant"].astype(np.float32) - found["drawn"]).mean(1)  # (N, 16, 16)
    assert apart[found["things"]].mean() < 0.4 and apart[~found["things"]].mean() < 0.1


def own(folder, counts):
    """Shards of so many pictures each, whose latents and words are the shard's number; and those made."""
    made = []

    def make(index):
        made.append(index)
        cells = np.full((counts[index], 4, 16, 16), index, np.float16)
        return {"drawn": cells, "words": np.array([f"{index}"] * counts[index], str)}

    return corrections.Own(folder, make), made


def test_a_shard_is_made_every_so_many_steps_and_once(tmp_path):
    pictures, made = own(tmp_path, [0, 2, 3])
    for step in range(2 * corrections.EVERY + 1):
        pictures.look(step)
    assert made == [0, 1, 2]
    again, made = own(tmp_path, [0, 2, 3])
    again.look(2 * corrections.EVERY)
    assert made == []  # a training that goes on learns from what was made before
    for each in (pictures, again):
        [drawn], words = each.sample(random.Random(0), 50, ("drawn",))
        assert drawn.shape == (50, 4, 16, 16) and {*words} == {"1", "2"}
        assert [float(word) for word in words] == drawn[:, 0, 0, 0].tolist()


def test_shards_of_long_ago_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(corrections, "KEPT", 2)
    pictures, _ = own(tmp_path, [1] * 4)
    for step in range(0, 4 * corrections.EVERY, corrections.EVERY):
        pictures.look(step)
    assert {*pictures.sample(random.Random(0), 50, ("drawn",))[1]} == {"2", "3"}


def test_nothing_is_learned_from_where_nothing_is_known(tmp_path):
    pictures, _ = own(tmp_path, [0])
    pictures.look(0)
    assert pictures.sample(random.Random(0), 16, ("drawn",)) == ([], [])


def test_own_pictures_come_at_all_times_at_which_they_are_seen():
    times = corrections.times(16)
    assert times.shape == (16,) and not times.is_floating_point()
    assert corrections.FIRST <= times.min() < 200 and 850 < times.max() < corrections.LAST


def test_the_error_is_that_of_the_latents_without_noise():
    clean, meant, noise = torch.randn(3, 2, 4, 16, 16)
    alpha = torch.tensor([0.9, 0.2]).view(2, 1, 1, 1)
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    v = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    weight = torch.zeros(2, 1, 16, 16)
    weight[:, :, :4] = 3
    expected = (clean - meant)[:, :, :4].square().mean()
    torch.testing.assert_close(corrections.error(v, noisy, alpha, meant, weight), expected)
