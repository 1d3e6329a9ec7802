"""Annotations of own videos in other formats, and their way to COCO-VID JSON."""
