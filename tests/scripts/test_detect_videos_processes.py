"""Detection in many videos by real processes, which are killed, with a small random model."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from fgfa.data.video_writing import VideoWriter

ROOT = Path(__file__).parents[2]
# So many that two processes, which can end two videos at once, have three finished and are at work.
NAMES = ["images1", "images3", "video0.mp4", "video2.mp4", "video4.mp4"]
NUM_VIDEOS = len(NAMES)
LIMIT = 120  # seconds
Contents = dict[str, bytes]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of 20 to 32 frames, two of them as images."""
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    for number in range(NUM_VIDEOS):
        coarse = rng.integers(0, 256, (20 + 3 * number, 4, 6, 3), dtype=np.uint8)
        frames = [cv2.resize(image, (96, 64)) for image in coarse]
        if number % 2:
            (folder / f"images{number}").mkdir()
            for index, frame in enumerate(frames):
                cv2.imwrite(str(folder / f"images{number}" / f"{index:03d}.png"), frame)
        else:
            with VideoWriter(folder / f"video{number}.mp4", 25) as writer:
                for frame in frames:
                    writer.write(frame)
    return folder


@pytest.fixture
def command(tiny_cfg: CfgNode, videos: Path, tmp_path: Path) -> list[str]:
    """The program's command line, without --output."""
    torch.manual_seed(0)
    torch.save({"model": build_model(tiny_cfg).state_dict()}, tmp_path / "model.pth")
    tiny_cfg.MODEL.WEIGHTS = str(tmp_path / "model.pth")
    tiny_cfg.merge_from_list(["INPUT.MIN_SIZE_TEST", 64, "INPUT.MAX_SIZE_TEST", 96])
    # A random model is sure of nothing; what it finds first suffices.
    tiny_cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.1
    (tmp_path / "config.yaml").write_text(tiny_cfg.dump())
    program = str(ROOT / "scripts" / "detect_videos.py")
    return [sys.executable, program, str(videos), "--config-file", str(tmp_path / "config.yaml")]


