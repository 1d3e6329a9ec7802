"""Frames of own videos: folders of images that are there, or that are made of video files."""

from pathlib import Path

from tqdm import tqdm

from fgfa.data.annotations.video_boxes import VideoImages
from fgfa.data.folder_walk import walk_folders
from fgfa.data.frame_reading import open_image
from fgfa.data.image_files import find_images, write_image
from fgfa.data.video_reading import VideoReader
from fgfa.errors import InputError
from fgfa.files import atomic_folder

_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def find_video_images(name: str, image_root: Path, videos: Path | None = None) -> VideoImages:
    """The frames of a video: the images of the folder `image_root/name` or of one folder in it.

    Where that folder does not exist it is made of the video file `videos/name.*`.

    Args:
        name: of the video.
        image_root: folder with a folder for each video.
        videos: folder with video files.

    Raises:
        InputError: there are neither images nor a video file of this name, images lie in several
            folders, or one cannot be read.
    """
    folder = image_root / name
    if not folder.exists():
        extract_images(_video_file(name, folder, videos), folder)
    files = [
        path / file
        for path, files_in_it in walk_folders(folder)
        for file in files_in_it
        if Path(file).suffix.lower() in _SUFFIXES
    ]
    folders = sorted({path.parent for path in files})
    if len(folders) != 1:
        found = ", ".join(map(str, folders[:3])) or "none"
        raise InputError(
            f"{folder}: the frames of a video are images in one folder, but there are images in "
            f"{len(folders)} ({found}); leave one."
        )
    paths = [Path(path) for path in find_images([str(path) for path in files])]
    sizes = [_size(path) for path in tqdm(paths, desc=f"frames of {name}", delay=1)]
    return VideoImages(name, folders[0], paths, sizes)


def extract_images(video: Path, folder: Path) -> None:
    """Writes the frames of a video as `000000.jpg`, `000001.jpg`, ...; all of them or none.

    Raises:
        InputError: the video cannot be read, or its frames cannot be written.
    """
    reader = VideoReader(str(video))
    with atomic_folder(folder) as part:
        progress = tqdm(reader, desc=f"frames of {video.name}", total=reader.length, delay=1)
        for index, image in enumerate(progress):
            write_image(part / f"{index:06d}.jpg", image)


def _video_file(name: str, folder: Path, videos: Path | None) -> Path:
    if videos is None:
        raise InputError(
            f"{folder}: there is no folder with the frames of video '{name}'; add it, or name the "
            "folder with the video files."
        )
    if not videos.is_dir():
        raise InputError(f"{videos}: there is no such folder of video files.")
    found = sorted(path for path in videos.iterdir() if path.is_file() and path.stem == name)
    if len(found) != 1:
        raise InputError(
            f"{videos}: {len(found)} files are named '{name}' (but for their suffix), and {folder} "
            "with its frames does not exist; there must be one of them."
        )
    return found[0]


def _size(path: Path) -> tuple[int, int]:
    with open_image(str(path)) as image:
        return image.height, image.width
