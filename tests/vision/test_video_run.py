"""What the worker hands to a capability that makes videos: paths instead of open pictures, and a folder."""

from pathlib import Path
from typing import Any

import pytest

from core.events import Output
from core.requests import to_json
from core.requests.video import VideoRequest
from tests.jobs import video_worker
from vision import capabilities
from vision.protocol import Broke, Done, Run
from vision.reporter import Reporter
from vision.worker import main

video_worker.register()
CLIP = "ab" * 32


def _run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, work: Any) -> Done | Broke:
    monkeypatch.setattr(capabilities, "capability", lambda kind: work)
    request = VideoRequest(prompt="", operation="extend", clip=CLIP, seed=3)
    run = Run("a", "video", to_json(request), {CLIP: str(tmp_path / "video.mp4")}, None, str(tmp_path))
    return main.answer_run(run, None, Reporter())


def test_it_is_given_paths_that_nobody_has_opened_and_its_folder(monkeypatch, tmp_path) -> None:
    def work(request: Any, paths: Any, models: Any, reporter: Any, folder: Path) -> Output:
        assert request.clip == CLIP and paths == {CLIP: str(tmp_path / "video.mp4")}
        return video_worker.made(request, str(folder))

    answer = _run(monkeypatch, tmp_path, work)
    assert isinstance(answer, Done)
    (video,) = answer.output.videos
    assert Path(video.path).parent == tmp_path
    assert Path(video.path).read_bytes() == video_worker.video_bytes(3)