@pytest.fixture
def start(command: list[str]) -> Iterator[Callable[..., subprocess.Popen]]:
    """A function that starts the program as the leader of a process group."""
    started = []

    def start(output: Path, *options: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [*command, "--output", str(output), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def finish(process: subprocess.Popen, status: int = 0) -> str:
    """Waits for the end of the program; gives what it has written."""
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == status, output
    return output


def wait_until(condition: Callable[[], object], process: subprocess.Popen) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.01)


def finished(output: Path) -> set[tuple[str, int]]:
    """The .json of each finished video, with its inode, which tells if it was written again."""
    return {(path.name, path.stat().st_ino) for path in output.glob("[iv]*.json")}


def parts(output: Path) -> list[Path]:
    """Temporary files of videos that something was written to."""
    return [path for path in output.glob(".[iv]*.part.json") if size_of(path)]


def size_of(path: Path) -> int:
    """Bytes in a file that the program may rename at any moment; 0 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def contents(output: Path) -> Contents:
    return {path.name: path.read_bytes() for path in output.iterdir() if path.name != ".lock"}


def workers_of(process: subprocess.Popen) -> list[int]:
    """Process ids of the workers."""
    command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)]
    listing = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return [int(line.split()[0]) for line in listing if "spawn_main" in line]


@pytest.fixture(scope="module")
def known() -> Contents:
    """Where the first test that needs them leaves the results of an undisturbed run."""
    return {}


@pytest.fixture
def expected(start: Callable[..., subprocess.Popen], known: Contents, tmp_path: Path) -> Contents:
    """The results of one process that nobody disturbs."""
    if not known:
        finish(start(tmp_path / "undisturbed"))
        known.update(contents(tmp_path / "undisturbed"))
    files = [f"{name}{suffix}" for name in NAMES for suffix in (".json", ".txt")]
    assert sorted(known) == sorted([*files, "settings.json"])
    assert all(len(known[f"{name}.txt"].splitlines()) > 20 for name in NAMES)
    return known


@pytest.mark.parametrize("options", [[], ["--num-gpus", "2"]])
def test_killed_and_started_again_it_gives_the_same(
    options: list[str], start: Callable[..., subprocess.Popen], expected: Contents, tmp_path: Path
):
    output = tmp_path / "killed"
    for kills, want_finished in enumerate([0, 1, 3]):
        former = finished(output)
        process = start(output, *options)
        # The moment comes later each time: within the first, the second, and the last video.
        wait_until(
            lambda want=want_finished: len(finished(output)) >= want and parts(output), process
        )
        time.sleep(0.1 * kills)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert former <= finished(output), "a finished video was redone"
    former = finished(output)
    assert len(former) >= 3
    assert f"{len(former)} of {NUM_VIDEOS} videos are finished" in finish(start(output, *options))
    assert former <= finished(output)
    assert contents(output) == expected


def test_two_processes_give_the_results_of_one_beside_a_broken_video(
    start: Callable[..., subprocess.Popen], expected: Contents, videos: Path, tmp_path: Path
):
    (videos / "broken.mp4").write_bytes(b"no video")
    text = finish(start(tmp_path / "two", "--num-gpus", "2"), status=1)
    (videos / "broken.mp4").unlink()
    results = contents(tmp_path / "two")
    (line,) = results.pop("failed.txt").decode().splitlines()
    assert results == expected
    assert line.startswith("broken.mp4: ")
    assert text.count(line.removeprefix("broken.mp4: ")) == 2  # as it happens, and at the end
    assert f"{NUM_VIDEOS} videos of 130 frames" in text
    assert "Traceback" not in text


def test_two_machines_give_the_results_of_one(
    start: Callable[..., subprocess.Popen], expected: Contents, tmp_path: Path
):
    options = ["--num-machines", "2", "--dist-url", f"tcp://127.0.0.1:{free_port()}"]
    machines = [start(tmp_path / "two", *options, "--machine-rank", str(rank)) for rank in range(2)]
    for machine in machines:
        finish(machine)
    assert contents(tmp_path / "two") == expected
    # Nothing is left to do, which the other machine has to learn.
    for rank in range(2):
        machines[rank] = start(tmp_path / "two", *options, "--machine-rank", str(rank))
    assert f"{NUM_VIDEOS} of {NUM_VIDEOS} videos are finished" in finish(machines[0])
    finish(machines[1])


def test_loss_of_the_first_machine_is_one_sentence(
    start: Callable[..., subprocess.Popen], tmp_path: Path
):
    options = ["--num-machines", "2", "--dist-url", f"tcp://127.0.0.1:{free_port()}"]
    first, second = (
        start(tmp_path / "out", *options, "--machine-rank", str(rank)) for rank in range(2)
    )
    # One is at work, so that both have met; the other may not have come so far.
    wait_until(lambda: parts(tmp_path / "out"), first)
    os.killpg(first.pid, signal.SIGKILL)
    assert "error: the main process of the run is gone" in finish(second, status=1)


def test_a_killed_process_is_one_sentence(start: Callable[..., subprocess.Popen], tmp_path: Path):
    process = start(tmp_path / "out", "--num-gpus", "2")
    # One is at work, so that both have started; the other may not have come so far.
    wait_until(lambda: parts(tmp_path / "out"), process)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    text = finish(process, status=1)
    assert "error: a process was ended from outside (SIGKILL)" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGINT, []), (signal.SIGTERM, ["--num-gpus", "2"])]
)
def test_it_stops_cleanly(
    number: int,
    options: list[str],
    start: Callable[..., subprocess.Popen],
    tmp_path: Path,
):
    process = start(tmp_path / "out", *options)
    wait_until(lambda: parts(tmp_path / "out"), process)
    workers = workers_of(process)
    assert len(workers) == len(options)
    process.send_signal(number)
    text = finish(process, status=130)
    assert "Stopped; finished videos are kept" in text
    assert "Traceback" not in text
    assert not list((tmp_path / "out").glob(".*.part*"))
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
