"""A raster to be cut: 8-bit grey or colours into png tiles, anything else into GeoTIFFs that keep bands and type."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rooftop.raster.picture import write_png
from rooftop.raster.scene import Scene, open_bands, open_scene
from rooftop.raster.windows import Window
from rooftop.raster.write import write_tile

Cut = tuple[NDArray[np.bool_], Callable[[Path], None]]
"""Where a tile has data, bool (h, w), and what writes it, whole or not at all."""


@dataclass(frozen=True)
class Raster:
    """An open raster. suffix: of its tiles. cut: reads one."""

    scene: Scene
    suffix: str
    cut: Callable[[Window], Cut]


@contextmanager
def open_raster(path: str) -> Iterator[Raster]:
    """Open a raster to cut it.

    Raises:
        SourceError: missing, corrupt, or of complex numbers.
    """
    with open_bands(path) as scene:
        if not scene.form.is_rgb:
            yield Raster(scene, ".tif", lambda window: _bands(scene, window))
            return
    with open_scene(path) as scene:
        yield Raster(scene, ".png", lambda window: _colours(scene, window))


def _colours(scene: Scene, window: Window) -> Cut:
    picture, valid = scene.read(window)
    return valid, lambda path: write_png(path, picture)


def _bands(scene: Scene, window: Window) -> Cut:
    values, known = scene.values(window)
    valid = known & np.isfinite(values).all(axis=0)
    return valid, lambda path: write_tile(path, scene, window, values=values, known=known)
