"""The forms of an annotation file, as msgspec checks them while it parses (COCO "object detection" format).

https://cocodataset.org/#format-data; fields that nothing here needs are skipped without being built.
"""

from typing import Annotated

import msgspec

Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Document(msgspec.Struct):
    """The whole file; its three lists stay unparsed text, so that they can be parsed piece by piece."""

    images: msgspec.Raw
    annotations: msgspec.Raw
    categories: msgspec.Raw


class Category(msgspec.Struct, frozen=True):
    """A kind of object."""

    id: Id
    name: str


class PictureEntry(msgspec.Struct, gc=False):
    """A picture as the file lists it; width and height in pixels."""

    id: Id
    file_name: str
    width: Side
    height: Side


class RunLengths(msgspec.Struct, gc=False):
    """A mask as run lengths, column by column; compressed if `counts` is a str. size: (height, width)."""

    size: tuple[int, int]
    counts: str | list[int]


class Annotation(msgspec.Struct, gc=False):
    """An object as the file lists it; rings are flat [x, y, x, y, ...] in pixels."""

    id: Id
    image_id: Id
    category_id: Id
    segmentation: list[list[float]] | RunLengths | None = None
    area: float | None = None
    iscrowd: int | bool = 0
