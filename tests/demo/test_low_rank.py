"""LoRAs that begin at what training changed of all weights, and the shards that they learn from."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffusers import StableDiffusionPipeline  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from demo.train import (  # noqa: E402
    lora,
    unet,
)
from vision.image_model.attached import merged_lora  # noqa: E402

pytestmark = pytest.mark.training


def test_a_lora_begins_at_the_largest_changes():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 10), torch.nn.Conv2d(4, 6, 3), torch.nn.Linear(8, 8))
    large, small = torch.randn(10, 2) @ torch.randn(2, 20), 1e-3 * torch.randn(6, 36)
    found = lora.LowRank(model, {"0": large, "1": small}, 2 * 30 + 42)
    assert found.ranks == {"0": 2, "1": 1}
    assert sum(p.numel() for p in found.parameters()) == 2 * 30 + 42
    torch.testing.assert_close(found.up[0] @ found.down[0], large)
    assert lora.ranks({"0": large, "1": small}, 59) == {"0": 1}


def test_what_is_shipped_changes_a_unet_as_training_did(tmp_path):
    torch.manual_seed(0)
    network = unet.build()
    layers = {
        n: m.weight.detach()
        for n, m in network.named_modules()
        if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)
    }
    changes = {
        name: 0.3 * weight.std() * torch.randn_like(weight).flatten(1) for name, weight in layers.items()
    }
    model = lora.LowRank(network, changes, 400_000)
    given = torch.randn(2, 4, 16, 16), torch.tensor([500, 100]), torch.randn(2, 5, unet.WIDTH)
    with torch.no_grad():
        before, wanted = network(*given).sample, model(*given).sample
    lora.write(model, tmp_path, "form.safetensors", {"merged_lora": "form.safetensors"})
    file = tmp_path / merged_lora.FOLDER / "form.safetensors"
    assert file.stat().st_size < 450_000 and "form" in (tmp_path / "atelier.json").read_text()
    tensors = load_file(file)
    pipe = StableDiffusionPipeline(
        None, None, None, network, unet.scheduler(), None, None, requires_safety_checker=False
    )
    merged_lora.merge(pipe, tmp_path, file.name)
    with torch.no_grad():
        after = network(*given).sample
    assert len(tensors) == 2 * len(model.ranks)
    assert (after - wanted).std() < 0.1 * (wanted - before).std()


def test_a_lora_tells_what_it_adds_and_begins_at_what_training_changed():
    torch.manual_seed(0)
    before, after = (torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Conv2d(2, 3, 3)) for _ in range(2))
    changes = lora.changes(before, after)
    torch.testing.assert_close(changes["1"].view(3, 2, 3, 3), after[1].weight - before[1].weight)
    found = lora.LowRank(before, changes, 10_000).changes()
    assert set(found) == {"0", "1"}
    for layer, change in changes.items():
        torch.testing.assert_close(found[layer], change, atol=1e-5, rtol=1e-4)


def test_changes_that_are_added_make_the_model_that_was_trained():
    torch.manual_seed(0)
    before, after = (torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3, bias=False)) for _ in range(2))
    lora.add(lora.changes(before, after), before)
    torch.testing.assert_close(before[0].weight, after[0].weight)
    assert before[0].weight.requires_grad


def a_shard(count, value):
    cells = np.full((count, 4, 16, 16), value, np.float16)
    return {"drawn": cells, "words": np.array([f"{value}"] * count)}


def test_shards_are_made_once_and_shared_among_processes(tmp_path, monkeypatch):
    made = []

    def shard(index):
        made.append(index)
        return a_shard(2, index)

    monkeypatch.setattr(lora, "workers", lambda: (1, 2))
    for _ in range(2):
        lora.shards_make(tmp_path / "own", 10, 5, shard)
    assert made == [11, 13]
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["0011.npz", "0013.npz"]


def test_as_much_is_taken_of_each_round_and_what_is_new_on_disk(tmp_path):
    for index, value in ((0, 0.0), (1, 0.0), (2, 0.0), (7, 1.0)):
        np.savez(tmp_path / f"{index:04d}.npz", **a_shard(5, value))
    pool = lora.Shards(tmp_path, (0, 7, 9))
    [drawn], words = pool.sample(random.Random(0), 200, ("drawn",))
    assert drawn.shape == (200, 4, 16, 16) and drawn.dtype == torch.float32
    assert 0.4 < drawn.mean() < 0.6
    assert [float(word) for word in words] == drawn[:, 0, 0, 0].tolist()
    np.savez(tmp_path / "0009.npz", **a_shard(5, 4.0))
    pool.refresh()
    assert 0.2 < (pool.sample(random.Random(0), 200, ("drawn",))[0][0] == 4).float().mean() < 0.5


def test_shards_that_are_not_made_yet_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="aren't made yet"):
        lora.Shards(tmp_path, (0,)).sample(random.Random(0), 1, ("drawn",))


def test_own_pictures_come_at_all_times_at_which_they_are_seen():
    times = lora.times(16)
    assert times.shape == (16,) and not times.is_floating_point()
    assert lora.FIRST <= times.min() < 200 and 850 < times.max() < lora.LAST


def test_the_error_is_that_of_the_latents_without_noise():
    clean, meant, noise = torch.randn(3, 2, 4, 16, 16)
    alpha = torch.tensor([0.9, 0.2]).view(2, 1, 1, 1)
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    v = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    weight = torch.zeros(2, 1, 16, 16)
    weight[:, :, :4] = 3
    expected = (clean - meant)[:, :, :4].square().mean()
    torch.testing.assert_close(lora.error(v, noisy, alpha, meant, weight), expected)
