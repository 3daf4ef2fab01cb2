"""The measure of the blind choice, stated before any picture was drawn for it: of two pictures of one prompt
the better one is that of which the judge is surer that all is there; where it is about as sure of both, the
one with the narrower edges.
"""

from dataclasses import dataclass

from PIL import Image

from demo.evaluation import sharpness
from demo.judge import Verdict
from demo.world import Scene

ABOUT = 0.05  # of the judge's confidence: less apart is "about as sure"


@dataclass(frozen=True)
class Look:
    """What the measure sees of a picture. sure: 0 to 1; width: of the edges, in px."""

    sure: float
    width: float


def look(verdict: Verdict, scene: Scene, enlarged: Image.Image) -> Look:
    """Look at a picture of `scene`: what the judge said of it, and the picture at the product's size."""
    return Look(_sure(verdict, scene), sharpness.edge_width(enlarged))


def _sure(verdict: Verdict, scene: Scene) -> float:
    """How sure the judge is of the thing it is least sure of; 0 where there is another number of things, a
    thing that wasn't asked for or another background."""
    asked = sorted((group.colour, group.object) for group in scene.groups for _ in range(group.count))
    if sorted((one.colour, one.object) for one in verdict.found) != asked:
        return 0.0
    if verdict.background != scene.background:
        return 0.0
    return min((one.score * one.named for one in verdict.found), default=1.0)


def prefers_second(first: Look, second: Look) -> bool | None:
    """Whether the second of two pictures is the better one; None: neither is, or it can't be told."""
    if abs(first.sure - second.sure) > ABOUT:
        return second.sure > first.sure
    if first.width == second.width or first.width != first.width or second.width != second.width:
        return None
    return second.width < first.width
