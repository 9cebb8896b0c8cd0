import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point, Polygon, affinity, box
from shapely.ops import nearest_points

from rooftop.metrics.polygon import max_tangent_angle, max_tangent_angles

ROOF = box(0, 0, 20, 12)


def by_the_book(polygon, outlines):
    """The measure of Girard et al., point by point."""
    least = []
    for ring in (polygon.exterior, *polygon.interiors):
        points = []
        for start, end in zip(ring.coords[:-1], ring.coords[1:], strict=True):
            steps = max(1, round(np.hypot(end[0] - start[0], end[1] - start[1]) / 2))
            for k in range(steps):
                points.append(np.array(start) + (np.array(end) - np.array(start)) * k / steps)
        points.append(points[0])
        images = [np.array(nearest_points(Point(p), outlines)[1].coords[0]) for p in points]
        for k in range(len(points) - 1):
            edge, image = points[k + 1] - points[k], images[k + 1] - images[k]
            a, b = np.linalg.norm(edge), np.linalg.norm(image)
            if a * b > 0 and 1 / 2 < a / b < 2:
                least.append(min(abs(edge @ image) / (a * b), 1))
    return np.degrees(np.arccos(min(least))) if least else np.nan


def test_a_cut_corner_is_an_error_of_45_degrees():
    # The cut runs at 45 degrees to the sides of the true corner; its image lies on them, shortened by cos 45 = 0.71.
    cut = Polygon([(0, 0), (14, 0), (20, 6), (20, 12), (0, 12)])
    assert max_tangent_angle(cut, ROOF.exterior) == pytest.approx(45)


def test_truth_against_itself_has_no_error():
    assert max_tangent_angle(ROOF, ROOF.exterior) == pytest.approx(0)


def test_far_from_any_likeness_nothing_can_be_compared():
    # Seen from far away all samples of a side fall onto one corner: images without length.
    assert np.isnan(max_tangent_angle(affinity.translate(ROOF, 500, 500), ROOF.exterior))


@settings(max_examples=40)
@given(st.floats(0, 90), st.floats(-4, 4), st.floats(0.7, 1.4))
def test_the_measure_is_that_of_the_paper(turn, shift, scale):
    said = affinity.scale(affinity.rotate(affinity.translate(ROOF, shift, shift), turn), scale, scale)
    hollow = Polygon(said.exterior, [affinity.scale(said, 0.5, 0.5).exterior])
    expected = by_the_book(hollow, ROOF.exterior)
    assert max_tangent_angle(hollow, ROOF.exterior) == pytest.approx(expected, abs=1e-3, nan_ok=True)


def test_only_what_lies_on_the_truth_is_measured():
    invented = affinity.translate(ROOF, 15, 0)  # a quarter of it lies on the roof
    assert max_tangent_angles([ROOF, invented], [ROOF]) == pytest.approx([0])
    assert max_tangent_angles([], [ROOF]) == []
    assert max_tangent_angles([ROOF], []) == []


def test_holes_are_outline_of_the_truth():
    court = Polygon(ROOF.exterior, [box(5, 4, 12, 9).exterior])
    assert max_tangent_angles([court], [court]) == pytest.approx([0])
    assert shapely.union_all([court]).area == court.area
