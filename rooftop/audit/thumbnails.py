"""Small pictures for the report, with the outline in question drawn over them."""

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from rooftop.audit.findings import Finding
from rooftop.audit.splits import Split
from rooftop.coco import CocoObject, picture_path
from rooftop.errors import DataError
from rooftop.raster.picture import read_picture
from rooftop.raster.polygonise import polygonise
from rooftop.raster.rasterise import rasterise

_SIDE = 180  # pixels of the longer side


def thumbnail(split: Split, finding: Finding) -> str:
    """The picture of a finding as SVG text, its annotations drawn, the one in question in red."""
    row = split.rows.get(finding.picture)
    if row is None:
        return _nothing("no picture")
    objects = split.index.objects(row) if split.index is not None else []
    return _picture(split, finding.picture, objects, finding.annotation)


def _picture(split: Split, name: str, objects: list[CocoObject], chosen: int | None) -> str:
    """One picture with outlines over it."""
    try:
        image = Image.fromarray(read_picture(picture_path(split.images, name)))
    except DataError:
        return _nothing("cannot be read")
    width, height = image.size
    image.thumbnail((2 * _SIDE, 2 * _SIDE))
    scale = _SIDE / max(width, height)
    ordered = sorted(objects, key=lambda thing: thing.annotation_id == chosen)
    lines = "".join(_outline(thing, height, width, is_chosen=thing.annotation_id == chosen) for thing in ordered)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width * scale:.0f}" height="{height * scale:.0f}">'
        f'<image href="{_inline(image)}" width="{width}" height="{height}"/>{lines}</svg>'
    )


def _outline(thing: CocoObject, height: int, width: int, *, is_chosen: bool) -> str:
    """The rings of an object."""
    rings = thing.rings
    if rings is None:
        shapes = polygonise(rasterise([thing], height, width))
        rings = [np.asarray(ring.coords) for shape in shapes for ring in (shape.exterior, *shape.interiors)]
    name = "chosen" if is_chosen else "other"
    return "".join(
        f'<polygon class="{name}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in ring)}"/>' for ring in rings
    )


def _inline(image: Image.Image) -> str:
    """A picture as text that stands in the page itself."""
    text = io.BytesIO()
    image.convert("RGB").save(text, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(text.getvalue()).decode()


def _nothing(reason: str) -> str:
    return f'<div class="nothing">{escape(reason)}</div>'
