"""Requests for videos say what is missing, and two of different work never count as alike."""

import pytest

from core.errors import UserError
from core.requests.video import VideoRequest

SHA, OTHER, THIRD = "ab" * 32, "cd" * 32, "ef" * 32


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
        ({"prompt": "a boat", "num_images": 3}, "it takes 1, 2, 4"),
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
    sizes = {
        VideoRequest(prompt="a boat", **more).size()
        for more in (
            {},
            {"seconds": 4.0},
            {"fps": 16},
            {"resolution": 720},
            {"num_images": 4},
            {"draft": True},
        )
    }
    assert len(sizes) == 6
