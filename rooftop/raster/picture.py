"""Pictures and masks on disk: read with a limit on their size, written atomically, resized.

GDAL reads all kinds of files: it tells bits, colours, transparency and nodata apart. JPEG is decoded by libjpeg-turbo
(simplejpeg): Pillow's pixels in two thirds of the time. Masks are written as PNG with run-length compression, fast and
small: a mask consists of long runs.
"""

import glob
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from rooftop.errors import DataError, SourceError
from rooftop.files import atomic_write, require_file, visible
from rooftop.raster.mask_values import MIDDLE, USUAL, MaskValues, distinct, is_bright_or_dark, listed
from rooftop.raster.scene import Scene, open_scene
from rooftop.raster.windows import Window

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
MAX_PIXELS = 100_000_000  # a 10,000 x 10,000 px picture; larger ones are scenes, read by window

_SAMPLE = 64  # masks of a set that tell the meaning of its values
_MOST_NUMBER = 2**53  # of a float: beyond it whole numbers have gaps
_PIECE = 2**18  # bytes; nearly all files are smaller, and one call of the system is enough to read them
_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
# first bytes of the formats of a data set; GDAL knows others, such as VRT, which name further files or addresses
_DRIVERS = {
    "GTiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "PNG": (_PNG,),
    "JPEG": (_JPEG,),
    "JP2OpenJPEG": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    "WEBP": (b"RIFF",),
    "BMP": (b"BM",),
    "GIF": (b"GIF8",),
}
_HEAD = 26  # bytes, up to bit depth and colour type of a PNG
_GREY, _COLOUR = b"\x08\x00", b"\x08\x02"  # bit depth and colour type: 8-bit grey, 8-bit RGB
# long runs are all there is to compress in a mask: run-length strategy, no row filter (a flag of newer OpenCV only)
_MASK_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    _MASK_PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]

Box = tuple[float, float, float, float]
Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Valid = NDArray[np.bool_]


def decode_jpeg(content: bytes, *, most: int) -> NDArray[np.uint8] | None:
    """Decode a faultless JPEG fast.

    Args:
        content: of the file.
        most: pixels.

    Returns:
        uint8 (H, W, 3), RGB; None for anything but a complete, faultless grey or colour JPEG of at most `most`
        pixels: Pillow then decodes it or reports the fault.
    """
    if not content.startswith(_JPEG):
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
        if space not in ("YCbCr", "Gray") or height * width > most:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content)
    except ValueError:  # it takes even harmless slips of a file for errors
        return None
    return pixels


def encode_mask(mask: NDArray[np.uint8]) -> bytes:
    """Encode a mask, uint8 (H, W) of 0 and 1, as an 8-bit grey PNG of 0 and 255."""
    _, content = cv2.imencode(".png", np.multiply(mask, 255, dtype=np.uint8), _MASK_PNG)
    encoded: bytes = content.tobytes()
    return encoded


