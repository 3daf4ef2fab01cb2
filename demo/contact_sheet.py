"""`python -m demo.contact_sheet`: the first 64 held-out prompts in seed order, drawn with the default
steps."""

from pathlib import Path

import torch
from PIL import Image, ImageDraw

from demo.evaluation.pack import Pack
from demo.evaluation.scenes import held_out, prompt

SHEET = Path("docs/demo-contact-sheet.png")
KINDS = {"large": 0.3, "single": 0.35, "several": 0.1, "pair": 0.25}
COLUMNS, COUNT = 8, 64
SIDE, TEXT, GAP = 192, 46, 8  # px


def lines(text: str, width: int = 31, most: int = 3) -> list[str]:
    """Words wrapped at `width` letters, cut after `most` lines."""
    rows = [""]
    for word in text.split():
        if len(rows[-1]) + len(word) + 1 > width:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows[:most]


def main():
    torch.set_num_threads(1)
    prompts = [prompt(scene, rng) for scene, rng in held_out(COUNT, KINDS, "contact sheet")]
    pictures = Pack().imagine(prompts)
    cell_width, cell_height = SIDE + GAP, SIDE + TEXT + GAP
    sheet = Image.new("RGB", (COLUMNS * cell_width + GAP, COUNT // COLUMNS * cell_height + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (text, picture) in enumerate(zip(prompts, pictures, strict=True)):
        x, y = GAP + index % COLUMNS * cell_width, GAP + index // COLUMNS * cell_height
        sheet.paste(picture.resize((SIDE, SIDE), Image.LANCZOS), (x, y))
        for row, line in enumerate(lines(text)):
            pen.text((x, y + SIDE + 3 + 13 * row), line, fill="black")
    SHEET.parent.mkdir(exist_ok=True)
    sheet.save(SHEET, optimize=True)


if __name__ == "__main__":
    main()
