"""Read, index and write COCO annotations and results."""

from rooftop.coco.columns import STRAY, Rejected
from rooftop.coco.index import UNKNOWN, CocoObject, Index, open_index
from rooftop.coco.learnable import Lesson, choose_channels, lessons, require_annotations, require_learnable, why_nothing
from rooftop.coco.masks import MaskFolder, MaskReport
from rooftop.coco.names import Unpaired, picture_path, plain_name, repeated, unpaired
from rooftop.coco.parse import Category
from rooftop.coco.results import ReadResult, Results, read_results
from rooftop.coco.write import Picture, Result, measured, pictures, rounded, write_annotations, write_results

__all__ = [
    "STRAY",
    "UNKNOWN",
    "Category",
    "CocoObject",
    "Index",
    "Lesson",
    "MaskFolder",
    "MaskReport",
    "Picture",
    "ReadResult",
    "Rejected",
    "Result",
    "Results",
    "Unpaired",
    "choose_channels",
    "lessons",
    "measured",
    "open_index",
    "picture_path",
    "pictures",
    "plain_name",
    "read_results",
    "repeated",
    "require_annotations",
    "require_learnable",
    "rounded",
    "unpaired",
    "why_nothing",
    "write_annotations",
    "write_results",
]