def list_pictures(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """Visible pictures directly in `folder`, sorted by name.

    Raises:
        DataError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of the pictures.")
    found = [path for path in visible(folder) if path.suffix.lower() in suffixes]
    if not found:
        raise DataError(f"{folder}: no picture ({', '.join(suffixes)}) in this folder.")
    return found


def matching(pattern: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of a glob with these suffixes, sorted; `**` matches nested folders."""
    named = (Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207 (absolute patterns too)
    return sorted(path for path in named if path.suffix.lower() in suffixes)


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels from the file's header, without decoding.

    Raises:
        DataError: missing, no picture, or larger than `MAX_PIXELS`.
    """
    head = _head(path)
    if head.startswith((_JPEG, _PNG)):
        with _opened(path) as image:
            return image.height, image.width
    with _opened_by_gdal(path, head) as scene:
        return scene.height, scene.width


def read_picture(path: Path) -> Picture:
    """Read a picture as uint8 (H, W, 3), RGB, black without data; as `read_with_valid`."""
    return read_with_valid(path)[0]


def read_with_valid(path: Path) -> tuple[Picture, Valid | None]:
    """Read a picture and the pixels with data, the same pixels in every script.

    Bits below 8, colours, palettes, transparency and nodata are those of the file; grey becomes RGB; EXIF turns are
    ignored. GDAL reads all files. JPEG, and PNG of 8-bit grey or RGB without transparency, take a faster way to the
    same pixels.

    Returns:
        uint8 (H, W, 3), RGB, black without data; and bool (H, W), or None: data everywhere.

    Raises:
        DataError: missing, no picture, truncated, of more than 8 bits, or larger than `MAX_PIXELS`.
    """
    head = _head(path)
    is_jpeg = head.startswith(_JPEG)
    pixels = _read_jpeg(path) if is_jpeg else None
    if pixels is not None:
        return pixels, None
    if is_jpeg or _is_plain_png(head, _GREY, _COLOUR):
        with _opened(path) as image:
            if not image.has_transparency_data:
                return np.asarray(image.convert("RGB")), None
    with _opened_by_gdal(path, head) as scene:
        if scene.kinds != {np.dtype(np.uint8)}:
            bands = "[" + ",".join(map(str, scene.bands)) + "]"
            raise DataError(
                f"{path}: has more than 8 bits; name the bands to read, e.g. data.bands={bands}, or convert it to 8 "
                "bits."
            )
        picture, valid = scene.read(Window(0, 0, scene.width, scene.height))
    return picture, None if valid.all() else valid


def _head(path: Path) -> bytes:
    """Return the first bytes of a file."""
    require_file(path, DataError)
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(_HEAD)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}); correct its access rights.") from error


def _is_plain_png(head: bytes, *kinds: bytes) -> bool:
    return head.startswith(_PNG) and head[_HEAD - 2 :] in kinds


def _read_jpeg(path: Path) -> Picture | None:
    """Read a picture by the fast decoder; None leaves it to Pillow."""
    try:
        with path.open("rb", buffering=0) as file:
            content = file.read(_PIECE)
            if len(content) == _PIECE and path.stat().st_size <= MAX_PIXELS:
                content += file.read()
        return decode_jpeg(content, most=MAX_PIXELS)
    except (OSError, ValueError):
        return None


def read_mask(path: Path) -> Mask:
    """Read a mask picture of a usual form as uint8 (H, W), 1 = roof; as `read_mask_with_valid`."""
    return read_mask_with_valid(path)[0]


def read_mask_with_valid(path: Path, values: MaskValues = USUAL) -> tuple[Mask, Valid | None]:
    """Read a mask picture.

    The numbers of the file count, whatever its bits. A palette of greys counts by its greys, any other by its indices.

    Args:
        path: of the mask.
        values: their meaning.

    Returns:
        Mask uint8 (H, W), 1 = roof; and valid bool (H, W), or None: all pixels are judged.

    Raises:
        DataError: missing, no picture, truncated, larger than `MAX_PIXELS`, or with values of unknown meaning.
    """
    numbers = _read_values(path)
    return values.split(numbers, distinct(numbers), path)


def settle_mask_values(paths: Sequence[Path], values: MaskValues) -> MaskValues:
    """Return the meaning of the values of a set of masks: 255 is roof, or not judged beside 1.

    Looks at masks spread evenly over the set, and at the others only until the first roof.

    Raises:
        DataError: a mask cannot be read, its values have no known meaning, or no mask of the set has a roof.
    """
    spread = np.linspace(0, len(paths) - 1, min(len(paths), _SAMPLE)).astype(int).tolist()
    looked = {paths[i]: distinct(_read_values(paths[i])) for i in spread}
    settled = values.settled(set(chain.from_iterable(looked.values())))
    has_roof = [settled.has_roof(found, path) for path, found in looked.items()]
    rest = (path for path in paths if path not in looked)
    if not any(has_roof) and not any(settled.has_roof(distinct(_read_values(path)), path) for path in rest):
        raise DataError(
            f"{paths[0].parent}: no roof in any of its {len(paths):,} masks; their values: "
            f"{listed({*chain.from_iterable(looked.values())})}; name those of roofs, e.g. data.roof_values=[1]."
        )
    return settled


def _read_values(path: Path) -> NDArray[Any]:
    """Read the values of a mask picture: whole numbers (H, W), or colours uint8 (H, W, 3).

    A JPEG of ground and roof becomes 0 and 255. The full value of a file of less than 8 bits becomes 255.
    """
    head = _head(path)
    if _is_plain_png(head, _GREY) or head.startswith(_JPEG):
        with _opened(path) as image:
            values: NDArray[Any] = np.asarray(image if image.mode == "L" else image.convert("RGB"))
        values = _one_band(values)
        if head.startswith(_JPEG) and values.ndim == 2 and is_bright_or_dark(values):
            return np.where(values > MIDDLE, 255, 0).astype(np.uint8)
        return values
    with _opened_by_gdal(path, head) as scene:
        return _whole_numbers(_one_band(scene.labels()), path)


def _one_band(values: NDArray[Any]) -> NDArray[Any]:
    """Return values (H, W) for colours (H, W, 3) that are all greys."""
    if values.ndim == 3 and all(np.array_equal(values[..., 0], values[..., i]) for i in range(1, values.shape[2])):
        return values[..., 0]
    return values


def _whole_numbers(values: NDArray[Any], path: Path) -> NDArray[Any]:
    if values.ndim == 3 and values.dtype != np.uint8:
        raise DataError(f"{path}: has colours of more than 8 bits; write a mask as 0 and 255 in one band.")
    if values.dtype.kind != "f":
        return values
    if not np.array_equal(values, np.rint(values)) or np.abs(values).max(initial=0) >= _MOST_NUMBER:
        raise DataError(
            f"{path}: holds fractions, or no numbers; a mask is 0 and 255, or 0 and 1: convert it, e.g. "
            "gdal_calc.py -A FILE --calc='A>0.5' --type=Byte --outfile=MASK.tif."
        )
    return values.astype(np.int64)


def write_mask(path: Path, mask: Mask) -> None:
    """Write a uint8 (H, W) mask of 0 and 1 as 8-bit PNG, 255 = roof."""
    with atomic_write(path) as part:
        part.write_bytes(encode_mask(mask))


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write uint8 (H, W) or (H, W, 3) as PNG."""
    with atomic_write(path) as part:
        Image.fromarray(np.ascontiguousarray(pixels)).save(part, format="PNG")


def write_jpeg(path: Path, pixels: NDArray[np.uint8], *, quality: int) -> None:
    """Write uint8 (H, W, 3) as JPEG; quality from 1 to 95."""
    with atomic_write(path) as part:
        Image.fromarray(np.ascontiguousarray(pixels)).save(part, format="JPEG", quality=quality)


@contextmanager
def _opened_by_gdal(path: Path, head: bytes) -> Iterator[Scene]:
    driver = next((name for name, starts in _DRIVERS.items() if head.startswith(starts)), None)
    if driver is None:
        raise DataError(f"{path}: not a picture that can be read; replace or remove it.")
    try:
        with open_scene(str(path), driver=driver, key="data.bands") as scene:
            _require_bounded(path, scene.height, scene.width)
            yield scene
    except SourceError as error:
        raise DataError(str(error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # bounded below, before decoding
            warnings.filterwarnings("ignore", "Corrupt EXIF data")  # what cannot be read ends in an error anyway
            with Image.open(path) as image:
                _require_bounded(path, image.height, image.width)
                yield image
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not a picture that can be read; replace or remove it.") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: too many pixels; cut it into tiles.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: truncated or damaged ({error}); replace or remove it.") from error


def _require_bounded(path: Path, height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise DataError(f"{path}: {width} x {height} px is more than {MAX_PIXELS:,} px; cut it into tiles.")


def resize(pixels: Picture, size: tuple[int, int], method: Image.Resampling, box: Box | None = None) -> Picture:
    """Resize uint8 (H, W) or (H, W, C) to (height, width) = `size`.

    Args:
        pixels: grey or of any number of bands.
        size: in pixels.
        method: how.
        box: left, top, right, bottom of the part to take, in pixels; None: all.
    """
    height, width = size
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), method, box=box))
    # band by band: Pillow takes a fourth one for transparency, and multiplies the others by it
    bands = [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(pixels, -1, 0)]
    return np.stack([np.asarray(band.resize((width, height), method, box=box)) for band in bands], axis=-1)


def magnify(pixels: Picture, size: tuple[int, int]) -> Picture:
    """Resize uint8 (H, W) or (H, W, C) to a larger (height, width) = `size`, bilinearly, much faster than `resize`."""
    larger: Picture = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)
    return larger.reshape(*size, *pixels.shape[2:])  # OpenCV drops the axis of a single band


def mirror(pixels: Picture, border: tuple[int, int, int, int]) -> Picture:
    """Mirror uint8 (H, W) or (H, W, C) beyond its edges; `border`: pixels at top, bottom, left and right."""
    if not any(border):
        return pixels
    beyond: Picture = cv2.copyMakeBorder(pixels, *border, cv2.BORDER_REFLECT)
    return beyond.reshape(*beyond.shape[:2], *pixels.shape[2:])  # OpenCV drops the axis of a single band
