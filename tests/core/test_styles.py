"""What numbers after --sref stand for, which never changes."""

import hashlib

from core import styles


def test_the_lists_of_styles_1_are_frozen() -> None:
    assert styles.VERSION == "styles/1"
    digest = hashlib.sha256(repr(styles.STYLES).encode()).hexdigest()
    assert digest == "786bbdc3f9d935fe9db8608f822c523bd3b9659e93b35d59b8e6b93e29ff9003", (
        "new words are lists of another version"
    )
    assert styles.style_of_code(1234) == "film photograph, bright colours, soft light"


def test_every_style_has_a_number_and_comes_once() -> None:
    found = styles.codes()
    assert len(found) == len(set(found.values())) == 1280
    assert all(styles.triple_of_code(code) == triple for triple, code in found.items())


def test_every_medium_with_every_palette_comes_early() -> None:
    order = list(styles.in_order())
    assert {medium for medium, _, _ in order[:16]} == set(styles.MEDIA)
    assert len({palette for _, palette, _ in order[:16]}) == len(styles.PALETTES)
    assert len({(medium, palette) for medium, palette, _ in order[:160]}) == 160
