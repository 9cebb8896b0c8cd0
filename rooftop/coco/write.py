"""Write annotations and results as COCO json, streamed: memory does not grow with the file.

Annotations survive the round trip: `open_index` reads the same pictures and objects from the written file.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pycocotools import mask as coco
from shapely import Polygon

from rooftop.coco.index import CocoObject, Index
from rooftop.coco.parse import Category
from rooftop.files import atomic_write
from rooftop.raster.rasterise import Run, encode, rasterise

Rings = Sequence[NDArray[np.float64]]
_DIGITS = 2  # decimals of a pixel in written outlines


@dataclass(frozen=True)
class Picture:
    """A picture with its annotations.

    Attributes:
        id: as in the annotation file.
        name: file name relative to the folder of the pictures, `/` between parts.
        height: pixels.
        width: pixels.
        objects: annotations.
    """

    id: int
    name: str
    height: int
    width: int
    objects: Sequence[CocoObject]


@dataclass(frozen=True)
class Result:
    """A detected object.

    Attributes:
        image_id: id of the picture.
        category_id: id of the category.
        score: in [0, 1].
        rle: run lengths of the size of the picture, with holes.
        outline: rings of its polygon, outer ring first, then holes: float64 (n, 2), x and y in pixels, first point
            not repeated. None if it is not a single polygon.
        picture: file name, for results numbered without an annotation file; `read_results` then matches by name.
        category: name of the category, for the same results.
    """

    image_id: int
    category_id: int
    score: float
    rle: Run
    outline: Rings | None = field(default=None, compare=False)
    picture: str = ""
    category: str = ""


def pictures(index: Index) -> Iterator[Picture]:
    """Yield each picture of an index with its annotations."""
    for i, (height, width) in enumerate(index.sizes.tolist()):
        yield Picture(int(index.ids[i]), index.names[i], height, width, index.objects(i))


def measured(thing: CocoObject, height: int, width: int) -> CocoObject:
    """Return the object with its drawn area, in pixels of a picture of `height` x `width`.

    pycocotools refuses to evaluate annotations without an area.
    """
    return replace(thing, area=float(coco.area(encode(rasterise([thing], height, width)))))


def rounded(polygon: Polygon) -> list[Polygon]:
    """Round the corners of a polygon to the precision of an annotation file: 0.01 px.

    A polygon that crosses itself once its corners are rounded is mended: narrow necks part and slivers vanish.

    Args:
        polygon: valid, in the pixel frame.

    Returns:
        Valid polygons: nearly always one, none of a sliver.
    """
    simple = _round_corners(polygon)
    if simple.is_valid and not simple.is_empty:
        return [simple]
    parts = shapely.get_parts(shapely.set_precision(polygon, 10.0**-_DIGITS))
    mended = [_round_corners(part) for part in parts if isinstance(part, Polygon) and not part.is_empty]
    return [part for part in mended if part.is_valid]


def _round_corners(polygon: Polygon) -> Polygon:
    found: Polygon = shapely.transform(polygon, lambda corners: np.round(corners, _DIGITS) + 0.0)  # no negative zero
    return found


def write_annotations(path: Path, content: Iterable[Picture], categories: Sequence[Category]) -> None:
    """Write an annotation file, atomically.

    The bounding box is computed from the outline. An area of NaN is left out; see `measured`.

    Args:
        path: of the json.
        content: pictures, iterated once; may be a generator.
        categories: at least those of the annotations.
    """
    entries: list[dict[str, Any]] = []
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(b'{\n"categories": ' + msgspec.json.encode(list(categories)) + b',\n"annotations": [\n')
        _write_items(file, _annotations(content, entries))
        # last, since the generator yields pictures and annotations together
        file.write(b'\n],\n"images": [\n')
        _write_items(file, entries)
        file.write(b"\n]\n}\n")


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write detected objects for `loadRes` of pycocotools, atomically; `results` may be a generator.

    `loadRes` requires run lengths. These keep holes, but their edges are stairs of pixels, so the smooth outline is
    written as an additional key, `outline`.
    """
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(b"[\n")
        _write_items(file, (_result(result) for result in results))
        file.write(b"\n]\n")


def _write_items(file: IO[bytes], items: Iterable[dict[str, Any]]) -> None:
    """Write JSON objects, one a line, with commas between them."""
    for i, item in enumerate(items):
        file.write((b",\n" if i else b"") + msgspec.json.encode(item))


def _annotations(content: Iterable[Picture], entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the JSON object of each annotation; append the entries of the pictures to `entries`."""
    for picture in content:
        size = {"width": picture.width, "height": picture.height}
        entries.append({"id": picture.id, "file_name": picture.name, **size})
        for thing in picture.objects:
            yield _annotation(thing, picture.id)


def _annotation(thing: CocoObject, picture: int) -> dict[str, Any]:
    """The JSON object of one annotation."""
    segmentation = _as_text(thing.rle) if thing.rle else [ring.ravel().tolist() for ring in thing.rings or ()]
    fields = {
        "id": thing.annotation_id,
        "image_id": picture,
        "category_id": thing.category_id,
        "segmentation": segmentation,
        "bbox": _box(thing),
        "iscrowd": int(thing.is_crowd),
    }
    return fields if np.isnan(thing.area) else fields | {"area": thing.area}


def _box(thing: CocoObject) -> list[float]:
    """Bounding box: x, y, width, height in pixels."""
    if thing.rle:
        box: list[float] = coco.toBbox(thing.rle).tolist()
        return box
    points = np.concatenate(thing.rings or [np.zeros((1, 2))])
    low = points.min(axis=0)
    return [*low.tolist(), *(points.max(axis=0) - low).tolist()]


def _result(result: Result) -> dict[str, Any]:
    """The JSON object of one result."""
    fields = {
        "image_id": result.image_id,
        "category_id": result.category_id,
        "segmentation": _as_text(result.rle),
        "score": result.score,
    }
    fields |= {name: text for name in ("picture", "category") if (text := getattr(result, name))}
    if result.outline is None:
        return fields
    simple = [ring.round(_DIGITS) for ring in result.outline]
    is_valid = Polygon(simple[0], simple[1:]).is_valid
    return fields | {"outline": [ring.ravel().tolist() for ring in (simple if is_valid else result.outline)]}


def _as_text(rle: Run) -> Run:
    """Run lengths with text instead of bytes, for JSON."""
    return {"size": rle["size"], "counts": rle["counts"].decode()}
