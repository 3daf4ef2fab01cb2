"""Answers grow in their messages, over a network that fails; the long form is ``python -m
proofs.wire.ask_delivery``."""

from pathlib import Path

from proofs.wire import ask_delivery


async def test_answers_grow_at_their_pace_and_end_once(tmp_path: Path) -> None:
    report = await ask_delivery.run(tmp_path, 60)
    assert (report.finals, report.lost, report.doubled, report.other) == (60, 0, 0, 0)
    assert report.streamed > 10 and report.shortest_gap >= 1 and report.rate <= 10
