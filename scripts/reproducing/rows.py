"""Rows of the tables: the methods of the paper's table 1, and FGFA with another flow."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: on the command line and in paths.
        title: in the table.
        options: over the FGFA config.
        starts_from: the base, or a row whose weights the training starts from.
        config: of FGFA; "" for that of the data set.
        weights_of: a row that differs at test time alone, whose weights this one takes; "" for a
            row that is trained.
    """

    name: str
    title: str
    options: Sequence[str] = ()
    starts_from: str = "base"
    config: str = ""
    weights_of: str = ""


_FROZEN = '["backbone", "proposal_generator", "roi_heads", "flow_net"]'
SINGLE_FRAME = Row("single_frame", "single frame", ("MODEL.META_ARCHITECTURE", "GeneralizedRCNN"))
_NO_FLOW = ("MODEL.FLOW_NET.NAME", "ZeroFlow")
_EQUAL_WEIGHTS = ("MODEL.FGFA.EMBEDDING_CHANNELS", "[]", "MODEL.FGFA.EMBEDDING_KERNELS", "[]")
AVERAGE = Row("average", "average, no flow", (*_NO_FLOW, *_EQUAL_WEIGHTS))
ADAPTIVE = Row("adaptive", "adaptive weights, no flow", _NO_FLOW)
FGFA = Row("fgfa", "FGFA")
NOT_END_TO_END = Row(
    "not_end_to_end",
    "FGFA, not end-to-end",
    ("MODEL.FROZEN_PARTS", _FROZEN),  # only the embedding learns
    starts_from=SINGLE_FRAME.name,
)
TABLE_1 = (SINGLE_FRAME, AVERAGE, ADAPTIVE, FGFA, NOT_END_TO_END)
DIS_FLOW = Row("dis_flow", "FGFA, flow by DIS", ("MODEL.FLOW_NET.NAME", "DIS"))
_COMPOSED = ("MODEL.FGFA.FLOW_MODE", "composed")
COMPOSED_FLOW = Row("composed_flow", "FGFA, composed flow", _COMPOSED, weights_of=FGFA.name)
COMPOSED_DIS_FLOW = Row(
    "composed_dis_flow",
    "FGFA, composed flow by DIS",
    (*DIS_FLOW.options, *_COMPOSED),
    weights_of=DIS_FLOW.name,
)
LEARNED_FLOW = Row(
    "learned_flow",
    "FGFA, flow by FlowNetS",
    config="configs/vid_mini/fgfa_flownet_s_rfcn_efficientnet_lite0.yaml",
)
