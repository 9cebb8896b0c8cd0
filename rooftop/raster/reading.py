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
from rooftop.raster.picture import MAX_PIXELS, read_picture, read_size
from rooftop.raster.scene import Scene, open_bands, open_scene
from rooftop.raster.windows import Window

T = TypeVar("T")
_Read = tuple[NDArray[np.uint8], NDArray[np.bool_]]


class Reading(Protocol):
    """A way to read picture files; errors are DataErrors that name the file."""

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
        """Where the picture has data, bool (H, W); None: everywhere."""
        ...


class PlainReading:
    """8-bit RGB, with data everywhere."""

    channels = 3

    def __repr__(self) -> str:
        return "8-bit RGB"

    def size(self, path: Path) -> tuple[int, int]:
        """(height, width) in pixels."""
        return read_size(path)

    def picture(self, path: Path) -> NDArray[np.uint8]:
        """The picture, uint8 (H, W, 3)."""
        return read_picture(path)

    def valid(self, path: Path) -> None:
        """Everywhere."""


@dataclass(frozen=True)
class BandReading:
    """Chosen bands of any number type, stretched to 8 bits.

    Attributes:
        bands: numbers of the bands, from 1.
        scale: of each band the values (low, high) that become 0 and 255; what lies beyond is cut off.
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
        """The picture, uint8 (H, W, C), black where there is no data."""
        picture: NDArray[np.uint8] = self._latest(path)[0].copy()  # one's own, to be changed at will
        return picture

    def valid(self, path: Path) -> NDArray[np.bool_]:
        """Where the picture has data: one of the bands at least, and no band a number that is not finite."""
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
        """What goes to a loader process: the fields, not the file kept."""
        return {"bands": self.bands, "scale": self.scale}


def reading_of(bands: Sequence[int] | None, scale: Sequence[Sequence[float]] | None) -> Reading:
    """Chosen bands with their scale, or 8-bit RGB where there are none."""
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
    """Values (C, N) of the pixels with data of a thinned-out picture, as the file has them.

    Args:
        path: of the picture.
        bands: numbers of the bands, from 1.
        limit: longest side, in pixels, to which the picture is thinned out.

    Returns:
        The values, and whether all bands are 8-bit.
    """

    def sample(scene: Scene) -> tuple[NDArray[np.generic], bool]:
        values, known = scene.thinned(limit)
        known = known & np.isfinite(values).all(axis=0)
        return values[:, known], scene.kinds == {np.dtype(np.uint8)}

    return _read(path, sample, bands)


def _whole(scene: Scene) -> _Read:
    return scene.read(Window(0, 0, scene.width, scene.height))


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
