"""Annotations of tiles pass the audit of this project."""

from dataclasses import replace

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, box

from rooftop.audit.annotations import check_outlines
from rooftop.coco import Picture, open_index, write_annotations
from rooftop.raster.windows import Window
from rooftop.tiling.tiles import CATEGORY, Tiles, Tiling

TILE = Window(0, 0, 12, 9)
MIN_AREA = 4  # square px, as in conf/; less, in the first pixel, may be a share of the picture for the audit
_CORNERS = st.lists(st.tuples(st.integers(-1000, 13000), st.integers(-1000, 10000)), min_size=3, max_size=9)
_NEAR = st.lists(st.tuples(st.integers(4990, 5030), st.integers(4990, 5030)), min_size=3, max_size=9)


def audited(folder, things):
    """Whatever the audit and the reader object to in the annotations of one tile, warnings left out."""
    numbered = [replace(thing, annotation_id=i) for i, thing in enumerate(things, 1)]
    path = folder / "train.json"
    write_annotations(path, [Picture(1, "a.png", TILE.height, TILE.width, numbered)], [CATEGORY])
    index = open_index(path, cache=folder)
    findings, _ = check_outlines(index, folder)
    return findings.plain() if findings.errors() else dict(index.rejected.counts)


@settings(deadline=None)
@given(st.lists(st.one_of(_CORNERS, _NEAR), max_size=4))
def test_whatever_is_cut_passes_the_audit(tmp_path_factory, outlines):
    shapes = [shapely.make_valid(Polygon(np.array(corners) / 1000)) for corners in outlines]
    parts = shapely.get_parts(shapely.get_parts(shapely.intersection(shapes, box(0, 0, TILE.width, TILE.height))))
    tiles = Tiles([], "", "", Tiling(9, 0, None, None, 0, 0, {"train": 1}))
    things = tiles._drawn([part for part in parts if part.geom_type == "Polygon" and part.area >= MIN_AREA], TILE)
    assert audited(tmp_path_factory.mktemp("audit"), things) == {}
