"""Pictures and masks on disk: read with a limit on their size, written atomically, resized.

JPEG is decoded by libjpeg-turbo (simplejpeg): Pillow's pixels in two thirds of the time. Masks are written as PNG with
run-length compression, fast and small: a mask consists of long runs.
"""

import glob
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from rooftop.errors import DataError
from rooftop.files import atomic_write

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
MAX_PIXELS = 100_000_000  # a 10,000 x 10,000 px picture; larger ones are scenes, read by window

_KEY = "data.bands"  # by which files are read that Pillow cannot
_MORE_BITS = ("I", "F")  # Pillow's modes of 16-bit and 32-bit integers and of floats, which it would cut off at 255
_PIECE = 2**18  # bytes; nearly all files are smaller, and one call of the system is enough to read them
_DARK = 127  # the brightest value that is ground where 255 is roof
_START = b"\xff\xd8\xff"
# long runs are all there is to compress in a mask: run-length strategy, no row filter (a flag of newer OpenCV only)
_MASK_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    _MASK_PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]

Box = tuple[float, float, float, float]
Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]


def decode_jpeg(content: bytes, *, most: int) -> NDArray[np.uint8] | None:
    """Decode a faultless JPEG fast.

    Args:
        content: of the file.
        most: pixels.

    Returns:
        uint8 (H, W, 3), RGB; None for anything but a complete, faultless grey or colour JPEG of at most `most`
        pixels: Pillow then decodes it or reports the fault.
    """
    if not content.startswith(_START):
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
    """Pictures directly in `folder`, sorted by name.

    Raises:
        DataError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of the pictures.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
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
    with _opened(path) as image:
        return image.height, image.width


def can_open(path: Path) -> bool:
    """Report whether the readers here know this kind of file; its contents may still be invalid."""
    try:
        with Image.open(path):
            return True
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return False


def is_transparent(path: Path, *, key: str) -> bool:
    """Report whether a picture may have transparent pixels, by its header.

    Args:
        path: of the picture.
        key: the caller's configuration key for bands; for messages.

    Raises:
        DataError: missing, no picture, or larger than `MAX_PIXELS`.
    """
    with _opened(path, key) as image:
        return image.has_transparency_data


def read_picture(path: Path) -> Picture:
    """Read a picture as uint8 (H, W, 3), RGB; grey and palette become RGB, alpha is dropped, EXIF turns are ignored.

    Raises:
        DataError: missing, no picture, truncated, of more than 8 bits, or larger than `MAX_PIXELS`.
    """
    pixels = _read_jpeg(path)
    if pixels is not None:
        return pixels
    with _opened(path) as image:
        if image.mode.startswith(_MORE_BITS):
            raise DataError(f"{path}: has more than 8 bits; {_name_bands(_KEY)}, or convert it to 8 bits.")
        return np.asarray(image.convert("RGB"))


def _read_jpeg(path: Path) -> Picture | None:
    """Read a picture by the fast decoder; None leaves it to Pillow."""
    if not path.name.lower().endswith((".jpg", ".jpeg")):
        return None
    try:
        with path.open("rb", buffering=0) as file:
            content = file.read(_PIECE)
            if len(content) == _PIECE and path.stat().st_size <= MAX_PIXELS:
                content += file.read()
        return decode_jpeg(content, most=MAX_PIXELS)
    except (OSError, ValueError):
        return None


def read_mask(path: Path) -> Mask:
    """Read a mask picture as uint8 (H, W) of 0 and 1.

    Roof is above 127, or 1 in a file with only 0 and 1. A palette of greys counts by its greys, any other by its
    indices.

    Raises:
        DataError: missing, no picture, truncated, larger than `MAX_PIXELS`, or with other values.
    """
    with _opened(path) as image:
        numbers = image.mode in ("L", "1") or (image.mode == "P" and not _is_grey(image))
        values = np.asarray(image if numbers else image.convert("L"))
    brightest = int(values.max(initial=0))
    if 1 < brightest <= _DARK:
        raise DataError(
            f"{path}: holds values from {values.min()} to {brightest}; a mask is 0 and 255, or 0 and 1: write it so."
        )
    return (values > (_DARK if brightest > 1 else 0)).astype(np.uint8)


def _is_grey(image: Image.Image) -> bool:
    """Report whether a palette picture uses only greys."""
    red, green, blue = image.convert("RGB").split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


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
def _opened(path: Path, key: str = _KEY) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # bounded below, before decoding
            warnings.filterwarnings("ignore", "Corrupt EXIF data")  # what cannot be read ends in an error anyway
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{path}: {image.width} x {image.height} px is more than {MAX_PIXELS:,} px; cut it into tiles."
                    )
                yield image
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not a picture that can be read; {_remedy(path, key)}.") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: too many pixels; cut it into tiles.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: truncated or damaged ({error}); replace or remove it.") from error


def _name_bands(key: str) -> str:
    return f"name the bands to read, e.g. {key}=[1]"


def _remedy(path: Path, key: str) -> str:
    """Return the remedy for a TIFF unknown to Pillow: rasterio reads all kinds."""
    is_tiff = path.suffix.lower() in (".tif", ".tiff")
    return f"replace or remove it{f', or {_name_bands(key)}' if is_tiff else ''}"


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
