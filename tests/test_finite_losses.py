from pathlib import Path

import pytest
import torch

from fgfa.errors import InputError
from fgfa.finite_losses import check_losses

BATCH = [
    {"file_name": "data/a.jpg", "image": torch.zeros(3, 2, 2)},
    {"file_name": "data/b.jpg", "image": torch.ones(3, 2, 2)},
]


def test_finite_losses_pass(tmp_path: Path) -> None:
    check_losses({"loss_cls": torch.tensor(1.0)}, BATCH, 3, str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_frames_are_named_and_the_batch_is_saved(tmp_path: Path, value: float) -> None:
    losses = {"loss_cls": torch.tensor(1.0), "loss_flow": torch.tensor(value)}
    with pytest.raises(InputError, match=r"iteration 3 .*loss_flow (nan|inf).*a\.jpg, data/b\.jpg"):
        check_losses(losses, BATCH, 3, str(tmp_path / "out"))
    saved = torch.load(tmp_path / "out" / "not_finite_0000003_0.pth", weights_only=False)
    assert saved["iteration"] == 3
    assert str(saved["losses"]["loss_flow"]) == str(value)
    assert torch.equal(saved["batch"][1]["image"], BATCH[1]["image"])
