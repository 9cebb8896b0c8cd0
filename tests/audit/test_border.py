"""Roofs that labels leave out where the ground ends: found, told, and marked as not judged."""

from dataclasses import replace
from itertools import count, product
from pathlib import Path

import numpy as np
import pytest

from rooftop.audit.border import doubtful_areas, undrawn_borders
from rooftop.coco import CocoObject, Picture, open_index, pictures, write_annotations
from rooftop.coco.parse import Category
from rooftop.data.splits import cells_of

TILE, COLUMNS, ROWS = 96, 12, 10
BUILDING = Category(id=100, name="building")
EMBEDDED = Path(__file__).resolve().parents[2] / "data/banepa/annotations"


def town(keep=lambda *box: True, seed=0):
    """Boxes (left, top, right, bottom) of roofs on ground that goes on beyond the tiles, those that `keep` lets in."""
    rng = np.random.default_rng(seed)
    width, height = COLUMNS * TILE + 40, ROWS * TILE + 40
    corners = rng.uniform(-20, (width - 20, height - 20), (width * height // 500, 2)).round(1)
    boxes = np.hstack([corners, corners + rng.integers(12, 18, corners.shape)])
    return np.array([box for box in boxes.tolist() if keep(*box)])


def crosses(left, top, right, bottom):
    return left < 0 or top < 0 or right > COLUMNS * TILE or bottom > ROWS * TILE


def labels(tmp_path, boxes, name="18_{x}_{y}.png", every=1, crowds=()):
    """The annotations of such roofs, cut at the edges of the tiles."""
    numbers, content = count(1), []
    for x, y in product(range(0, COLUMNS, every), range(0, ROWS, every)):
        cut = np.clip(boxes - np.tile([x, y], 2) * TILE, 0, TILE)
        objects = []
        for left, top, right, bottom in cut[((cut[:, 2:] - cut[:, :2]) > 0).all(axis=1)].tolist():
            ring = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            objects.append(CocoObject(next(numbers), 100, False, (right - left) * (bottom - top), [ring], None))
        objects += [CocoObject(next(numbers), 100, True, 1.0, [ring], None) for ring in crowds]
        content.append(Picture(len(content) + 1, name.format(x=x, y=y), TILE, TILE, objects))
    write_annotations(tmp_path / "labels.json", content, [BUILDING])
    return open_index(tmp_path / "labels.json", cache=tmp_path / "index")


def found(index):
    return undrawn_borders(index, cells_of(index.names))


def test_nothing_is_found_where_all_roofs_are_drawn(tmp_path):
    assert found(labels(tmp_path, town())) == []


@pytest.mark.parametrize("name", ["18_{x}_{y}.png", "banepa_18_{x}_{y}.png"])
def test_roofs_that_cross_the_border_are_missed_on_every_side(tmp_path, name):
    index = labels(tmp_path, town(lambda *box: not crosses(*box)), name)
    borders = found(index)
    sides = {side for border in borders for _, side in border.edges}
    assert sides == {"left", "right", "top", "bottom"}
    assert sum(len(border.edges) for border in borders) == 2 * (COLUMNS + ROWS)
    for border in borders:
        assert border.touching < 5 < 20 <= border.usual  # a few end within a pixel of the border, without crossing it
        assert 4 <= border.width <= 16


def test_an_undrawn_strip_is_left_out_as_wide_as_it_is(tmp_path):
    (border,) = found(labels(tmp_path, town(lambda left, top, right, bottom: top > 30)))
    assert {side for _, side in border.edges} == {"top"}
    assert 30 <= border.width <= 48


def test_a_town_that_thins_out_is_no_fault(tmp_path):
    rng = np.random.default_rng(1)
    index = labels(tmp_path, town(lambda left, top, right, bottom: rng.random() < 0.3 + left / (COLUMNS * TILE)))
    assert found(index) == []


def test_what_somebody_marked_as_not_judged_is_not_found_again(tmp_path):
    strip = np.array([[0, 0], [TILE, 0], [TILE, 8], [0, 8]], float)
    index = labels(tmp_path, town(lambda left, top, right, bottom: top > 30), crowds=[strip])
    assert found(index) == []


def test_tiles_chosen_by_their_roofs_are_no_fault(tmp_path):
    """No roof crosses into a tile that is left out, since it would have been taken for that roof."""
    rng = np.random.default_rng(2)
    middles = rng.uniform(0, (COLUMNS * TILE, ROWS * TILE), (5, 2))
    boxes = [b for b in town().tolist() if (np.hypot(*(middles - b[:2]).T) < 1.2 * TILE).any()]
    (tmp_path / "all").mkdir()
    every = labels(tmp_path / "all", np.array(boxes))
    filled = [cell if every.objects(row) else None for row, cell in enumerate(cells_of(every.names))]
    assert any(cell is None for cell in filled)
    assert undrawn_borders(every, filled) == []


def test_streets_along_the_border_are_no_fault(tmp_path):
    """Every 48 px a street, of which one lies on each border: inner lines are as empty."""

    def between_streets(left, top, right, bottom):
        return all(low % 48 > 6 and low // 48 == (high + 6) // 48 for low, high in ((left, right), (top, bottom)))

    assert found(labels(tmp_path, town(between_streets))) == []


def test_names_that_tell_no_place_are_left_alone(tmp_path):
    assert found(labels(tmp_path, town(lambda *box: not crosses(*box)), name="picture{x}x{y}.png")) == []


def test_scattered_tiles_are_judged_together(tmp_path):
    def whole(left, top, right, bottom):
        return left // TILE == right // TILE and top // TILE == bottom // TILE

    borders = found(labels(tmp_path, town(whole), every=2))
    assert sum(len(border.edges) for border in borders) == COLUMNS // 2 * ROWS // 2 * 4
    assert sum(border.usual for border in borders) >= 100
    assert found(labels(tmp_path, town(), every=2)) == []


def test_edges_towards_another_split_are_judged_apart(tmp_path):
    """Roofs are cut there, not missing, and do not hide those that are missing where the ground ends."""
    index = labels(tmp_path, town(lambda *box: not box[1] < 0 or box[0] < COLUMNS // 2 * TILE))
    cells = cells_of(index.names)
    test_split = {(grid, x, -1) for grid, x, _ in cells if x < COLUMNS // 2}
    assert undrawn_borders(index, cells) == []
    (border,) = undrawn_borders(index, cells, test_split)
    assert {cells[row][1] for row, _ in border.edges} == set(range(COLUMNS // 2, COLUMNS))


def test_a_category_is_judged_by_itself(tmp_path):
    """Roads that are drawn through the border say nothing of the roofs."""
    index = labels(tmp_path, town(lambda *box: not crosses(*box)))
    road = Category(id=7, name="road")
    numbers = count(10**6)
    ring = np.array([[0, 40], [TILE, 40], [TILE, 50], [0, 50]], float)
    ways = [
        [replace(thing, category_id=7, annotation_id=next(numbers), rings=[ring[:, ::turn]]) for turn in (1, -1)]
        for thing in [CocoObject(1, 7, False, 1.0, [ring], None)] * len(index)
    ]
    both = [replace(one, objects=[*one.objects, *way]) for one, way in zip(pictures(index), ways, strict=True)]
    write_annotations(tmp_path / "both.json", both, [BUILDING, road])
    index = open_index(tmp_path / "both.json", cache=tmp_path / "index")
    borders = found(index)
    assert {side for border in borders for _, side in border.edges} == {"left", "right", "top", "bottom"}
    areas = doubtful_areas(index, borders)
    assert {thing.category_id for things in areas.values() for thing in things} == {100}


def test_a_scrap_of_a_tile_does_not_end_the_lines_of_the_others(tmp_path):
    index = labels(tmp_path, town(lambda *box: not crosses(*box)))
    content = [*pictures(index)]
    content[3] = replace(content[3], width=5, objects=[])
    write_annotations(tmp_path / "scrap.json", content, [BUILDING])
    borders = found(open_index(tmp_path / "scrap.json", cache=tmp_path / "index"))
    assert "left" in {side for border in borders for _, side in border.edges}


def test_the_border_is_not_judged_and_roofs_on_it_are(tmp_path):
    index = labels(tmp_path, town(lambda *box: not crosses(*box)))
    borders = found(index)
    areas = doubtful_areas(index, borders)
    marked = [
        Picture(one.id, one.name, one.height, one.width, [*one.objects, *areas.get(row, ())])
        for row, one in enumerate(pictures(index))
    ]
    write_annotations(tmp_path / "fixed.json", marked, index.categories)
    fixed = open_index(tmp_path / "fixed.json", cache=tmp_path / "index")
    assert not len(fixed.rejected)
    width = {side: border.width for border in borders for row, side in border.edges if row == 0}
    assert set(width) == {"left", "top"}
    before, judged = index.truth(0, [100])[0][0], fixed.truth(0, [100])
    np.testing.assert_array_equal(judged[0][0], before)
    expected = np.ones((TILE, TILE), bool)
    expected[: width["top"]] = expected[:, : width["left"]] = False
    np.testing.assert_array_equal(judged[1], expected | (before > 0))
    assert fixed.truth(ROWS + 1, [100])[1].all()  # a tile inside is judged whole
    assert found(fixed) == []


def test_the_embedded_labels_miss_roofs_at_their_border(tmp_path):
    index = open_index(EMBEDDED / "test.json", cache=tmp_path)
    borders = found(index)
    assert sorted(border.edges[0][1] for border in borders) == ["bottom", "left", "right", "top"]
    assert sum(border.touching for border in borders) <= 3
    assert sum(border.usual for border in borders) >= 100
    train = open_index(EMBEDDED / "train.json", cache=tmp_path)
    widest = max(found(train), key=lambda border: border.width)
    assert {side for _, side in widest.edges} == {"top"}
    assert len(widest.edges) == 15
    assert 77 <= widest.width <= 96  # nobody drew the northernmost 77 px
    apart = undrawn_borders(train, cells_of(train.names), cells_of(index.names))
    assert sorted(len(border.edges) for border in apart if border.width >= 77) == [6, 8]  # six touch the test ground
