"""What QGIS leaves in the GeoPackage of a prediction is read; what cannot be used is refused in one sentence."""

import shutil

import geopandas
import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Polygon, box

from rooftop.adaptation.changes import Changes, compare
from rooftop.adaptation.corrections import read_corrections
from rooftop.errors import ConfigError, DataError, SourceError
from tests.adaptation.conftest import HEIGHT, ROOFS, SQUARES, WIDTH, opened, write_layer, write_raster


def areas(shapes):
    return sorted(np.round(shapely.area(shapes), 3).tolist())


def test_edits_in_checked_squares_are_read_and_counted(source, predicted):
    with opened(predicted) as edit:
        edit.reshape(1, box(10, 10, 30, 44))
        edit.delete(3)
        edit.add(box(2, 50, 20, 58))
        edit.add(box(130, 42, 135, 48))  # in a square that is not checked
        edit.check(1, 2)
    found = read_corrections([source], corrected=[predicted])
    (site,) = found.sites
    assert [square.outline.normalize() for square in site.squares] == [each.normalize() for each in SQUARES[:2]]
    assert [areas(square.roofs) for square in site.squares] == [[18 * 8, 20 * 34, 40 * 30], [40 * 30]]
    assert (found.squares, found.roofs) == (2, 3)  # the roof across the border counts once, and is whole in both
    assert found.changes == Changes(kept=1, reshaped=1, added=1, removed=1)
    assert (found.repaired, found.left_out) == (0, {})


def test_edits_in_the_log_of_a_file_that_is_open_are_read(source, predicted):
    with opened(predicted) as edit:
        edit.delete(1)
        edit.check(1)
        assert (predicted.parent / "roofs.gpkg-wal").stat().st_size
        before = predicted.read_bytes()
        found = read_corrections([source], corrected=[predicted])
        assert predicted.read_bytes() == before
    assert (found.squares, found.roofs, found.changes.removed) == (1, 1, 1)


