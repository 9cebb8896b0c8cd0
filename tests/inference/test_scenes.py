import numpy as np
import pytest
from PIL import Image
from rasterio import Affine
from rasterio.shutil import copy

from rooftop.errors import SourceError
from rooftop.inference import Predictor

EARTH = {"crs": "EPSG:4326", "transform": Affine(360 / 110, 0, -180, 0, -180 / 80, 90)}


def test_a_scene_with_no_place_on_the_earth_is_listed_and_the_others_predicted(find, raster, town, tmp_path):
    raster(town, "a.tif")
    raster(town, "b.tif", crs='LOCAL_CS["site grid",UNIT["metre",1]]')
    raster(town, "c.tif", transform=Affine(0.3, 0, 1e12, 0, -0.3, 1e12))
    raster(town, "d.tif", **EARTH)
    summary = find(tmp_path / "*.tif")
    assert [row["roofs"] for row in summary["pictures"]] == [12]
    site, beyond, coarse = (item["why"] for item in summary["skipped"])
    assert (
        "b.tif: its place on the map has no longitude and latitude; give it the right one by crs=EPSG:CODE, or gdal"
        in site
    )
    assert "c.tif: its place on the map" in beyond
    assert "m are too large for a run trained at 0.30 m" in coarse


def test_a_folder_of_pictures_with_world_files_is_placed_by_a_reference_system(find, town, tmp_path):
    """Roofs of 13.5 m2; one picture lacks its world file."""
    (tmp_path / "city").mkdir()
    for name, world in (("a.jpg", "a.jgw"), ("b.png", "b.pgw"), ("c.tif", "c.tfw"), ("d.png", None)):
        Image.fromarray(np.moveaxis(town, 0, -1)).save(tmp_path / "city" / name, quality=95)
        if world:
            (tmp_path / "city" / world).write_text("0.3\n0\n0\n-0.3\n500000.15\n2999999.85\n")
    summary = find(tmp_path / "city", crs="EPSG:32645")
    rows = summary["pictures"]
    assert [row["reference_system"] for row in rows] == ["EPSG:32645"] * 3
    assert [row["roof_m2"] for row in rows] == pytest.approx([12 * 13.5] * 3, rel=5e-3)
    assert all((tmp_path / "out" / "roofs" / f"{name}.gpkg").is_file() for name in "abc")
    assert ["d.png: crs=EPSG:32645 cannot place it" in item["why"] for item in summary["skipped"]] == [True]
    unplaced = find(tmp_path / "city", out="pixels")["pictures"]
    assert [row["roof_m2"] for row in unplaced[:3]] == pytest.approx([12 * 13.5] * 3, rel=5e-3)
    assert "roof_px2" in unplaced[3]


def test_pixels_far_too_large_for_the_run_are_no_reason_where_nothing_is_scaled(find, raster, town):
    path = raster(town, **EARTH)
    with pytest.raises(SourceError, match="too large for a run"):
        find(path)
    assert find(path, rescale=False)["roofs"] == 12


def test_gsd_changes_what_the_network_sees_and_nothing_that_is_measured(find, raster, town):
    """A roof has 13.5 m2; at the 0.25 m that are claimed it would have 9.4, and be dropped."""
    path = raster(town)
    rows = [find(path, gsd=gsd, rescale=rescale)["pictures"][0] for gsd, rescale in ((None, False), (0.25, False))]
    assert rows[0]["roofs"] == rows[1]["roofs"] == 12
    assert rows[0]["roof_m2"] == rows[1]["roof_m2"] == pytest.approx(12 * 13.5, rel=5e-3)
    assert rows[0]["metres_per_pixel"] == rows[1]["metres_per_pixel"] == pytest.approx(0.3, rel=1e-3)
    assert find(path, gsd=0.6)["pictures"][0]["scaled_by"] == 2


def test_a_mosaic_whose_file_changed_is_not_gone_on_with(find, raster, town, bright, tmp_path, monkeypatch):
    copy(raster(town), tmp_path / "mosaic.vrt", driver="VRT")
    forward, looks = Predictor.forward, []

    def stopped(self, pictures):
        looks.append(1)
        if len(looks) == 2:
            raise KeyboardInterrupt
        return forward(self, pictures)

    monkeypatch.setattr(Predictor, "forward", stopped)
    with pytest.raises(KeyboardInterrupt):
        find(tmp_path / "mosaic.vrt")
    raster(255 - town)
    (row,) = find(tmp_path / "mosaic.vrt")["pictures"]
    assert row["roof_pixels"] == 80 * 110 - 12 * 150


def test_pixels_that_are_not_square_on_the_ground_are_told_with_what_to_do(find, raster, town, caplog):
    degrees = {"crs": "EPSG:4326", "transform": Affine(2.7e-6, 0, 2.35, 0, -2.7e-6, 48.85)}
    find(raster(town), rescale=False)
    assert "squeezed" not in caplog.text
    find(raster(town, **degrees), rescale=False)
    assert "pixels are 0.20 x 0.30 m, so roofs look squeezed" in caplog.text
    assert "gdalwarp -t_srs EPSG:32631" in caplog.text


@pytest.mark.parametrize("views", [None, "d4"])
def test_pixels_that_are_not_square_on_the_ground_are_shown_as_squares(find, raster, town, caplog, monkeypatch, views):
    """Of 0.30 m x 0.45 m, to a run that learned at 0.3 m: columns stay as they are, rows become half as many again."""
    caplog.set_level("INFO")
    seen, forward = [], Predictor.forward
    monkeypatch.setattr(Predictor, "forward", lambda self, batch: seen.append(batch.shape[1:3]) or forward(self, batch))
    degrees = {"crs": "EPSG:4326", "transform": Affine(4.05e-6, 0, 2.35, 0, -4.05e-6, 48.85)}
    summary = find(raster(town, **degrees), window=256, batch=1, views=views)
    assert "pixels are 0.30 x 0.45 m; scaled to squares" in caplog.text
    assert {*seen} == ({(120, 109), (109, 120)} if views else {(120, 109)})
    assert summary["roofs"] == 12
    assert summary["pictures"][0]["scaled_by"] == pytest.approx(1.22, abs=0.01)


@pytest.mark.parametrize("views", [None, "flips", "scales"])
def test_the_network_sees_no_larger_windows_where_it_looks_at_several_sizes(find, raster, picture, monkeypatch, views):
    """Memory grows with them."""
    seen, forward = [], Predictor.forward
    monkeypatch.setattr(Predictor, "forward", lambda self, batch: seen.append(batch.shape[1:3]) or forward(self, batch))
    find(raster(picture), batch=1, views=views)
    assert max(max(sides) for sides in seen) in (64, 65)  # 49 px are seen as 64


def test_roofs_lie_on_their_houses_in_the_overlay_of_a_long_scene(find, raster, tmp_path):
    """Thinned out, sides are rounded each by itself: 9,000 x 100 px to 3,000 x 33."""
    values = np.full((3, 9000, 100), 30, np.uint8)
    values[:, 8900:8948, 40:70] = 220
    assert find(raster(values))["roofs"] == 1
    overlay = np.asarray(Image.open(tmp_path / "out" / "overlays" / "scene.png")).astype(int)
    rows = np.flatnonzero((overlay.max(-1) != overlay.min(-1)).any(axis=1))  # what is coloured
    assert rows.min() >= 8900 / 3 - 2
    assert rows.max() <= 8948 / 3 + 2
