"""The network that draws a decoded picture at 512 px: its sizes, and where it begins."""

import pytest

torch = pytest.importorskip("torch")

from vision.images.upscaler import Upscaler  # noqa: E402


@torch.no_grad()
def _trained_a_little(network):
    for last in (network.place, network.rest):
        last.weight.normal_(0, 0.1)
    return network


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return _trained_a_little(Upscaler(widths=(8, 8, 8))).eval()


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (104, 160)])
def test_a_picture_becomes_four_times_as_wide(network, size):
    assert network(torch.rand(1, 3, *size)).shape == (1, 3, 4 * size[0], 4 * size[1])


@torch.no_grad()
def test_without_what_it_learned_it_enlarges_smoothly():
    picture = torch.rand(1, 3, 32, 32)
    plain = torch.nn.functional.interpolate(picture, scale_factor=4, mode="bicubic")
    assert torch.allclose(Upscaler(widths=(8, 8, 8))(picture), plain, atol=1e-5)


@torch.no_grad()
def test_colours_are_taken_from_so_many_px_away():
    network = Upscaler(scale=2, widths=(4, 4, 4), reach=1.0)
    network.place.bias[:4] = 2.0  # of the four pixels that a pixel becomes: two px to the right
    picture = torch.rand(1, 3, 16, 24)
    plain = torch.nn.functional.interpolate(picture, scale_factor=2, mode="bicubic")
    assert torch.allclose(network(picture)[..., :-2], plain[..., 2:], atol=1e-4)


def test_it_is_read_back_as_it_was_written(network, tmp_path):
    network.save_pretrained(tmp_path)
    again = Upscaler.from_pretrained(tmp_path).eval()
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(picture), again(picture), atol=1e-5, rtol=0)
