"""Small pictures for the report, with the outline in question drawn over them."""

import base64
import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from rooftop.audit.findings import Finding
from rooftop.audit.splits import Split
from rooftop.coco import CocoObject, picture_path
from rooftop.errors import DataError
from rooftop.raster.bands import as_rgb
from rooftop.raster.polygonise import polygonise
from rooftop.raster.rasterise import rasterise

_SIDE = 180  # pixels of the longer side
_AROUND = 24.0  # pixels of surroundings at least that are shown of an object
Box = tuple[int, int, int, int]


def thumbnail(split: Split, finding: Finding) -> str:
    """The picture of a finding as SVG text; of an annotation its surroundings, with the annotation in red.

    Nothing, where there is no picture that could be shown.
    """
    row = split.rows.get(finding.picture)
    objects = split.index.objects(row) if split.index is not None and row is not None else []
    try:
        picture = split.reading.picture(picture_path(split.images, finding.picture))
    except DataError:
        return ""
    image = Image.fromarray(as_rgb(picture))
    chosen = [thing for thing in objects if thing.annotation_id == finding.annotation]
    window = _window(chosen[0], *image.size) if chosen else (0, 0, *image.size)
    others = [_outline(thing, image, "other") for thing in objects if thing not in chosen]
    return _picture(image, window, "".join(others + [_outline(thing, image, "chosen") for thing in chosen]))


def _window(thing: CocoObject, width: int, height: int) -> Box:
    """Left, top, right, bottom of the surroundings of an object, inside the picture."""
    x, y, w, h = coco.toBbox(thing.rle) if thing.rle else _bounds(np.concatenate(thing.rings or []))
    side = max(w, h, _AROUND)
    left, top = max(0, int(x + w / 2 - side)), max(0, int(y + h / 2 - side))
    right, bottom = min(width, math.ceil(x + w / 2 + side)), min(height, math.ceil(y + h / 2 + side))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _bounds(points: NDArray[np.float64]) -> list[float]:
    """x, y, width, height."""
    low = points.min(axis=0)
    return [*low, *(points.max(axis=0) - low)]


def _picture(image: Image.Image, window: Box, lines: str) -> str:
    """A part of a picture with outlines over it."""
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    scale = _SIDE / max(width, height)
    part = image.crop(window)
    part.thumbnail((2 * _SIDE, 2 * _SIDE))
    return (
        f'<svg viewBox="{left} {top} {width} {height}" width="{width * scale:.0f}" height="{height * scale:.0f}">'
        f'<image href="{_inline(part)}" x="{left}" y="{top}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none"/>{lines}</svg>'
    )


def _outline(thing: CocoObject, image: Image.Image, name: str) -> str:
    """The rings of an object, drawn in the style of that name."""
    rings = thing.rings
    if rings is None:
        shapes = polygonise(rasterise([thing], image.height, image.width))
        rings = [np.asarray(ring.coords) for shape in shapes for ring in (shape.exterior, *shape.interiors)]
    return "".join(
        f'<polygon class="{name}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in ring)}"/>' for ring in rings
    )


def _inline(image: Image.Image) -> str:
    """A picture as text that stands in the page itself."""
    text = io.BytesIO()
    image.convert("RGB").save(text, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(text.getvalue()).decode()
