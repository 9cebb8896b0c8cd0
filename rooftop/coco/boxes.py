"""The bounding boxes that an annotation file states; training needs none, so the index has none."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rooftop.coco.parse import Id, map_file, parse_document, parse_list

_NONE = (np.nan,) * 4


class _Boxed(msgspec.Struct, gc=False):
    id: Id
    bbox: list[float] | None = None


def stated_boxes(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read the boxes of an annotation file.

    Returns:
        annotation ids, ascending, int64 (M,); boxes float64 (M, 4), x, y, width, height in pixels, NaN where none of
        four numbers is stated. Annotations that cannot be read are left out, as `open_index` does.

    Raises:
        DataError: it is no COCO annotation file.
    """
    text = map_file(path)
    body = memoryview(parse_document(path, text).annotations)[1:-1]
    ids, boxes = [np.empty(0, np.int64)], [np.empty((0, 4))]
    for piece in parse_list(body, msgspec.json.Decoder(list[_Boxed])):
        known = [item for item in piece if isinstance(item, _Boxed)]
        ids.append(np.array([item.id for item in known], np.int64))
        stated = [item.bbox if item.bbox and len(item.bbox) == 4 else _NONE for item in known]
        boxes.append(np.array(stated, np.float64).reshape(-1, 4))
    joined = np.concatenate(ids)
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate(boxes)[order]
