"""`python -m demo.evaluate`: how well the pack does what it is asked, on compositions that no training has
seen; `python -m demo.evaluate ask`: the same of its chat model.

Pictures are judged by `demo.judge`, a network that took no part in making the pack; its own accuracy comes
first. Each row is written to demo/evaluate/pack.json as soon as it is known, with its sample count and its
95 % interval; at the end the table goes into docs/evidence/demo-models.md.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging

from demo.evaluate import AskReport, Report, images, readers
from demo.evaluate import chat as ask_rows
from demo.evaluate import choose as edit_rows
from demo.evaluate import edits as other_edits
from demo.evaluate import video as video_rows
from demo.evaluate.chat import Chat
from demo.evaluate.images import Pack
from demo.evaluate.readers import captions_of
from demo.train.loop import MODELS

ROWS = {
    "judge": images.judge_rows,
    "form": images.form_rows,
    "edges": images.edge_rows,
    "imagine": images.imagine_rows,
    "unseen": images.unseen_rows,
    "pair": images.pair_rows,
    "count": images.count_rows,
    "clip": readers.clip_rows,
    "describe": readers.describe_rows,
    "vit": readers.vit_rows,
    "search": readers.search_rows,
    "search_made": readers.made_rows,
    "select": readers.single_rows,
    "why": readers.why_rows,
    "select_pair": readers.pair_rows,
    "select_coded": readers.coded_rows,
    "photo": readers.photo_rows,
    "cutout": readers.cutout_rows,
    "enlarge": readers.enlarge_rows,
    "variety": images.variety_rows,
    "think": images.think_rows,
    "variation": images.variation_rows,
    "outpaint": images.outpaint_rows,
    "draft": images.draft_rows,
    "edit": edit_rows.edit_rows,
    "edit_others": other_edits.other_rows,
    "edit_photographs": other_edits.photo_rows,
    "edit_several": other_edits.several_rows,
    "edit_dialogues": other_edits.chain_rows,
    "video_judge": video_rows.judge_rows,
    "videos": video_rows.words_rows,
    "video_pictures": video_rows.picture_rows,
    "video_seams": video_rows.seam_rows,
    "video_extend": video_rows.extend_rows,
    "time": images.time_rows,
    "memory": images.memory_rows,
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
        help="a folder in which what is said of videos is kept, so that a row that was ended goes on",
    )
    parser.add_argument("--skip", type=int, default=0, help="videos of a row that are left out, of its n")
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
