"""Object scores, equal to pycocotools' COCOeval to the last digits, several times as fast, at bounded memory.

overlap      IoU of masks and of their boundary bands, pair by pair
matching     the objects of one picture, matched at all thresholds and sizes at once
average      average precision and recall over a split, out of the matches
summary      the scores by name: COCO, boundary, crowdAI
kinds        errors sorted by kind: ragged, merged, split, missed, invented

Lin et al. 2014, "Microsoft COCO: Common Objects in Context"; the protocol is what COCOeval does. Of each
picture only the matches are kept, not its annotations. (faster-coco-eval, which is fast too, holds both
files in memory as Python objects.)
"""

from rooftop.metrics.objects.average import RECALLS, Ranking, average, object_counts, precision_curve, ranking
from rooftop.metrics.objects.matching import Found, Matched, Truth, match
from rooftop.metrics.objects.overlap import Rle, mask_areas
from rooftop.metrics.objects.summary import boundary_scores, object_scores

__all__ = [
    "RECALLS",
    "Found",
    "Matched",
    "Ranking",
    "Rle",
    "Truth",
    "average",
    "boundary_scores",
    "mask_areas",
    "match",
    "object_counts",
    "object_scores",
    "precision_curve",
    "ranking",
]
