"""Videos as a chat server is sent them: pictures, each behind a text with its time."""

from pathlib import Path

from core.requests.chat import VIDEO
from jobs.executors.openai_api import PICTURES_KEPT, prompt_of
from tests.studio.conftest import png
from vision.protocol import Talk, Turn


def sent(tmp_path: Path, *turns: Turn) -> list[dict]:
    path = tmp_path / "picture.png"
    path.write_bytes(png())
    names = {sha256 for turn in turns for sha256 in turn.pictures}
    return prompt_of(Talk(turns, context=100_000), dict.fromkeys(names, str(path))).messages


def told(message: dict) -> list[str]:
    parts = message["content"]
    return [part.get("text", "▢") for part in parts] if isinstance(parts, list) else [parts]


def test_each_frame_comes_behind_its_time(tmp_path: Path) -> None:
    _, question = sent(tmp_path, Turn("user", "What moves?", ("a", "b", "b"), "j", (None, 0.5, 3.5), 4.0))
    assert told(question) == ["▢", "Frame at 0.5 s:", "▢", "Frame at 3.5 s:", "▢", f"What moves?\n{VIDEO}"]


def test_later_turns_keep_the_whole_video(tmp_path: Path) -> None:
    count = PICTURES_KEPT + 4
    names, times = tuple(f"f{i}" for i in range(count)), tuple(map(float, range(count)))
    video = Turn("user", "What moves?", names, "j", times, float(count))
    messages = sent(tmp_path, video, Turn("assistant", "A ball.", (), "j"), Turn("user", "Why?", (), "k"))
    assert told(messages[1]).count("▢") == count
    assert told(messages[2]) == ["A ball."] and told(messages[3]) == [f"Why?\n{VIDEO}"]


def test_without_a_video_nothing_is_said_of_seconds(tmp_path: Path) -> None:
    assert VIDEO not in str(sent(tmp_path, Turn("user", "What?", ("a",), "j")))
