import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fgfa.data.flow_pairs import SyntheticFlowPairs
from fgfa.errors import InputError
from fgfa.modeling.flow_net import FlowNetS

SCRIPT = Path(__file__).parents[2] / "scripts" / "pretrain_flow.py"
METHODS = ["zero", "DIS", "FlowNetS"]


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("pretrain_flow", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    rng = np.random.default_rng(0)
    for i in range(12):
        noise = rng.integers(0, 256, (80, 100, 3)).astype(np.float32)
        image = 128 + 6 * (cv2.GaussianBlur(noise, (0, 0), 2) - 128)
        cv2.imwrite(str(folder / f"{i:02d}.png"), np.clip(image, 0, 255))
    return str(folder / "*.png")


def arguments(stills, output, *more):
    small = "--width 0.05 --size 48 64 --batch-size 2 --eval-pairs 6 --workers 0 --iterations 4"
    return ["--images", stills, "--output", str(output), *small.split(), *more]


def test_output_is_a_flow_network_and_its_errors(script, stills, tmp_path, capsys):
    script.main(arguments(stills, tmp_path / "flow.pth"))
    checkpoint = torch.load(tmp_path / "flow.pth", weights_only=True)
    assert set(checkpoint) == {"model"}
    FlowNetS(width=0.05).load_state_dict(checkpoint["model"])
    errors = json.loads((tmp_path / "flow.json").read_text())
    assert list(errors) == METHODS
    columns = ["px", "cells", "cells, small", "cells, medium", "cells, large"]
    assert all(list(row) == columns for row in errors.values())
    printed = capsys.readouterr().out
    assert f"{errors['FlowNetS']['cells']:.3f}" in printed


def test_eval_only_measures_the_output_again(script, stills, tmp_path):
    script.main(arguments(stills, tmp_path / "flow.pth"))
    trained = (tmp_path / "flow.pth").read_bytes()
    errors = (tmp_path / "flow.json").read_text()
    (tmp_path / "flow.json").unlink()
    script.main(arguments(stills, tmp_path / "flow.pth", "--eval-only"))
    assert (tmp_path / "flow.json").read_text() == errors
    assert (tmp_path / "flow.pth").read_bytes() == trained


def test_resumed_training_ends_like_one_without_a_break(script, stills, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "CHECKPOINT_EVERY", 2)
    script.main(arguments(stills, tmp_path / "whole.pth"))

    item = SyntheticFlowPairs.__getitem__

    def item_or_break(pairs, index):
        if index == 6:
            raise KeyboardInterrupt
        return item(pairs, index)

    with monkeypatch.context() as patch:
        patch.setattr(SyntheticFlowPairs, "__getitem__", item_or_break)
        with pytest.raises(KeyboardInterrupt):
            script.main(arguments(stills, tmp_path / "resumed.pth"))
    script.main(arguments(stills, tmp_path / "resumed.pth", "--resume"))
    whole, resumed = (
        torch.load(tmp_path / f"{name}.pth", weights_only=True)["model"]
        for name in ("whole", "resumed")
    )
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value)


def test_weights_are_the_start(script, stills, tmp_path):
    start = FlowNetS(width=0.05).state_dict()
    torch.save({"model": start}, tmp_path / "start.pth")
    still = ("--weights", str(tmp_path / "start.pth"), "--lr", "0")
    script.main(arguments(stills, tmp_path / "flow.pth", *still))
    weights = torch.load(tmp_path / "flow.pth", weights_only=True)["model"]
    assert all(torch.equal(weights[name], value) for name, value in start.items())


def test_finished_training_is_not_resumed(script, stills, tmp_path):
    script.main(arguments(stills, tmp_path / "flow.pth"))
    with pytest.raises(InputError, match="finished training"):
        script.main(arguments(stills, tmp_path / "flow.pth", "--resume"))


def test_missing_weights(script, stills, tmp_path):
    with pytest.raises(InputError, match="no weights"):
        script.main(arguments(stills, tmp_path / "flow.pth", "--eval-only"))


def test_weights_that_do_not_fit(script, stills, tmp_path):
    broken, other = tmp_path / "broken.pth", tmp_path / "other.pth"
    broken.write_bytes(b"no checkpoint")
    torch.save({"model": FlowNetS(width=0.1).state_dict()}, other)
    for path, sentence in ((broken, "broken or no output"), (other, "of another network")):
        with pytest.raises(InputError, match=rf"{path.name} is {sentence}"):
            script.main(arguments(stills, tmp_path / "flow.pth", "--weights", str(path)))


@pytest.mark.parametrize(
    ("output", "more"),
    [("flow.json", []), ("flow.pth", ["--batch-size", "0"]), ("flow.pth", ["--net", "DIS"])],
)
def test_arguments_that_cannot_be_meant(output, more, script, stills, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.main(arguments(stills, tmp_path / output, *more))
    assert (more[0] if more else "--output") in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_too_few_stills(script, tmp_path):
    with pytest.raises(InputError, match="gives 0 images"):
        script.main(arguments(str(tmp_path / "*.jpg"), tmp_path / "flow.pth"))


def test_held_out_stills_are_not_trained_with(script, stills, tmp_path, monkeypatch):
    used = []
    init = SyntheticFlowPairs.__init__

    def recording_init(pairs, stills, **kwargs):
        used.append(set(stills))
        init(pairs, stills, **kwargs)

    monkeypatch.setattr(SyntheticFlowPairs, "__init__", recording_init)
    script.main(arguments(stills, tmp_path / "flow.pth"))
    trained_with, measured_on = used
    assert not trained_with & measured_on
    assert len(trained_with | measured_on) == 12


def test_loss_is_zero_at_the_exact_flow_of_each_scale(script):
    flow = 16 * torch.randn(2, 2, 64, 96)
    exact = [F.adaptive_avg_pool2d(flow / 16, size) for size in ((4, 6), (2, 3), (1, 2))]
    assert script.multi_scale_loss(exact, flow) < 1e-4
    off_by_one = [exact[0], exact[1] + torch.tensor([1.0, 0]).view(2, 1, 1), exact[2]]
    assert script.multi_scale_loss(off_by_one, flow).item() == pytest.approx(0.5, abs=1e-4)


def test_error_of_zero_flow_is_the_speed(script):
    flow = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 5, 5)
    errors = script.end_point_error(torch.zeros_like(flow), flow)
    torch.testing.assert_close(errors, torch.full((1, 5, 5), 5.0))


def test_training_learns_motion(script, stills, tmp_path):
    """A network that only sees pairs of one motion finds it."""
    net = FlowNetS(width=0.05)
    pairs = SyntheticFlowPairs([*Path(stills).parent.glob("*.png")], length=2, size=(64, 64))
    batch = torch.utils.data.default_collate(list(pairs))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        loss = script.multi_scale_loss(
            net.predictions(*script.normalized(net, batch)), batch["flow"]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
