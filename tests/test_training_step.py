"""A step of several batches, mixed precision, and exchange of gradients once a step."""

import gc
import itertools
import os
import signal
from pathlib import Path

import pytest
import torch
from detectron2.utils.events import EventStorage
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from fgfa.errors import InputError
from fgfa.training_step import AccumulatingTrainer


class Model(nn.Module):
    """A linear model whose losses are means over the batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 1)
        self.drawn: list[float] = []
        self.dtypes: set[torch.dtype] = set()

    def forward(self, batch: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        self.drawn.append(torch.rand(1).item())
        result = self.linear(torch.stack(batch))
        self.dtypes.add(result.dtype)
        return {"loss_a": result.float().square().mean(), "loss_b": result.float().abs().mean()}


def make_trainer(model: nn.Module, batch_size: int, **options) -> AccumulatingTrainer:
    frames = torch.randn(24, 3, generator=torch.Generator().manual_seed(1))
    batches = [list(batch) for batch in frames.split(batch_size)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return AccumulatingTrainer(model, itertools.cycle(batches), optimizer, seed=5, **options)


def run(trainer: AccumulatingTrainer, steps: int, start: int = 0) -> EventStorage:
    trainer.train(start, start + steps)
    return trainer.storage


def test_two_batches_of_two_are_one_of_four():
    one, two = Model(), Model()
    expected = run(make_trainer(one, 4), 3)
    found = run(make_trainer(two, 2, batches_per_step=2), 3)
    torch.testing.assert_close(two.linear.weight, one.linear.weight)
    torch.testing.assert_close(two.linear.weight.grad, one.linear.weight.grad)
    assert len(two.drawn) == 2 * len(one.drawn) == 6
    for name in ("loss_a", "loss_b", "total_loss"):
        values = [value for value, _ in expected.history(name).values()]
        assert [v for v, _ in found.history(name).values()] == pytest.approx(values), name
        assert len(values) == 3


def test_model_draws_by_seed_and_number_of_the_step():
    models = [Model() for _ in range(3)]
    run(make_trainer(models[0], 4), 4)
    run(make_trainer(models[1], 4), 2, start=2)
    assert models[1].drawn == models[0].drawn[2:]
    assert len(set(models[0].drawn)) == 4
    trainer = make_trainer(models[2], 4)
    trainer.seed = 6
    run(trainer, 4)
    assert models[2].drawn != models[0].drawn


def test_start_of_a_loader_takes_no_draw_of_the_model():
    models = [Model() for _ in range(2)]
    for model, start in zip(models, (0, 1), strict=True):
        trainer = make_trainer(model, 4)
        frames = torch.randn(24, 3)
        trainer.data_loader = DataLoader(frames, batch_size=4, collate_fn=list)
        run(trainer, 2 - start, start)
    assert models[1].drawn == models[0].drawn[1:]


def test_seed_is_saved_with_the_optimizer():
    first = make_trainer(Model(), 4)
    run(first, 1)
    first.seed = 17
    second = make_trainer(Model(), 4)
    second.load_state_dict(first.state_dict())
    assert second.seed == 17
    assert len(second.optimizer.state) == 2
    # A checkpoint of an earlier version has no seed.
    third = make_trainer(Model(), 4)
    third.load_state_dict({"iteration": 3, "optimizer": first.optimizer.state_dict()})
    assert third.seed == 5


def test_mixed_precision_on_a_cpu_is_bfloat16():
    exact, mixed = Model(), Model()
    run(make_trainer(exact, 4), 2)
    run(make_trainer(mixed, 4, mixed_precision_on="cpu"), 2)
    assert exact.dtypes == {torch.float32}
    assert mixed.dtypes == {torch.bfloat16}
    assert mixed.linear.weight.dtype == torch.float32
    torch.testing.assert_close(mixed.linear.weight, exact.linear.weight, atol=0.02, rtol=0.02)
    assert not torch.equal(mixed.linear.weight, exact.linear.weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_mixed_precision_on_a_gpu_is_float16_with_scaled_gradients():
    model = Model().cuda()
    trainer = make_trainer(model, 4, mixed_precision_on="cuda")
    trainer.data_loader = ([x.cuda() for x in batch] for batch in trainer.data_loader)
    run(trainer, 2)
    assert model.dtypes == {torch.float16}
    assert trainer.state_dict()["scaler"]["scale"] > 1


@pytest.fixture
def process_group(tmp_path: Path):
    """A group of one process, whose model is wrapped as that of several."""
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()
    # Where a forked process of a later test collects what is left of it, that process hangs.
    gc.collect()


def test_processes_exchange_gradients_once_a_step(process_group: None):
    plain, model = Model(), Model()
    run(make_trainer(plain, 2, batches_per_step=3), 2)
    wrapped = DistributedDataParallel(model)
    exchanges = []
    model.register_forward_pre_hook(lambda *_: exchanges.append(wrapped.require_backward_grad_sync))
    run(make_trainer(wrapped, 2, batches_per_step=3), 2)
    assert exchanges == [False, False, True] * 2
    torch.testing.assert_close(model.linear.weight, plain.linear.weight)


def test_weights_are_left_where_a_loss_is_not_finite(tmp_path: Path):
    model = Model()
    trainer = make_trainer(model, 4, output_dir=str(tmp_path))
    before = model.linear.weight.detach().clone()
    frame = {"file_name": "bad.jpg", "image": torch.full((3,), torch.nan)}
    trainer.data_loader = [[frame]]
    model.forward = lambda batch: {"loss": model.linear(batch[0]["image"]).sum()}
    with pytest.raises(InputError, match=r"bad\.jpg"):
        run(trainer, 1)
    assert torch.equal(model.linear.weight, before)


class Ended(Dataset):
    """Frames whose reading ends the process that reads them."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGKILL)


def test_killed_reader_is_one_sentence():
    trainer = make_trainer(Model(), 4)
    trainer.data_loader = DataLoader(Ended(), batch_size=2, num_workers=1, collate_fn=list)
    with pytest.raises(InputError, match=r"reads training frames has ended .*NUM_WORKERS"):
        run(trainer, 1)


class Broken(Ended):
    def __getitem__(self, index: int) -> torch.Tensor:
        raise RuntimeError("a fault of the program")


def test_faults_of_a_reader_keep_their_traceback():
    trainer = make_trainer(Model(), 4)
    trainer.data_loader = DataLoader(Broken(), batch_size=2, num_workers=1, collate_fn=list)
    with pytest.raises(RuntimeError, match="a fault of the program"):
        run(trainer, 1)
