"""`python -m demo.evaluate`: how well the pack does what it is asked, on compositions that no training has
seen; `python -m demo.evaluate ask`: the same of its chat model.

Pictures are judged by `demo.judge`, a network that took no part in making the pack; its own accuracy comes
first. Each row is written to docs/demo-evaluation.json as soon as it is known, with its sample count and its
95 % interval; at the end the table goes into the model card, docs/demo-models.md.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging

from demo.evaluation import (
    cost_rows,
    drawing_rows,
    form_rows,
    photo_rows,
    reading_rows,
    search_rows,
    select_rows,
)
from demo.evaluation.ask import rows as ask_rows
from demo.evaluation.ask.chat import Chat
from demo.evaluation.edits import rows as edit_rows
from demo.evaluation.films import rows as film_rows
from demo.evaluation.pack import Pack
from demo.evaluation.reading_rows import captions_of
from demo.evaluation.report import AskReport, Report
from demo.training.loop import MODELS

ROWS = {
    "judge": drawing_rows.judge_rows,
    "form": form_rows.form_rows,
    "edges": form_rows.edge_rows,
    "imagine": drawing_rows.imagine_rows,
    "unseen": drawing_rows.unseen_rows,
    "pair": drawing_rows.pair_rows,
    "count": drawing_rows.count_rows,
    "clip": reading_rows.clip_rows,
    "describe": reading_rows.describe_rows,
    "vit": reading_rows.vit_rows,
    "search": search_rows.search_rows,
    "search_made": search_rows.made_rows,
    "select": select_rows.single_rows,
    "why": reading_rows.why_rows,
    "select_pair": select_rows.pair_rows,
    "select_coded": select_rows.coded_rows,
    "photo": photo_rows.photo_rows,
    "cutout": photo_rows.cutout_rows,
    "enlarge": photo_rows.enlarge_rows,
    "variation": drawing_rows.variation_rows,
    "outpaint": drawing_rows.outpaint_rows,
    "draft": drawing_rows.draft_rows,
    "edit": edit_rows.edit_rows,
    "film_judge": film_rows.judge_rows,
    "films": film_rows.words_rows,
    "film_pictures": film_rows.picture_rows,
    "film_seams": film_rows.seam_rows,
    "film_extend": film_rows.extend_rows,
    "time": cost_rows.time_rows,
    "memory": cost_rows.memory_rows,
}


def main():
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("pack", "ask"), default="pack")
    parser.add_argument("--n", type=int, default=500, help="samples a row")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument(
        "--bfloat16", action="store_true", help="draw in bfloat16: faster where the processor knows it"
    )
    parser.add_argument("--folder", type=Path, default=MODELS / "ask", help="where the chat model lies")
    parser.add_argument("--dry", action="store_true", help="of the chat model: print, write no report")
    parser.add_argument(
        "--verdicts",
        type=Path,
        help="a folder in which what is said of films is kept, so that a row that was ended goes on",
    )
    parser.add_argument("--skip", type=int, default=0, help="films of a row that are left out, of its n")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "ask":
        report = None if arguments.dry else AskReport()
        caption = partial(captions_of, Pack())
        ask_rows.tell(Chat(arguments.folder), arguments.n, report, caption)
        return
    diffusers_logging.set_verbosity_error()
    pack = Pack(arguments.bfloat16, arguments.verdicts, arguments.skip)
    report = Report()
    for name in arguments.rows:
        ROWS[name](pack, report, arguments.n)
    report.publish()
    print("\n" + "\n".join(report.line(name) for name in report.rows))


if __name__ == "__main__":
    main()
