"""One self-contained HTML page about the detections of one or several models."""

from fgfa.report.page import write_page

__all__ = ["write_page"]
