"""What each part of an FGFA model adds to a measure, such as time, that grows while it runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarking import plain_model
from fgfa.modeling import FGFA, video_detector

PREPROCESSING, WINDOW, REST = "preprocessing", "window, gathering", "rest"
PARTS = (
    PREPROCESSING,
    "backbone",
    "embedding",
    "flow network, as key",
    "flow network, as neighbor",
    "flow network, pairs",
    WINDOW,
    "window, aggregation",
    "RPN",
    "RoI heads, NMS",
    REST,
)


class Meter(NamedTuple):
    """A measure that grows."""

    read: Callable[[], Any]
    difference: Callable[[Any, Any], float]  # of an earlier and a later reading


class PartMeter:
    """Reads a meter where parts of a model begin and end, and adds up what lies between."""

    def __init__(self, model: FGFA, meter: Meter) -> None:
        self._model = model
        self._meter = meter
        self._runs: list[list[tuple[str, Any]]] = []

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measures what the model does inside, as one run."""
        self._runs.append([])
        with ExitStack() as stack:
            for owner, method, part, before in _boundaries(self._model):
                measured = self._measured(getattr(owner, method), part, before)
                stack.enter_context(patch.object(owner, method, measured))
            self._end_of(REST)
            yield
            self._end_of(REST)

    def totals(self) -> dict[str, list[float]]:
        """The sum for each of `PARTS` in each run; a GPU must have done its work."""
        return {
            part: [
                sum(
                    self._meter.difference(first, last)
                    for (_, first), (ended, last) in pairwise(readings)
                    if ended == part
                )
                for readings in self._runs
            ]
            for part in PARTS
        }

    def _end_of(self, part: str) -> None:
        self._runs[-1].append((part, self._meter.read()))

    def _measured(self, method: Callable[..., Any], part: str, before: str) -> Callable[..., Any]:
        def run(*args: object, **kwargs: object) -> Any:
            self._end_of(before)
            result = method(*args, **kwargs)
            self._end_of(part)
            return result

        return run


def clock(device: torch.device) -> Meter:
    """Seconds; on a GPU by events in the stream of its work, which nothing waits for."""
    if device.type == "cuda":
        return Meter(_recorded_event, lambda first, last: first.elapsed_time(last) / 1000)
    return Meter(time.perf_counter, lambda first, last: last - first)


def flop_meter(counter: FlopCounterMode) -> Meter:
    """Operations that a counter, which must be on, has seen; a multiplication and sum are two."""
    return Meter(counter.get_total_flops, lambda first, last: last - first)


def _recorded_event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _boundaries(model: FGFA) -> list[tuple[object, str, str, str]]:
    """For each function that is a part of a model: its owner, its name, the part, and the part that
    what comes right before it belongs to."""
    flow_net = model.flow_net
    _, backbone, embedding, as_key, as_neighbor, pairs, _, aggregation, rpn, heads, _ = PARTS
    return [
        (model.backbone, "forward", backbone, PREPROCESSING),
        (model.embedding, "forward", embedding, REST),
        (flow_net, "as_key", as_key, WINDOW),
        (flow_net, "as_neighbor", as_neighbor, REST),
        (flow_net, "forward", pairs, WINDOW),
        # The plain path calls it directly; inside of `forward` nothing has happened before it.
        (flow_net, "predictions", pairs, WINDOW),
        (video_detector, "aggregate", aggregation, WINDOW),
        (plain_model, "whole_window", aggregation, WINDOW),
        (model.proposal_generator, "forward", rpn, REST),
        (model.roi_heads, "forward", heads, REST),
    ]
