"""The page in a bundle that says what a model learned from, what it promises and what it must not be used
for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def model_card(card: Mapping[str, Any], learned: Mapping[str, Any], figures: Sequence[str]) -> str:
    """Return MODEL_CARD.md. card: of the bundle. learned: of the model."""
    lines = [f"# {card['project']}", ""]
    if card["task"] == "anomaly":
        stopped, of = card["promise"]
        lines += [
            f"An inspection that learned from {len(learned['good_scores'])} good pictures and"
            f" {len(learned['bad_scores'])} with defects.",
            "",
            f"- On average at most {stopped} of {of} good parts is stopped, while camera and light stay the"
            " same as when the good pictures were taken. With other parts or another camera nothing is"
            " promised.",
            f"- It judges by {card['method']} on {card['extractor']}; parts lie: {card['alike']}.",
        ]
        if card["weak"]:
            lines.append(
                "- **Weak:** defects drawn onto its good pictures were often not told from good ones. Fine"
                " defects will be missed."
            )
        if learned["unsure"]:
            lines.append(f"- Drawn defects that it mostly missed: {', '.join(learned['unsure'])}.")
        if card["labels"]:
            lines.append(
                f"- It names: {', '.join(card['labels'])}. A kind it wasn't taught gets a wrong name."
            )
    elif card["task"] == "detect":
        lines += [
            f"A detector of {', '.join(card['labels'])}, from {learned['pictures']} pictures with"
            f" {sum(learned['boxes'].values())} boxes.",
            "",
            f"- A box is told from a score of {card['limit']:g} on. Scores put boxes in order; they are no"
            " probabilities.",
            f"- Pictures are squeezed into {card['side']} px: things much smaller or larger than those that"
            " it learned from are missed.",
        ]
    else:
        lines += [
            f"A classifier of {', '.join(card['labels'])}, from {learned['examples']} pictures.",
            "",
            f"- Of pictures left out in turn {100 * learned['accuracy']:.0f} % were named rightly; told"
            f" probabilities were {100 * learned['calibration_error']:.0f} % off on average.",
            f'- A picture unlike all it learned from is "{card["none"]}".',
        ]
    lines += [f"- {sentence}" for sentence in figures]
    lines += [
        "",
        "It must not decide alone about people, or about anything whose failure can hurt somebody.",
        "",
        f"Licence of the backbone: {card['licence'] or 'not stated'}. Snapshot of the pictures:"
        f" {card['snapshot']}. `golden/` has pictures and what the model says of them, `SHA256SUMS` the hash"
        " of every file.",
        "",
    ]
    return "\n".join(lines)
