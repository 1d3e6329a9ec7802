"""Seeds that make a training repeat itself: each draw follows from the run's seed and its place."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.utils import comm


def run_seed(cfg: CfgNode) -> int:
    """`SEED`, or where it is negative a random number that all processes share."""
    return cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed()


def mixed_seed(*numbers: int) -> int:
    """A seed, 0..2^32-1, that tells the same of the same numbers, from 0, and another of others."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the generators of Python, numpy and torch on the CPU, and afterwards takes it back."""
    python, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        random.seed(seed)
        np.random.seed(seed)
        # torch.manual_seed would also seed GPUs, which are not taken back.
        torch.default_generator.manual_seed(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        torch.set_rng_state(tensors)
