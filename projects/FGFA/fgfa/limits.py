"""Bounds on what a file may say: beyond them it is broken, or made to do harm."""

# Of a frame. One of 8K video has half as many. Decoded in 7 bytes a pixel, they take 0.5 GB.
MOST_PIXELS = 1 << 26
# Of numbers. From here on a float does not hold every whole one.
LARGEST_NUMBER = 1 << 53
