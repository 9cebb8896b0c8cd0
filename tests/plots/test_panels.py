""""""

import numpy as np
import pytest
from PIL import Image

from rooftop.plots.charts import learning_curve
from rooftop.plots.panels import (
    FALSE,
    HIT,
    MISS,
    OUTLINE,
    ROOF,
    UNJUDGED,
    ContactSheet,
    error_map,
    grid,
    outlined,
    overlay,
    panel,
    roof_by_roof,
    shrink,
)

PICTURE = np.full((48, 80, 3), 100, np.uint8)
MASK = np.zeros((48, 80), np.uint8)
MASK[10:20, 30:60] = 1


def test_overlay_tints_roofs_outlines_them_and_leaves_the_rest():
    result = overlay(PICTURE, MASK)
    assert result.shape == PICTURE.shape
    np.testing.assert_array_equal(result[MASK == 0], 100)
    assert tuple(result[10, 30]) == ROOF
    inner = 100 + 0.4 * (np.array(ROOF) - 100)
    np.testing.assert_allclose(result[15, 40], inner, atol=1)


def test_panel_is_wider_than_three_pictures():
    result = panel(PICTURE, MASK, MASK.astype(np.float32), threshold=0.5)
    assert result.shape[0] > 48
    assert result.shape[1] >= 3 * 80


def test_contact_sheet_has_three_rows_and_a_column_a_picture():
    sheet = ContactSheet(cell=40)
    for name in ("a", "b"):
        sheet.add(name, PICTURE, MASK)
    drawn = sheet.draw()
    assert drawn.shape[0] >= 3 * 24
    assert drawn.shape[1] >= 2 * 40
    assert (drawn.reshape(-1, 3) == 0).all(axis=1).any()  # the mask's black


def test_grid_gives_every_cell_the_size_of_the_largest():
    assert grid([[PICTURE, PICTURE[:20, :10]]]).shape == (6 + 48 + 6, 6 + 2 * (80 + 6), 3)


@pytest.mark.parametrize(("shape", "expected"), [((48, 80, 3), (24, 40, 3)), ((10, 20, 3), (10, 20, 3))])
def test_shrink_keeps_the_aspect_and_never_enlarges(shape, expected):
    assert shrink(np.zeros(shape, np.uint8), 40).shape == expected


def test_learning_curve_is_a_picture(tmp_path):
    rows = [
        {"epoch": float(i), "train/loss": 1 / (i + 1), "val/loss": 1.2 / (i + 1), "val/iou": i / 5} for i in range(4)
    ]
    learning_curve(tmp_path / "a" / "curve.png", rows, best=2)
    with Image.open(tmp_path / "a" / "curve.png") as image:
        assert image.width > 500
        assert np.asarray(image.convert("L")).std() > 5


def test_hits_misses_and_false_roofs_have_their_colours():
    picture = np.full((2, 3, 3), 100, dtype=np.uint8)
    mask = np.array([[1, 1, 0], [0, 0, 0]])
    prediction = np.array([[1, 0, 1], [0, 0, 0]])
    valid = np.array([[True, True, True], [True, True, False]])
    drawn = error_map(picture, mask, prediction, valid).astype(int)
    for place, colour in zip(((0, 0), (0, 1), (0, 2)), (HIT, MISS, FALSE), strict=True):
        nearest = min((HIT, MISS, FALSE), key=lambda c: np.abs(drawn[place] - c).sum())
        assert nearest == colour
    assert len(set(drawn[1, 0])) == 1  # grey
    assert tuple(drawn[1, 2]) == UNJUDGED


def test_the_colours_differ_in_lightness_too():
    lightness = sorted(np.dot(colour, (0.299, 0.587, 0.114)) for colour in (HIT, MISS, FALSE))
    assert min(np.diff(lightness)) > 30


def test_touching_roofs_are_told_apart():
    picture = np.full((6, 10, 3), 200, dtype=np.uint8)
    labels = np.zeros((6, 10), dtype=np.int32)
    labels[1:5, 0:4], labels[1:5, 4:9] = 1, 2
    drawn = roof_by_roof(picture, labels, (0, 0, 0))
    black = (drawn == 0).all(axis=-1)
    assert black[1:5, 3:5].all()  # both sides of the wall between them
    assert not black[2:4, 1:3].any()
    assert (drawn[2:4, 1:3] == 140).all()  # tinted by 30 %
    assert (drawn[0] == 200).all()


def test_an_outline_points_one_roof_out():
    picture = np.full((5, 6, 3), 200, dtype=np.uint8)
    mask = np.zeros((5, 6), dtype=np.uint8)
    mask[0:4, 1:5] = 1
    drawn = outlined(picture, mask)
    black = (drawn == OUTLINE).all(axis=-1)
    assert black.sum() == 12  # 4 x 4 without its inner 2 x 2; the picture's edge is outline too
    assert not black[1:3, 2:4].any()
    assert (picture == 200).all()
