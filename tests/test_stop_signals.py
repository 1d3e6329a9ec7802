"""Signals at good and bad moments."""

import os
import signal

import pytest

from fgfa.stop_signals import StopSignals

NUMBERS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", NUMBERS)
def test_first_signal_interrupts_and_later_ones_do_not(number: int):
    former = signal.getsignal(number)
    with StopSignals():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == former


@pytest.mark.parametrize("number", NUMBERS)
def test_held_signal_interrupts_behind_the_block(number: int):
    steps = []
    with StopSignals() as signals:
        with pytest.raises(KeyboardInterrupt), signals.held():
            os.kill(os.getpid(), number)
            steps.append("inside")
        steps.append("behind")
    assert steps == ["inside", "behind"]


def test_block_without_a_signal_goes_on():
    with StopSignals() as signals:
        for _ in range(2):
            with signals.held():
                pass
