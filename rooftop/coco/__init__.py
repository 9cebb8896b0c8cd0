"""COCO annotations: read, held lightly, written."""

from rooftop.coco.cache import open_index
from rooftop.coco.index import CocoObject, Index
from rooftop.coco.masks import MaskFolder, MaskReport
from rooftop.coco.names import picture_path
from rooftop.coco.pairs import Unpaired, unpaired
from rooftop.coco.rejected import Rejected
from rooftop.coco.results import ReadResult, Results, read_results
from rooftop.coco.schema import Category
from rooftop.coco.write import Picture, Result, measured, pictures, write_annotations, write_results

__all__ = [
    "Category",
    "CocoObject",
    "Index",
    "MaskFolder",
    "MaskReport",
    "Picture",
    "ReadResult",
    "Rejected",
    "Result",
    "Results",
    "Unpaired",
    "measured",
    "open_index",
    "picture_path",
    "pictures",
    "read_results",
    "unpaired",
    "write_annotations",
    "write_results",
]
