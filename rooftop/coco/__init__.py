"""Read, index and write COCO annotations and results."""

from rooftop.coco.columns import Rejected
from rooftop.coco.index import CocoObject, Index, open_index
from rooftop.coco.masks import MaskFolder, MaskReport
from rooftop.coco.names import Unpaired, picture_path, unpaired
from rooftop.coco.parse import Category
from rooftop.coco.results import ReadResult, Results, read_results
from rooftop.coco.write import Picture, Result, measured, pictures, rounded, write_annotations, write_results

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
    "rounded",
    "unpaired",
    "write_annotations",
    "write_results",
]
