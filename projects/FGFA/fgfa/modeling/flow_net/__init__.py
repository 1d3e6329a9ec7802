"""Flow networks: where each cell of the key frame's feature map is found in a neighbor's."""

from .dis import DIS
from .flownet_s import FlowNetS
from .raft import RAFT
from .registry import CELL, FLOW_NET_REGISTRY, build_flow_net
from .zero_flow import ZeroFlow

__all__ = ["CELL", "DIS", "FLOW_NET_REGISTRY", "RAFT", "FlowNetS", "ZeroFlow", "build_flow_net"]
