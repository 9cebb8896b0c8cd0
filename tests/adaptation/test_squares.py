"""Tiles of checked squares: what is learned, what is not judged, and rounds of corrections after one another."""

import json

import numpy as np
import pytest
import shapely
from PIL import Image
from shapely import Polygon, box

from rooftop.adaptation.corrections import Corrections, Site, Square
from rooftop.adaptation.squares import read_squares, with_earlier, write_squares
from rooftop.coco import open_index
from rooftop.errors import DataError
from rooftop.raster.scene import open_bands
from rooftop.raster.windows import Window
from tests.adaptation.conftest import HEIGHT, PLACE, WIDTH, write_raster

MARGIN = 16  # pixels: 8 m at half a metre; UTM differs by less than a thousandth
OUTLINE = box(40, 30, 80, 70)
ROOFS = [box(50, 40, 60, 50), box(70, 35, 110, 45)]


def corrections(source, *squares):
    return Corrections([Site(source, (HEIGHT, WIDTH), PLACE, [Square(*each) for each in squares])])


@pytest.fixture
def drawn(tmp_path):
    """drawn(folder, tile) -> roof and judged, bool (h, w), as training sees a tile."""

    def draw(folder, tile):
        index = open_index(folder / "annotation.json", cache=tmp_path / "index")
        mask, valid = index.truth(index.names.index(tile.file), [100])
        return mask[0].astype(bool), valid

    return draw


def test_a_square_becomes_a_tile_with_a_margin_that_is_not_judged(source, tmp_path, drawn):
    folder = tmp_path / "squares"
    (tile,) = write_squares(folder, corrections(source, (OUTLINE, ROOFS)))
    assert sorted(path.name for path in folder.iterdir()) == ["annotation.json", "images", "squares.json"]
    low = MARGIN + 1  # what is not a whole pixel is taken along
    assert (tile.column, tile.row) in [(40 - MARGIN, 30 - MARGIN), (40 - low, 30 - low)]
    assert (tile.width, tile.height) == (40 + 2 * (40 - tile.column), 40 + 2 * (30 - tile.row) - max(0, 84 - HEIGHT))
    assert tile.gsd == pytest.approx(0.5, rel=1e-3)
    assert (tile.file, tile.source, tile.roofs) == (f"city_{tile.row:06d}_{tile.column:06d}.png", "city.tif", 2)
    x, y = 40 - tile.column, 30 - tile.row
    assert tile.polygon.equals(box(x, y, x + 40, y + 40))
    assert shapely.transform(tile.ground, PLACE.from_lonlat).symmetric_difference(OUTLINE).area < 1

    pixels = np.asarray(Image.open(folder / "images" / tile.file))
    with open_bands(str(source)) as scene:
        values = scene.values(Window(0, 0, WIDTH, HEIGHT))[0]
    part = np.s_[tile.row : tile.row + tile.height, tile.column : tile.column + tile.width]
    assert (pixels == np.moveaxis(values, 0, -1)[part]).all()

    roof, judged = drawn(folder, tile)
    inside, expected = np.zeros((2, HEIGHT, WIDTH), bool)
    inside[30:70, 40:80] = True
    expected[40:50, 50:60] = expected[35:45, 70:110] = True  # the second roof ends with the tile, not with the square
    assert (roof == expected[part]).all()
    assert (judged == inside[part]).all()
    assert read_squares(folder) == [tile]


def test_ground_without_data_is_not_judged(source, tmp_path, drawn):
    write_raster(source, known=np.broadcast_to(np.arange(WIDTH) < 70, (HEIGHT, WIDTH)))
    (tile,) = write_squares(tmp_path / "a", corrections(source, (OUTLINE, ROOFS)))
    roof, judged = drawn(tmp_path / "a", tile)
    # the second roof begins where the data end: nothing of it is drawn
    assert (judged.sum(), roof.sum()) == (30 * 40, 100)


