"""COCO annotations: read, held lightly, written."""

from rooftop.coco.cache import open_index
from rooftop.coco.index import CocoObject, Index
from rooftop.coco.names import picture_path
from rooftop.coco.rejected import Rejected
from rooftop.coco.schema import Category

__all__ = ["Category", "CocoObject", "Index", "Rejected", "open_index", "picture_path"]
