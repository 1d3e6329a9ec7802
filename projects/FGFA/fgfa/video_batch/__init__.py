"""Detection in many videos, by several processes, that can be stopped and resumed at any time.

videos.py       finds the videos of a command line, and names their results
sources.py      the frames of a video file or a folder of images
settings.py     what results depend on; a folder of results has one setting, and one run at a time
batch.py        which videos are left to detect in, and how
results.py      the files of a video: complete, or not there
board.py        what processes tell each other
progress.py     what is done so far, on the screen
detecting.py    the work of one process
stopping.py     the end of all processes
"""
