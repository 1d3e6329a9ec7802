"""The loop over the frames of a video, and the JSON file."""

import json
from pathlib import Path

import pytest
import torch

from fgfa.export import ExportPlan, detect, write_description
from fgfa.modeling import FrameEncoding, FrameWindow


def make_plan(radius: int, causal: bool, step: int) -> ExportPlan:
    window = radius + 1 if causal else 2 * radius + 1
    return ExportPlan((8, 8), (8, 8), None, window=window, key=radius, frame_step=step)


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("radius", [0, 2])
def test_windows_are_those_of_the_model(radius: int, causal: bool, step: int, count: int) -> None:
    plan = make_plan(radius, causal, step)
    images = [torch.tensor(float(number)) for number in range(count)]
    results = list(detect(lambda x: (x, 2 * x), lambda x, y: (x, y), plan, images))
    frames = FrameWindow(radius, causal, step)
    for _ in images:
        frames.add(FrameEncoding(*[torch.zeros(1, 1, 1)] * 4, image_size=(8, 8)))
    assert len(results) == count
    for key, (kept, window) in enumerate(results):
        assert kept == (key, 2 * key)
        assert window[0].tolist() == frames.around(key)
        assert window[1].tolist() == [2 * number for number in frames.around(key)]


def test_every_frame_goes_through_its_program_once() -> None:
    seen = []
    plan = make_plan(2, causal=False, step=2)
    images = [torch.tensor(float(number)) for number in range(7)]
    list(detect(lambda x: seen.append(x.item()) or (x,), lambda x: (x,), plan, images))
    assert seen == list(range(7))


def test_description_is_json_with_a_line_for_each_fact(tmp_path: Path) -> None:
    path = tmp_path / "new" / "export.json"
    facts = make_plan(2, causal=False, step=2).describe() | {"class_names": ["a cat", "dög"]}
    write_description(path, facts)
    text = path.read_text()
    assert json.loads(text) == {key: list(v) if type(v) is tuple else v for key, v in facts.items()}
    assert len(text.splitlines()) == len(facts) + 2
    assert (facts["reach"], facts["lookahead"]) == (9, 4)
