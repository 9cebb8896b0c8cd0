"""Pictures that show which values occur inside a network."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rooftop.config.paths import PROJECT
from rooftop.data.prepare import Preparation
from rooftop.errors import ConfigError
from rooftop.raster.picture import list_pictures, resize
from rooftop.run import Run

Picture = NDArray[np.uint8]
PICTURES = 12
_SIDE = 320  # px, of the middle of a picture
_EMBEDDED, _GSD = PROJECT / "data/banepa/images/train", 0.53  # metres per pixel


def calibration_pictures(run: Run, folder: Path | None) -> list[Picture]:
    """Read the middles of at most 12 pictures, spread over the names of a folder.

    Args:
        run: its card says which bands are read.
        folder: of pictures at the metres per pixel of the run; None: the embedded training tiles, brought to the
            metres per pixel of the run.

    Returns:
        uint8 (H, W, C) each, at most 320 x 320 px.

    Raises:
        ConfigError: the run reads other bands than the embedded tiles have, or there is no such folder.
        DataError: an unreadable picture, or none in the folder.
    """
    preparation = Preparation.of(run.card.preparation)
    if folder is None and (preparation.bands or preparation.scale or len(preparation.mean) != 3):
        raise ConfigError(
            f"{run.folder}: the run reads other bands than the embedded pictures have; name a folder of pictures like "
            "those of its training: calibrate=FOLDER."
        )
    if folder and not folder.is_dir():
        raise ConfigError(f"calibrate={folder}: no such folder; name one with pictures like those to predict.")
    paths = list_pictures(folder or _EMBEDDED)
    steps = np.linspace(0, len(paths) - 1, min(PICTURES, len(paths))).round().astype(int)
    pictures = [preparation.reading.picture(paths[step]) for step in steps]
    if folder is None and run.card.gsd and preparation.size is None:
        pictures = [_scaled(picture, _GSD / run.card.gsd) for picture in pictures]
    return [_middle(preparation.resize(picture)) for picture in pictures]


def _scaled(picture: Picture, factor: float) -> Picture:
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    return resize(picture, (height, width), Image.Resampling.BICUBIC)


def _middle(picture: Picture) -> Picture:
    top, left = (max(0, (side - _SIDE) // 2) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + _SIDE, left : left + _SIDE])
