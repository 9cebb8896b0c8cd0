import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco
from shapely import Polygon, box

from rooftop.raster.polygonise import polygonise
from rooftop.raster.rasterise import encode, rasterise
from rooftop.raster.runs import polygon_run

masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 1))


@settings(max_examples=200)
@given(masks)
def test_the_same_run_lengths_as_of_the_whole_picture(mask):
    for polygon in polygonise(mask):
        assert polygon_run(polygon, *mask.shape) == encode(rasterise([polygon], *mask.shape))


@pytest.mark.parametrize("polygon", [box(-3, -2, 5, 4), box(8.4, 3.2, 30, 30), Polygon([(1.3, 2), (9, 4.7), (3, 6)])])
def test_oblique_and_overhanging(polygon):
    assert polygon_run(polygon, 9, 13) == encode(rasterise([polygon], 9, 13))


def test_a_roof_in_a_picture_that_is_never_drawn():
    run = polygon_run(box(50_000, 60_000, 50_004, 60_003), 65_000, 66_000)
    assert coco.area(run) == 12
    assert coco.toBbox(run).tolist() == [50_000, 60_000, 4, 3]