def test_a_read_only_folder_with_a_log_is_read(source, predicted, tmp_path):
    """As a copy of a folder that QGIS had open, on a disk nobody may write on."""
    folder = tmp_path / "copy"
    folder.mkdir()
    with opened(predicted) as edit:
        edit.delete(1)
        edit.check(1)
        for path in predicted.parent.glob("roofs.gpkg*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder / path.name)
    for path in folder.iterdir():
        path.chmod(0o400)
    folder.chmod(0o500)
    try:
        found = read_corrections([source], corrected=[folder / "roofs.gpkg"])
    finally:
        folder.chmod(0o700)
    assert sorted(path.name for path in folder.iterdir()) == ["roofs.gpkg", "roofs.gpkg-wal"]
    assert (found.squares, found.roofs, found.changes) == (1, 1, None)  # no roofs.geojson beside it


@pytest.mark.parametrize("value", [1, "true", "True", "1", 1.0, "yes"])
def test_checked_is_true_in_all_its_forms(source, predicted, value):
    with opened(predicted) as edit:
        edit.check(1, value=value)
        edit.check(2, value=0 if isinstance(value, int | float) else "false")
        edit.check(3, value=None)
    found = read_corrections([source], corrected=[predicted])
    assert [square.outline.normalize() for square in found.sites[0].squares] == [SQUARES[0].normalize()]


def test_a_split_roof_is_one_reshaped_and_one_new(source, predicted):
    with opened(predicted) as edit:
        edit.reshape(1, box(10, 10, 30, 30))
        edit.add(box(10, 30, 30, 40))
        edit.check(1)
    found = read_corrections([source], corrected=[predicted])
    assert found.changes == Changes(kept=1, reshaped=1, added=1, removed=0)


def test_parts_heights_gaps_and_bad_outlines_are_read(source, predicted):
    bow = Polygon([(2, 42), (12, 52), (12, 42), (2, 52)])
    with opened(predicted) as edit:
        edit.database.execute("ALTER TABLE roofs ADD COLUMN levels INTEGER")
        edit.delete(2)
        edit.delete(3)
        edit.add(box(40, 20, 50, 30))  # fid 5, without attributes
        edit.reshape(1, MultiPolygon([box(10, 10, 20, 20), box(30, 10, 40, 20)]))
        edit.add(shapely.force_3d(box(20, 40, 30, 50), 7.5))
        edit.add(bow)
        edit.add(Polygon())
        edit.add(None)
        edit.add(shapely.LineString([(5, 5), (8, 8)]))
        edit.check(1)
    found = read_corrections([source], corrected=[predicted])
    # the bow is two triangles of 10 x 5 / 2
    assert areas(found.sites[0].squares[0].roofs) == [25, 25, 100, 100, 100, 100]
    assert found.repaired == 1
    assert found.left_out["roof: feature not an area"] == 1


def test_a_file_saved_anew_by_geopandas_is_read(source, predicted):
    """Other order of layers, other names of columns, text for boolean."""
    roofs, squares = (geopandas.read_file(predicted, layer=layer) for layer in ("roofs", "check_first"))
    squares["checked"] = ["true", "no", None]
    other = predicted.with_name("mine.gpkg")
    squares.to_crs(4326).to_file(other, layer="check_first")
    roofs.to_crs(3857).rename_geometry("wkb_geometry").drop(columns="confidence").to_file(other, layer="roofs")
    found = read_corrections([source], corrected=[other])
    assert areas(found.sites[0].squares[0].roofs) == [600, 1200]
    assert found.changes == Changes(kept=2)


def test_a_roof_drawn_twice_counts_once(source, predicted):
    with opened(predicted) as edit:
        edit.add(ROOFS[0])
        edit.check(1)
    found = read_corrections([source], corrected=[predicted])
    assert (found.roofs, found.left_out) == (2, {"roof drawn twice": 1})


def test_overlap_belongs_to_the_earlier_square_and_squares_end_with_the_raster(source, predicted):
    with opened(predicted) as edit:
        edit.check(2, 3)
        edit.add(box(-30, 70, 40, 130), layer="check_first")
        edit.check(4)
    found = read_corrections([source], corrected=[predicted])
    # 60 x 56 less the corner of 20 x 20 in the square before; the last one ends with the raster
    assert [square.outline.area for square in found.sites[0].squares] == [3600, 60 * 56 - 400, 40 * 26]


def test_ground_belongs_to_the_first_source_with_data(source, predicted, tmp_path):
    """The second source begins 80 pixels farther east; the first has no data from column 100."""
    write_raster(source, known=np.broadcast_to(np.arange(WIDTH) < 100, (HEIGHT, WIDTH)))
    write_raster(tmp_path / "east.tif", shift=80)
    with opened(predicted) as edit:
        edit.check(1, 2, 3)
        edit.add(box(150, 0, 240, 40), layer="check_first")
        edit.add(box(300, 0, 340, 40), layer="check_first")
        edit.check(4, 5)
        edit.add(box(230, 10, 260, 20))
    found = read_corrections([source, tmp_path / "east.tif"], corrected=[predicted])
    west, east = found.sites
    assert [square.outline.bounds for square in west.squares] == [(0, 0, 60, 60), (60, 0, 120, 60)]
    # in pixels of the eastern one: square 3 less what square 2 covers, and square 4, which both rasters touch
    assert east.squares[0].outline.bounds == pytest.approx((20, 40, 80, 96))
    assert east.squares[1].outline.bounds == pytest.approx((70, 0, 160, 40))
    assert [square.outline.area for square in east.squares] == pytest.approx([60 * 56 - 400, 90 * 40])
    assert [areas(square.roofs) for square in east.squares] == [[900], [300]]
    assert found.left_out == {"checked square outside the sources": 1}


def test_roofs_come_from_the_file_of_their_square(source, predicted):
    """Two people correct copies of one file."""
    other = predicted.with_name("other.gpkg")
    shutil.copy(predicted, other)
    with opened(predicted) as edit:
        edit.check(1)
        edit.delete(2)
    with opened(other) as edit:
        edit.check(2)
        edit.delete(3)
    found = read_corrections([source], corrected=[predicted, other])
    assert [areas(square.roofs) for square in found.sites[0].squares] == [[600], [1200]]
    assert found.changes == Changes(kept=2, removed=2)


def test_footprints_and_area_apart(source, tmp_path):
    write_layer(tmp_path / "osm.geojson", None, ROOFS, crs="EPSG:32645")
    write_layer(tmp_path / "areas.gpkg", "old", SQUARES[:1])
    write_layer(tmp_path / "areas.gpkg", "new", [MultiPolygon([box(0, 0, 50, 50), box(84, 0, 120, 40)])])
    given = {"footprints": tmp_path / "osm.geojson", "area": tmp_path / "areas.gpkg"}
    found = read_corrections([source], area_layer="new", **given)
    assert [areas(square.roofs) for square in found.sites[0].squares] == [[600, 1200], [400]]
    assert found.changes is None
    with pytest.raises(DataError, match="say which holds the checked ground: area_layer=old or new"):
        read_corrections([source], **given)


def test_a_source_with_corners_only_takes_the_named_system(source, predicted):
    write_raster(source, crs=None)
    with opened(predicted) as edit:
        edit.check(1)
    with pytest.raises(SourceError, match=r"city.tif: corrections cannot be laid on it: .*crs=EPSG:"):
        read_corrections([source], corrected=[predicted])
    assert read_corrections([source], corrected=[predicted], crs="EPSG:32645").roofs == 2


# --- refusals ---


def refused(error, text, *args, **options):
    with pytest.raises(error, match=text) as caught:
        read_corrections(*args, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".") or "ogr2ogr" in str(caught.value)


def test_nothing_or_both_is_refused(source, predicted):
    refused(ConfigError, "corrected= is not set; give the roofs.gpkg", [source])
    refused(ConfigError, "area=FILE is missing", [source], footprints=predicted)
    refused(ConfigError, "footprints=FILE is missing", [source], area=predicted)
    refused(ConfigError, "leave footprints= and area= out", [source], corrected=[predicted], area=predicted)


def test_nothing_checked_is_refused_with_how_to_check(source, predicted):
    refused(
        DataError, "no square of layer check_first is checked; in QGIS, set its field", [source], corrected=[predicted]
    )
    with opened(predicted) as edit:
        edit.check(1, value="false")
        refused(DataError, f"^{predicted}: no square of layer", [source], corrected=[predicted])


def test_missing_layers_and_fields_are_refused(source, predicted, tmp_path):
    path = tmp_path / "a.gpkg"
    write_layer(path, "roofs", ROOFS)
    refused(DataError, "has no layer check_first, the squares that were checked", [source], corrected=[path])
    write_layer(path, "check_first", SQUARES)
    refused(DataError, "layer check_first has no field checked; add a boolean field", [source], corrected=[path])
    path.unlink()
    write_layer(path, "check_first", SQUARES, checked=np.ones(3, bool))
    refused(DataError, "has no layer roofs; save the corrected roofs under that name", [source], corrected=[path])
    refused(DataError, "no such file", [source], corrected=[tmp_path / "b.gpkg"])
    (tmp_path / "b.gpkg").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    refused(DataError, "not a vector file that can be read", [source], corrected=[tmp_path / "b.gpkg"])


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_layer_without_reference_system_is_refused(source, tmp_path):
    path = tmp_path / "a.gpkg"
    write_layer(path, "roofs", ROOFS)
    write_layer(path, "check_first", SQUARES, crs=None, checked=np.ones(3, bool))
    refused(DataError, "has no reference system; assign one", [source], corrected=[path])


def test_corrections_of_other_ground_are_refused(source, predicted):
    write_raster(source, shift=100_000)
    with opened(predicted) as edit:
        edit.check(1)
    refused(DataError, "no checked square lies on .*city.tif; give the source", [source], corrected=[predicted])


def test_squares_where_the_source_has_no_data_are_refused(source, predicted):
    write_raster(source, known=np.zeros((HEIGHT, WIDTH), bool))
    with opened(predicted) as edit:
        edit.check(1)
    refused(DataError, "city.tif has no data where squares are checked", [source], corrected=[predicted])


# --- changes ---


def test_changes_are_counted_by_hand():
    before = [box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10), box(60, 0, 70, 10)]
    court = Polygon(before[3].exterior, [box(63, 3, 66, 6).exterior])
    # moved by 2 cm of half a metre a pixel; by 3 px: 70 / 130 of both; by 4 px: 60 / 140 is another roof
    after = [box(0.04, 0, 10.04, 10), box(23, 0, 33, 10), box(44, 0, 54, 10), court]
    assert compare(before, after, pixel=(0.5, 0.5)) == Changes(kept=1, reshaped=2, added=1, removed=1)
    assert compare(before, [], pixel=(0.5, 0.5)) == Changes(removed=4)
    assert compare([], after, pixel=(0.5, 0.5)) == Changes(added=4)
