import numpy as np
import pytest
import shapely
from shapely import box

from rooftop.errors import RooftopError
from rooftop.raster.windows import Window
from rooftop.tiling.shelf import Shelf

HEIGHT, WIDTH = 96, 160


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path / "a.shelf", (HEIGHT, WIDTH), cell=32)
    yield made
    made.close()


def test_polygons_are_found_by_their_window_in_their_order(shelf):
    rng = np.random.default_rng(0)
    low = rng.uniform(-5, 1, (300, 2)) + rng.uniform(0, 1, (300, 2)) * (WIDTH, HEIGHT)
    polygons = shapely.box(*low.T, *(low + rng.uniform(1, 40, (300, 2))).T)
    shelf.add(list(polygons[:100]))
    shelf.add([])
    shelf.add(list(polygons[100:]))
    for window in (Window(0, 0, 32, 32), Window(128, 64, 32, 32), Window(17, 40, 50, 30), Window(0, 0, WIDTH, HEIGHT)):
        right, bottom = window.column + window.width, window.row + window.height
        expected = polygons[shapely.intersects(polygons, box(window.column, window.row, right, bottom))]
        assert [shape.wkb for shape in shelf.near(window)] == [shape.wkb for shape in expected]


def test_an_empty_shelf_has_nothing(shelf):
    assert shelf.near(Window(0, 0, 32, 32)) == []


def test_a_full_disk_is_one_sentence(shelf):
    shelf._base.execute("PRAGMA max_page_count = 4")
    with pytest.raises(RooftopError, match="free space on the disk"):
        shelf.add([box(i, 0, i + 1, 1) for i in range(5000)])
