"""The network that draws a decoded picture at 512 px: its sizes, and where it begins."""

import pytest

torch = pytest.importorskip("torch")

from vision.pictures.upscaler import Upscaler  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Upscaler(widths=(8, 8, 8, 8)).eval()


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (104, 160)])
def test_a_picture_becomes_four_times_as_wide(network, size):
    assert network(torch.rand(1, 3, *size)).shape == (1, 3, 4 * size[0], 4 * size[1])


@torch.no_grad()
def test_without_what_it_learned_it_enlarges_smoothly(network):
    network.paint.weight.zero_()
    network.paint.bias.zero_()
    picture = torch.rand(1, 3, 32, 32)
    plain = torch.nn.functional.interpolate(picture, scale_factor=4, mode="bilinear")
    assert torch.allclose(network(picture), plain, atol=1e-5)


def test_it_is_read_back_as_it_was_written(network, tmp_path):
    network.save_pretrained(tmp_path)
    again = Upscaler.from_pretrained(tmp_path).eval()
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(picture), again(picture))
