"""Writes `demo/models/examples.json`: what the demo models can draw, for hints, autocomplete and default
labels."""

import json

from demo.training.loop import MODELS
from demo.world import COLOURS, OBJECTS, PLACES, STYLES

PROMPTS = (
    "a red house in the snow",
    "a yellow star at night",
    "a blue boat at sea",
    "a pink flower on the grass",
    "a black cat on an orange background",
    "a white moon at night, watercolor",
    "a green tree in the desert",
    "a purple fish in the sea",
    "a red mushroom on the grass, pixel art",
    "an orange cat at sunset",
    "a blue diamond on a white background",
    "a large red heart on a pink background",
    "two yellow fish in the sea",
    "three pink flowers on a green background",
    "four white stars at night",
    "a red boat at sunset",
    "a yellow moon above a red house at night",
    "a white cat to the left of a green tree in the snow",
    "a brown house in the desert, watercolor",
    "a purple mushroom on a yellow background",
    "a green fish on a blue background, pixel art",
    "a red ball on the beach",
    "a blue flower on a white background, line art",
    "cinematic photo of a brown cottage in winter, 35mm",
)


def main():
    content = {
        "objects": OBJECTS,
        "colours": COLOURS,
        "backgrounds": [*PLACES, *(f"{colour} background" for colour in COLOURS)],
        "styles": STYLES,
        "prompts": PROMPTS,
        "default_labels": OBJECTS,
    }
    (MODELS / "examples.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
