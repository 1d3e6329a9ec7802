"""Pictures of what the model sees and finds: boxes, flow, and the weights of the window."""

from .boxes import class_color, draw_box, draw_instances, track_color
from .flow import draw_flow
from .panels import COMPARED, side_by_side, tile
from .window import draw_window

__all__ = [
    "COMPARED",
    "class_color",
    "draw_box",
    "draw_flow",
    "draw_instances",
    "draw_window",
    "side_by_side",
    "tile",
    "track_color",
]
