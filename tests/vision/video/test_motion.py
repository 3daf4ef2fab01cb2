"""What prompts say about motion."""

import pytest

from vision.video.cutout import motion
from vision.video.cutout.motion import ACROSS, GROWTH, SPIN, TURN, Motion, read_motion

SAID = {
    "a red boat sails to the left on the sea": ("a red boat on the sea", Motion(across=-ACROSS)),
    "a green tree moving left, on white": ("a green tree, on white", Motion(across=-ACROSS)),
    "a boat from left to right": ("a boat", Motion(across=ACROSS)),
    "a red star rises at night": ("a red star at night", Motion(down=-ACROSS)),
    "the moon sinks": ("the moon", Motion(down=ACROSS)),
    "a house in the snow, it grows": ("a house in the snow", Motion(growth=GROWTH)),
    "a house shrinks on a blue background": ("a house on a blue background", Motion(growth=-GROWTH)),
    "a flower turning clockwise, watercolor": ("a flower, watercolor", Motion(turn=TURN)),
    "a wheel spins counterclockwise": ("a wheel", Motion(turn=-SPIN)),
    "a star rotates": ("a star", Motion(turn=SPIN)),
    "a boat at sea, day to night": ("a boat at sea", Motion(dusk=1.0)),
    "night falls over a house": ("over a house", Motion(dusk=1.0)),
    "a red house, the camera zooms in": ("a red house", Motion(growth=GROWTH)),
    "a boat slowly sails to the left": ("a boat", Motion(across=-ACROSS).times(motion.SLOWLY)),
    "a fish, standing still": ("a fish", Motion()),
    "a red ball moves up and grows": ("a red ball", Motion(down=-ACROSS, growth=GROWTH)),
}


@pytest.mark.parametrize("prompt", SAID)
def test_words_about_motion_are_read_and_taken_out(prompt: str) -> None:
    reading = read_motion(prompt)
    assert (reading.words, reading.motion) == SAID[prompt]


@pytest.mark.parametrize(
    "prompt",
    [
        "a red cat on the left",
        "a cat to the left of a dog",
        "a living room, still life",
        "a sailing boat",
        "an upright piano",
        "a starfish on the right side",
    ],
)
def test_words_about_places_are_none_about_motion(prompt: str) -> None:
    assert read_motion(prompt) == motion.Reading(prompt, None)


def test_how_fast_is_said_by_words_and_by_the_flag() -> None:
    usual = motion.choose_motion(read_motion("a ball rolls to the right"), None)
    slow = motion.choose_motion(read_motion("a ball rolls to the right slowly"), None)
    low = motion.choose_motion(read_motion("a ball rolls to the right"), "low")
    high = motion.choose_motion(read_motion("a ball rolls to the right"), "high")
    assert 0 < low.across < slow.across < usual.across < high.across


def test_without_words_about_motion_the_object_decides() -> None:
    assert motion.choose_motion(read_motion("two yellow boats at sea"), None).across < 0
    assert motion.choose_motion(read_motion("a purple moon at night"), None).down < 0
    assert motion.choose_motion(read_motion("a red star"), None).turn > 0
    assert motion.choose_motion(read_motion("a portrait"), None).growth > 0
    assert motion.choose_motion(read_motion("a boat stands still"), None).is_still


def test_a_motion_and_the_same_one_backwards_cancel_each_other() -> None:
    there = Motion(0.1, -0.2, 0.3, 40.0, 1.0)
    assert there.backwards().backwards() == there
    assert there.backwards().across == -0.1
