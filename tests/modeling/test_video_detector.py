"""The way of a video through a detector, with encodings of random numbers in place of a network."""

from collections.abc import Sequence

import pytest
import torch

from fgfa.freed_memory import FreedMemory
from fgfa.layers import aggregate_reference
from fgfa.modeling import FrameEncoding, FrameWindow, VideoDetector, video_detector
from fgfa.modeling.window_flow import FLOW_MODES, FlowFunctions, window_flow

LENGTH, RADIUS = 11, 2
HEIGHT, WIDTH = 3, 4


def encode(images: Sequence[torch.Tensor]) -> list[FrameEncoding]:
    """Makes the same numbers of the same image, a scalar, whatever is beside it."""
    encodings = []
    for image in images:
        generator = torch.Generator().manual_seed(int(image))
        maps = [torch.randn(c, HEIGHT, WIDTH, generator=generator) for c in (5, 6, 2, 2)]
        encodings.append(FrameEncoding(*maps, image_size=(48, 64)))
    return encodings


def make_detector(mode: str, batch: int) -> VideoDetector:
    """A detector that gives aggregated features as its detections."""
    return VideoDetector(
        FrameWindow(RADIUS),
        window_flow(mode),
        batch,
        encode=encode,
        flow_net=FlowFunctions(lambda image: 3 * image, lambda keys, others: (keys - others) / 4),
        find_objects=lambda features, _size: list(features),
    )


def run(detector: VideoDetector, batch: int) -> list[torch.Tensor]:
    results, added = [], 0
    for start in range(0, LENGTH, batch):
        end = min(start + batch, LENGTH)
        while added < min(end + RADIUS, LENGTH):
            detector.add(torch.tensor(added))
            added += 1
        results += detector.detect(range(start, end))
    return results


@pytest.mark.parametrize("batch", [2, 3, LENGTH])
@pytest.mark.parametrize("mode", FLOW_MODES)
def test_frames_that_are_detected_in_together_change_nothing(mode: str, batch: int):
    alone, together = (run(make_detector(mode, b), b) for b in (1, batch))
    torch.testing.assert_close(torch.stack(together), torch.stack(alone), atol=1e-6, rtol=1e-5)


def test_features_are_those_of_whole_windows():
    frames = encode(torch.arange(LENGTH))
    for key, result in enumerate(run(make_detector("zero_key", 3), 3)):
        numbers = [min(max(key + i, 0), LENGTH - 1) for i in range(-RADIUS, RADIUS + 1)]
        window = [frames[number] for number in numbers]
        flow_key = 3 * frames[key].flow_image
        flow = torch.stack([(flow_key - frame.flow_neighbor) / 4 for frame in window])
        flow[[number == key for number in numbers]] = 0
        expected = aggregate_reference(
            torch.stack([frame.feature for frame in window]),
            torch.stack([frame.embedding for frame in window]),
            flow,
            frames[key].embedding[None],
        )
        torch.testing.assert_close(result[None], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("batch", [1, 3])
def test_freed_memory_goes_back_before_frames_are_encoded(
    batch: int, monkeypatch: pytest.MonkeyPatch
):
    events = []
    monkeypatch.setattr(FreedMemory, "give_back", lambda self: events.append("give back"))
    detector = make_detector("pairwise", batch)
    detector._encode = lambda images: events.append(len(images)) or encode(images)
    run(detector, batch)
    assert sum(events[1::2]) == LENGTH
    assert events[::2] == ["give back"] * len(events[1::2])


@pytest.mark.parametrize("batch", [1, 3])
def test_windows_are_aggregated_where_they_lie(batch: int, monkeypatch: pytest.MonkeyPatch):
    addresses = set()
    aggregate = video_detector.aggregate

    def recorded(features: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        assert len(features) == 2 * RADIUS + 1
        addresses.add(features.data_ptr())
        return aggregate(features, *others)

    monkeypatch.setattr(video_detector, "aggregate", recorded)
    run(make_detector("pairwise", batch), batch)
    assert len(addresses) == 1
