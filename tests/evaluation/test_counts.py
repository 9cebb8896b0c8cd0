"""What is counted on one picture."""

import numpy as np
import pytest

from rooftop.coco import CocoObject
from rooftop.evaluation.cases import Case
from rooftop.evaluation.counts import count_picture
from rooftop.evaluation.examples import _crops
from rooftop.evaluation.instances import annotated, patches

HEIGHT, WIDTH = 40, 60


def box(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def case(true, found, valid):
    """One category: roofs as boxes (left, top, right, bottom)."""
    rings = [np.array([(x, y), (r, y), (r, b), (x, b)], float) for x, y, r, b in true]
    objects = [CocoObject(n, 1, False, np.nan, [ring], None) for n, ring in enumerate(rings, 1)]
    mask, said = (sum((box(*one) for one in boxes), np.zeros((HEIGHT, WIDTH), np.uint8)) for boxes in (true, found))
    truth = [annotated(objects, HEIGHT, WIDTH)]
    return Case("a.tif", 1, mask[None] & valid, valid, said[None], None, truth, [patches(said)])


@pytest.fixture
def valid():
    """The right third of the picture has no data."""
    known = np.ones((HEIGHT, WIDTH), bool)
    known[:, 40:] = False
    return known


SEEN, UNSEEN = (4, 4, 20, 20), (44, 4, 58, 20)


@pytest.mark.parametrize(
    ("true", "found"), [([SEEN], [SEEN, UNSEEN]), ([SEEN, UNSEEN], [SEEN]), ([SEEN, UNSEEN], [SEEN, UNSEEN])]
)
def test_roofs_without_data_are_neither_sought_nor_wrong(valid, true, found):
    alone = count_picture(case([SEEN], [SEEN], valid), max_dets=100)
    measured = count_picture(case(true, found, valid), max_dets=100)
    for rows in ("pixel", "object", "kinds", "polygon"):
        assert measured.rows[rows] == pytest.approx(alone.rows[rows], nan_ok=True), rows
    assert measured.masks[0].positives[0] == 1


def test_roofs_that_reach_into_it_by_less_than_half_count(valid):
    across = (24, 4, 44, 20)
    measured = count_picture(case([across], [across], valid), max_dets=100)
    assert measured.rows["object"].tolist()[:3] == [1, 0, 0]


def test_no_error_is_shown_where_there_is_no_data(valid):
    """What the report shows as missed or invented is what its table counts."""
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    assert [kind for kind, _ in _crops(case([SEEN], [SEEN, UNSEEN], valid), picture)] == []
    assert [kind for kind, _ in _crops(case([SEEN, UNSEEN], [SEEN], valid), picture)] == []
    assert [kind for kind, _ in _crops(case([SEEN], [], valid), picture)] == ["missed"]
