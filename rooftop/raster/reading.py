"""How the picture files of a data set are read: as 8-bit RGB, or as chosen bands of any type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import DataError, SourceError
from rooftop.raster.bands import Stretch
from rooftop.raster.picture import MAX_PIXELS, read_picture, read_size, read_with_valid
from rooftop.raster.scene import Scene, open_bands, open_scene
from rooftop.raster.windows import Window

T = TypeVar("T")
_STRIP = 1 << 22  # pixels read at once
_Read = tuple[NDArray[np.uint8], NDArray[np.bool_]]


class Reading(Protocol):
    """A way to read picture files; raises DataError with the name of the file."""

    @property
    def channels(self) -> int:
        """C, number of bands of a picture."""
        ...

    def size(self, path: Path) -> tuple[int, int]:
        """(height, width) in pixels, without decoding."""
        ...

    def picture(self, path: Path) -> NDArray[np.uint8]:
        """The picture, uint8 (H, W, C)."""
        ...

    def valid(self, path: Path) -> NDArray[np.bool_] | None:
        """Return the pixels with data, bool (H, W); None: all."""
        ...


class PlainReading:
    """8-bit RGB."""

    channels = 3
    # of the last file, since picture and valid are asked for one after the other: path, picture until taken, valid
    _left: tuple[Path, NDArray[np.uint8] | None, NDArray[np.bool_] | None] | None = None

    def __repr__(self) -> str:
        return "8-bit RGB"

    def size(self, path: Path) -> tuple[int, int]:
        """(height, width) in pixels."""
        return read_size(path)

    def picture(self, path: Path) -> NDArray[np.uint8]:
        """Read the picture, uint8 (H, W, 3), black without data."""
        picture, valid = self._taken(path)
        self._left = path, None, valid  # the picture is the caller's, to be changed at will
        return picture if picture.flags.writeable else picture.copy()

    def valid(self, path: Path) -> NDArray[np.bool_] | None:
        """Return the pixels with data; None: all."""
        if self._left is None or self._left[0] != path:
            self._left = path, *read_with_valid(path)
        return self._left[2]

    def _taken(self, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Take what is left of the last file, if it is this one and its picture has not been taken; else read it."""
        if self._left is None or self._left[0] != path or self._left[1] is None:
            return read_with_valid(path)
        return self._left[1], self._left[2]

    def __getstate__(self) -> dict[str, object]:
        """Pickle for a loader process, without the latest picture."""
        return {}


@dataclass(frozen=True)
class BandReading:
    """Chosen bands of any number type, stretched to 8 bits.

    Attributes:
        bands: 1-based band numbers.
                scale: for each band the values (low, high) mapped to 0 and 255; values beyond are clipped.
    """

    bands: tuple[int, ...]
    scale: tuple[tuple[float, float], ...]

    @property
    def channels(self) -> int:
        """C, number of bands of a picture."""
        return len(self.bands)

    def size(self, path: Path) -> tuple[int, int]:
        """(height, width) in pixels."""
        return _read(path, lambda scene: (scene.height, scene.width), self.bands)

    def picture(self, path: Path) -> NDArray[np.uint8]:
        """Read the picture, uint8 (H, W, C), black without data."""
        picture: NDArray[np.uint8] = self._latest(path)[0].copy()  # one's own, to be changed at will
        return picture

    def valid(self, path: Path) -> NDArray[np.bool_]:
        """Return the pixels with data in at least one band, and a finite number in each."""
        valid: NDArray[np.bool_] = self._latest(path)[1]
        return valid

    @cached_property
    def stretch(self) -> Stretch:
        """How values become 0-255."""
        return Stretch.of(self.scale)

    @cached_property
    def _latest(self) -> Callable[[Path], _Read]:
        """The last file read is kept, since picture and valid are asked for one after the other."""
        return lru_cache(1)(lambda path: _read(path, _whole, self.bands, self.stretch))

    def __getstate__(self) -> dict[str, object]:
        """Pickle the fields for a loader process, without the open file."""
        return {"bands": self.bands, "scale": self.scale}


def reading_of(bands: Sequence[int] | None, scale: Sequence[Sequence[float]] | None) -> Reading:
    """Return a reading of chosen bands with their scale, or of 8-bit RGB without bands."""
    return BandReading(tuple(bands), tuple((low, high) for low, high in scale)) if bands and scale else PlainReading()


def read_shown(path: Path) -> NDArray[np.uint8]:
    """A picture as people are shown it, uint8 (H, W, 3): 8-bit as it is, else its first bands, stretched by themselves.

    Raises:
        DataError: it cannot be read at all.
    """
    try:
        return read_picture(path)
    except DataError as error:
        try:
            with open_bands(str(path)) as scene:
                first = [1, 2, 3] if scene.channels >= 3 else [1]
            with open_scene(str(path), bands=first) as scene:
                return _whole(scene)[0]
        except SourceError:
            raise error from None


def read_sample(path: Path, bands: Sequence[int], limit: int) -> tuple[NDArray[np.generic], bool]:
    """Read a thinned-out picture: raw values (C, N) of the pixels with data.

    Args:
        path: of the picture.
        bands: numbers of the bands, from 1.
        limit: longest side after thinning out, in pixels.

    Returns:
        The values, and whether all bands are 8-bit.
    """

    def sample(scene: Scene) -> tuple[NDArray[np.generic], bool]:
        values, known = scene.thinned(limit)
        known = known & np.isfinite(values).all(axis=0)
        return values[:, known], scene.kinds == {np.dtype(np.uint8)}

    return _read(path, sample, bands)


def _whole(scene: Scene) -> _Read:
    """Read a scene by strips: values of many bytes take memory for one strip only."""
    picture = np.zeros((scene.height, scene.width, scene.channels), np.uint8)
    valid = np.zeros((scene.height, scene.width), bool)
    rows = max(1, _STRIP // scene.width)
    for row in range(0, scene.height, rows):
        window = Window(0, row, scene.width, min(rows, scene.height - row))
        picture[window.slices], valid[window.slices] = scene.read(window)
    return picture, valid


def _read(path: Path, use: Callable[[Scene], T], bands: Sequence[int], stretch: Stretch | None = None) -> T:
    try:
        with open_bands(str(path), bands, stretch) as scene:
            if scene.height * scene.width > MAX_PIXELS:
                raise DataError(
                    f"{path}: {scene.width} x {scene.height} px is more than {MAX_PIXELS:,} px; cut it into tiles."
                )
            return use(scene)
    except SourceError as error:
        raise DataError(str(error)) from error
