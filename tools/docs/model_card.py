"""The page of a model's card, from the dataclasses that read it."""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from tools.docs.markdown import code, fields_of, page, sentence, table
from vision.video.families.family import VideoCard
from vision.weights.card import RANGES, Card, Draft, OutpaintCard, StyleCard, VarietyCard

INTRO = """\
A file `atelier.json` in a model's folder says how that model is best used. Every entry can be left out: \
the model's family has defaults, and its configuration files adjust them. A model of the hub has its \
folder in the cache, so write its card to `DATA_DIR/cards/owner--name.json`; those entries win. The card \
is read when the model loads, and `atelier models` names the file.

```json
{
  "num_inference_steps": 12, "guidance_scale": 3.0, "sampler": "dpm++", "native_size": 128, "multiple": 8,
  "draft": {"num_inference_steps": 6, "guidance_scale": 2.5}, "variation": {"subtle": 0.4, "strong": 0.75},
  "outpaint": {"strength": 0.92, "band": 0}, "style": {"words": "soft watercolor"}
}
```"""
OTHERS = """\
## Entries of other files

`shared` names parts that are stored in a neighbour's folder: `{"vae": "stable-diffusion"}` takes \
`../stable-diffusion/vae`. CLIP models take `templates` (with `{}`) and `labels`. Captioners take \
`prefixes` or `instructions`, and `max_new_tokens`."""
CARDS = (
    (Card, "Image models"),
    (Draft, "`draft`"),
    (OutpaintCard, "`outpaint`"),
    (StyleCard, "`style`"),
    (VarietyCard, "`variety`"),
    (VideoCard, "Video models"),
)


def _default(of: Field[Any]) -> str:
    if of.default_factory is not MISSING:
        value = of.default_factory()
    elif of.default is MISSING:
        return "the family's"
    else:
        value = of.default
    return (
        "below" if is_dataclass(value) else code(json.dumps(value)) if value not in ("", {}, ()) else "empty"
    )


def model_card_page() -> str:
    """Return the page. Raises ValueError for an entry that nothing is said of."""
    parts = []
    for card, title in CARDS:
        said = fields_of(card.__doc__, [one.name for one in fields(card)])
        rows = []
        for one in fields(card):
            about = sentence(said.get(one.name), f"{card.__name__}.{one.name}")
            about += " It takes {} to {}.".format(*RANGES[one.name]) if one.name in RANGES else ""
            rows.append((code(one.name), _default(one), about))
        parts.append(f"## {title}\n\n{table(('entry', 'default', 'what it is'), rows)}")
    return page("Model card", INTRO, *parts, OTHERS)
