import random

import numpy as np
import pytest
import torch

from fgfa.data.seeding import mixed_seed, run_seed, seeded


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_generators_are_seeded_and_taken_back():
    with seeded(1):
        first = draw()
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(1):
        assert draw() == first
        raise ZeroDivisionError
    assert random.getstate() == before[0]
    np.testing.assert_equal(np.random.get_state(), before[1])
    assert torch.equal(torch.get_rng_state(), before[2])
    with seeded(2):
        assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_seeds_of_different_numbers_differ():
    seeds = [mixed_seed(a, b) for a in range(30) for b in range(30)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert mixed_seed(2, 3) == mixed_seed(2, 3)


def test_seed_of_a_run_is_that_of_the_config_or_random(cfg):
    cfg.SEED = 7
    assert run_seed(cfg) == 7
    cfg.SEED = -1
    assert run_seed(cfg) != run_seed(cfg)