def test_other_bands_become_geotiffs(tmp_path):
    pixels = write_raster(tmp_path / "four.tif", bands=4, dtype="uint16")
    (tile,) = write_squares(tmp_path / "a", corrections(tmp_path / "four.tif", (OUTLINE, [])))
    assert tile.file.endswith(".tif")
    with open_bands(str(tmp_path / "a" / "images" / tile.file)) as scene:
        assert (scene.channels, scene.height, scene.width) == (4, tile.height, tile.width)
        values, _ = scene.values(Window(0, 0, 5, 5))
    assert (values == pixels[:, tile.row : tile.row + 5, tile.column : tile.column + 5]).all()


def test_large_ground_is_cut_into_about_equal_squares(source, tmp_path):
    """A ground of 160 x 96 px is 80 x 48 m; with 30 m a side: 3 x 2 cells. An L leaves one of them out."""
    ground = box(0, 0, WIDTH, HEIGHT) - box(0, 0, WIDTH / 3, HEIGHT / 2)
    tiles = write_squares(tmp_path / "a", corrections(source, (ground, ROOFS)), largest=30)
    assert [tile.polygon.area for tile in tiles] == pytest.approx([WIDTH / 3 * HEIGHT / 2] * 5)
    # the first roof lies in the first cell, which is left out, up to column 53.3 and row 48, and in three others
    assert [tile.roofs for tile in tiles] == [2, 1, 1, 1, 0]
    assert len({tile.file for tile in tiles}) == 5


def test_sources_of_one_name_and_several_resolutions(tmp_path):
    paths = [tmp_path / name / "city.tif" for name in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        write_raster(path)
    found = Corrections([Site(path, (HEIGHT, WIDTH), PLACE, [Square(OUTLINE, ROOFS)]) for path in paths])
    one, two = write_squares(tmp_path / "a", found)
    assert two.file == one.file.replace(".png", "_2.png")


def test_a_second_round_keeps_earlier_squares_on_other_ground(source, tmp_path, drawn):
    left, right = box(0, 0, 40, 40), box(100, 40, 140, 80)
    early = write_squares(tmp_path / "old", corrections(source, (left, [box(5, 5, 15, 20)]), (right, [])))
    again = [(left, []), (box(100, 40, 119, 80), [box(105, 50, 112, 60)])]  # the second covers less than half
    new = write_squares(tmp_path / "new", corrections(source, *again))
    tiles = with_earlier(tmp_path / "new", tmp_path / "old")
    assert [tile.polygon for tile in tiles] == [*(tile.polygon for tile in new), early[1].polygon]
    assert tiles[2].file == early[1].file.replace(".png", "_2.png")  # both begin at the same pixel
    assert read_squares(tmp_path / "new") == tiles
    assert [drawn(tmp_path / "new", tile)[0].sum() for tile in tiles] == [0, 70, 0]
    assert [drawn(tmp_path / "new", tile)[1].sum() for tile in tiles] == [1600, 19 * 40, 1600]
    content = json.loads((tmp_path / "new" / "annotation.json").read_text())
    ids = [each["id"] for each in content["annotations"]]
    assert len(set(ids)) == len(ids)
    assert read_squares(tmp_path / "old") == early
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["annotation.json", "images", "squares.json"]


def test_a_folder_appears_whole_or_not_at_all(source, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(DataError, match="mine: holds other files"):
        write_squares(tmp_path / "mine", corrections(source, (OUTLINE, ROOFS)))
    write_squares(tmp_path / "a", corrections(source, (OUTLINE, ROOFS)))
    write_squares(tmp_path / "a", corrections(source, (box(0, 0, 30, 30), [])))
    assert [tile.roofs for tile in read_squares(tmp_path / "a")] == [0]
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "a", "city.tif"}


def test_damaged_squares_are_one_sentence(source, tmp_path):
    folder = tmp_path / "a"
    (tile,) = write_squares(folder, corrections(source, (Polygon([(5, 5), (30, 5), (5, 30)]), [])))
    path = folder / "squares.json"
    good = path.read_text()
    for old, new in (('"gsd"', '"gsb"'), (tile.file, "../a.png"), ("[\n", ""), (": 0,", ": null,")):
        path.write_text(good.replace(old, new, 1))
        with pytest.raises(DataError, match=r"squares.json: .*write them again\.$"):
            read_squares(folder)
    path.write_text(good)
    (folder / "images" / tile.file).unlink()
    with pytest.raises(DataError, match="no such file"):
        read_squares(folder)
