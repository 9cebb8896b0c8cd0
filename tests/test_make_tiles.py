"""From GIS data to a data set: the script as people run it."""

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image
from pyproj import Transformer
from shapely import Polygon, box

from rooftop.coco import open_index
from rooftop.raster.rasterise import rasterise
from rooftop.raster.resample import resampled
from rooftop.raster.scene import open_bands, open_scene
from rooftop.raster.windows import Window

logging.getLogger("pyogrio").setLevel(logging.WARNING)  # it tells of every file that the tests write
DATA = Path(__file__).parents[1] / "data" / "banepa"
AFFINE = Affine(0.5, 0, 300_000, 0, -0.5, 3_100_000)  # half a metre in UTM 45 N
HEIGHT, WIDTH = 96, 160


def write_raster(
    path: Path, *, nodata_from: int | None = None, mask_from: int | None = None, shift: int = 0
) -> np.ndarray:
    """`shift`: by how many pixels it lies farther east."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, HEIGHT, WIDTH)).astype(np.uint8)
    if nodata_from is not None:
        pixels[:, :, nodata_from:] = 0
    profile = {"driver": "GTiff", "height": HEIGHT, "width": WIDTH, "count": 3, "dtype": "uint8"}
    profile |= {"nodata": None if nodata_from is None else 0, "transform": AFFINE * Affine.translation(shift, 0)}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", crs="EPSG:32645", **profile) as file:
        file.write(pixels)
        if mask_from is not None:
            file.write_mask(np.arange(WIDTH) < np.full((HEIGHT, 1), mask_from))
    return pixels


def write_bands(path: Path, values: np.ndarray, **profile) -> None:
    shape = {"count": len(values), "height": HEIGHT, "width": WIDTH, "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32645", transform=AFFINE, **{**shape, **profile}) as file:
        file.write(values)


def write_footprints(path: Path, polygons: list[Polygon], affine: Affine = AFFINE, crs: str = "EPSG:32645") -> None:
    """Write polygons of the pixel frame as longitude and latitude, in the form that the suffix names."""
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)

    def place(points):
        return np.column_stack(to_lonlat.transform(*(affine * points.T)))

    geometry = shapely.to_wkb(shapely.transform(np.array(polygons, object), place))
    kind = {".geojson": "GeoJSON", ".gpkg": "GPKG", ".shp": "ESRI Shapefile"}[path.suffix]
    options = {"COORDINATE_PRECISION": "15"} if kind == "GeoJSON" else {}
    pyogrio.raw.write(
        path,
        geometry,
        [],
        [],
        geometry_type="Unknown" if kind != "ESRI Shapefile" else "Polygon",
        crs="EPSG:4326",
        driver=kind,
        **options,
    )


ROOFS = [
    box(10, 10, 30, 40),
    box(25, 50, 45, 90),
    Polygon(box(100, 20, 150, 60).exterior, [box(110, 30, 140, 50).exterior]),
]


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".shp"])
def test_tiles_of_every_vector_format(run_script, tmp_path, suffix):
    pixels = write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / f"roofs{suffix}", ROOFS)
    code, text = run_script(
        "make_tiles",
        f"source={tmp_path}/ortho.tif",
        f"footprints={tmp_path}/roofs{suffix}",
        "size=32",
        "shares={train: 0.6, val: 0.4, test: 0}",
        f"hydra.run.dir={tmp_path}/out",
    )
    assert code == 0, text
    whole = rasterise(ROOFS, HEIGHT, WIDTH)
    count = 0
    for split, columns in (("train", (0, 96)), ("val", (96, 160))):
        index = open_index(tmp_path / "out" / "annotations" / f"{split}.json", cache=tmp_path)
        for i, name in enumerate(index.names):
            row, column = (int(part) for part in Path(name).stem.split("_")[1:])
            assert columns[0] <= column < columns[1]
            picture = np.asarray(Image.open(tmp_path / "out" / "images" / split / name))
            assert np.array_equal(picture, np.moveaxis(pixels[:, row : row + 32, column : column + 32], 0, -1))
            assert np.array_equal(index.truth(i, [100])[0][0], whole[row : row + 32, column : column + 32])
            count += 1
    assert count == 15
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["made"]["train"]["tiles"] == 9


@pytest.fixture
def cut(run_script, tmp_path):
    """cut(*overrides) -> (exit code, text, report): tiles of what lies in `tmp_path`, into `tmp_path / out`."""

    def run(*overrides, shares="{train: 1, val: 0, test: 0}"):
        footprints = f"footprints={tmp_path}/roofs.gpkg"
        out = f"hydra.run.dir={tmp_path}/out"
        code, text = run_script("make_tiles", footprints, "size=32", f"shares={shares}", out, *overrides)
        report = tmp_path / "out" / "report.json"
        return code, text, json.loads(report.read_text()) if report.exists() else None

    return run


@pytest.mark.parametrize(
    "shares",
    [
        pytest.param("{train: 0.6, val: 0.2, test: 0.2}", marks=pytest.mark.slow),
        pytest.param("{train: 0.6, val: 0.4, test: 0}", marks=pytest.mark.slow),
        "{train: 0.6, val: 0, test: 0.4}",
    ],
)
def test_the_commands_that_are_told_check_and_train(run_script, cut, fast, tmp_path, shares):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text, _ = cut(f"source={tmp_path}", shares=shares)
    assert code == 0, text
    told = [line.split("python ")[1].split() for line in text.splitlines() if "python " in line]
    assert [command[0] for command in told] == ["check_data.py", "train.py", "train.py"]
    assert told.pop() == ["train.py", "experiment=finetune", *told[1][1:]]  # few tiles
    assert "data.gsd=0.5" in told[1]
    for script, *arguments in told:
        more = [*fast, "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run"] if script == "train.py" else []
        code, text = run_script(script.removesuffix(".py"), *arguments, *more)
        assert code == 0, text
    assert json.loads((tmp_path / "run" / "card.json").read_text())["gsd"] == 0.5


def test_ground_that_two_rasters_show_is_in_one_split(cut, tmp_path):
    write_raster(tmp_path / "a.tif")
    write_raster(tmp_path / "b.tif", shift=96)
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text, report = cut(f"source={tmp_path}", shares="{train: 0.6, val: 0.2, test: 0.2}")
    assert code == 0, text
    ground = {}
    for split in ("train", "val", "test"):
        for path in (tmp_path / "out" / "images" / split).iterdir():
            raster, row, column = path.stem.split("_")
            left = int(column) + (96 if raster == "b" else 0)
            ground.setdefault(split, []).append(box(left, int(row), left + 32, int(row) + 32))
    union = {split: shapely.union_all(tiles) for split, tiles in ground.items()}
    assert union["train"].intersection(union["val"]).area == 0
    assert union["train"].intersection(union["test"]).area == 0
    assert union["val"].intersection(union["test"]).area == 0
    assert report["left_out"]["tile on ground that another raster has claimed for another split"] > 0


def test_ground_without_data_is_not_judged(cut, tmp_path):
    write_raster(tmp_path / "ortho.tif", nodata_from=76)
    write_footprints(tmp_path / "roofs.gpkg", [box(66, 4, 90, 28)])
    code, text, report = cut(f"source={tmp_path}/ortho.tif", "min_valid=0.3")
    assert code == 0, text
    assert report["made"]["train"] == {"tiles": 9, "buildings": 1}
    index = open_index(tmp_path / "out" / "annotations" / "train.json", cache=tmp_path)
    mask, valid = index.truth([*index.names].index("ortho_000000_000064.png"), [100])
    assert valid[:, :12].all()
    assert not valid[:, 12:].any()
    assert np.array_equal(mask[0], rasterise([box(2, 4, 12, 28)], 32, 32))


AREA = box(20.25, 20.25, 96.75, 59.75)  # off the grid, where the way over degrees could move a border
ANGLE = Polygon([(2, 4), (12, 4), (12, 44), (24, 44), (24, 48), (2, 48)])  # meets the area in the second row of tiles


def truths(folder: Path, split: str, cache: Path) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """Roofs and judged ground, bool (h, w), by row and column of the tile."""
    index = open_index(folder / "annotations" / f"{split}.json", cache=cache)
    found = {}
    for i, name in enumerate(index.names):
        row, column = (int(part) for part in Path(name).stem.split("_")[1:])
        mask, valid = index.truth(i, [100])
        found[row, column] = mask[0].astype(bool), valid
    return found


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_only_ground_inside_an_area_is_judged(cut, tmp_path, kind):
    if kind == "png":
        pixels = write_raster(tmp_path / "ortho.tif")
    else:
        pixels = np.random.default_rng(0).integers(1, 9999, (4, HEIGHT, WIDTH)).astype(np.uint16)
        write_bands(tmp_path / "ortho.tif", pixels)
    write_footprints(tmp_path / "roofs.gpkg", [*ROOFS, ANGLE])
    write_footprints(tmp_path / "area.geojson", [AREA])
    code, text, report = cut(f"source={tmp_path}/ortho.tif", f"area={tmp_path}/area.geojson")
    assert code == 0, text
    # of 3 x 5 tiles, those of column 96 have one column of 28 pixels inside: less than a twentieth
    assert report["left_out"] == {"tile outside the area": 9, "building outside the area": 1}
    assert report["features"] == {"building outside the area": [3]}
    assert report["made"]["train"] == {"tiles": 6, "buildings": 5}
    found = truths(tmp_path / "out", "train", tmp_path)
    assert sorted(found) == [(row, column) for row in (0, 32) for column in (0, 32, 64)]
    inside = rasterise([AREA], HEIGHT, WIDTH).astype(bool)
    for (row, column), (_, valid) in found.items():
        assert np.array_equal(valid, inside[row : row + 32, column : column + 32])
    # whole up to the edge of the tile, not of the area; of the angle only the part that meets the area is drawn
    first, below = rasterise(ROOFS[:1], HEIGHT, WIDTH), rasterise([*ROOFS[:2], ANGLE], HEIGHT, WIDTH)
    assert np.array_equal(found[0, 0][0], first[:32, :32])
    assert np.array_equal(found[32, 0][0], below[32:64, :32])
    with open_bands(str(tmp_path / "out" / "images" / "train" / f"ortho_000000_000000.{kind}")) as scene:
        assert np.array_equal(scene.values(Window(0, 0, 32, 32))[0], pixels[:, :32, :32])


def test_splits_share_out_the_area(cut, tmp_path):
    """The area lies on columns 110 to 150: tiles 96 and 128, one for each split."""
    write_raster(tmp_path / "ortho.tif")
    write_raster(tmp_path / "far.tif", shift=10_000)
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    write_footprints(tmp_path / "area.gpkg", [box(110, 0, 150, 20), box(120, 70, 150, 96)])
    shares = "{train: 0.5, val: 0.5, test: 0}"
    code, text, report = cut(f"source={tmp_path}", f"area={tmp_path}/area.gpkg", shares=shares)
    assert code == 0, text
    for split, column in (("train", 96), ("val", 128)):
        found = truths(tmp_path / "out", split, tmp_path)
        assert {at[1] for at in found} == {column}
        assert {at[0] for at in found} == {0, 64}
    assert report["left_out"]["tile outside the area"] == 15 - 4 + 15


def test_data_are_asked_for_inside_the_area_only(cut, tmp_path):
    """Of the tile at 64, columns 64 to 76 have data; the area ends at 72, or at 90."""
    write_raster(tmp_path / "ortho.tif", nodata_from=76)
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    for end, tiles in ((72, 3), (90, 2)):
        (tmp_path / "area.geojson").unlink(missing_ok=True)
        write_footprints(tmp_path / "area.geojson", [box(0, 0, end, 32)])
        code, text, report = cut(f"source={tmp_path}/ortho.tif", f"area={tmp_path}/area.geojson")
        assert code == 0, text
        assert report["made"]["train"]["tiles"] == tiles


def test_areas_that_cannot_be_used_are_one_sentence(cut, tmp_path):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    write_footprints(tmp_path / "area.geojson", [box(1000, 0, 1100, 100)])
    for overrides, said in (
        ([f"area={tmp_path}/area.geojson"], "area.geojson: this area lies on no raster of source="),
        ([f"area={tmp_path}/none.gpkg"], "none.gpkg: no such file"),
        (["area_layer=a"], "area_layer=a: of which file? Name it by area=FILE, or leave this out."),
    ):
        code, text, _ = cut(f"source={tmp_path}/ortho.tif", *overrides)
        assert code == 2
        assert said in text
        assert "Traceback" not in text


def test_a_raster_without_data_is_told_what_tiles_need(cut, tmp_path):
    write_raster(tmp_path / "ortho.tif", nodata_from=0)
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text, _ = cut(f"source={tmp_path}")
    assert code == 2
    assert "no tile for train; make tiles smaller, or lower min_valid=0.5" in text


@pytest.mark.parametrize("gsd", [0.25, 1.0])
def test_a_mask_of_the_file_is_kept_at_another_distance(cut, tmp_path, gsd):
    write_raster(tmp_path / "ortho.tif", mask_from=64)
    write_footprints(tmp_path / "roofs.gpkg", [box(4, 4, 28, 28)])
    code, text, report = cut(f"source={tmp_path}/ortho.tif", f"gsd={gsd}", "size=16")
    assert code == 0, text
    side = round(16 * gsd / 0.5)
    assert report["made"]["train"]["tiles"] == HEIGHT // side * (64 // side)
    assert report["left_out"]["tile without data"] == HEIGHT // side * (96 // side)


def test_tiles_without_data_and_slivers_are_left_out(run_script, tmp_path):
    write_raster(tmp_path / "ortho.tif", nodata_from=70)
    write_footprints(tmp_path / "roofs.gpkg", [box(10, 10, 32.05, 20)])
    code, text = run_script(
        "make_tiles",
        f"source={tmp_path}/ortho.tif",
        f"footprints={tmp_path}/roofs.gpkg",
        "size=32",
        "shares={train: 1, val: 0, test: 0}",
        f"hydra.run.dir={tmp_path}/out",
    )
    assert code == 0, text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["made"] == {"train": {"tiles": 6, "buildings": 1}}
    assert report["left_out"] == {"tile without data": 9, "building of which too little lies inside": 1}


def test_another_ground_sampling_distance(run_script, tmp_path):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "roofs.gpkg", [box(20, 20, 60, 60)])
    code, text = run_script(
        "make_tiles",
        f"source={tmp_path}/ortho.tif",
        f"footprints={tmp_path}/roofs.gpkg",
        "size=200",
        "gsd=1.0",
        "shares={train: 1, val: 0, test: 0}",
        f"hydra.run.dir={tmp_path}/out",
    )
    assert code == 0, text
    index = open_index(tmp_path / "out" / "annotations" / "train.json", cache=tmp_path)
    assert index.sizes.tolist() == [[HEIGHT // 2, WIDTH // 2]]
    (roof,) = index.objects(0)
    assert roof.area == pytest.approx(400, rel=0.01)


def test_round_trip_of_the_embedded_area(run_script, tmp_path):
    """The test tiles of Banepa, put together and cut again, are the test tiles."""
    index = open_index(DATA / "annotations" / "test.json", cache=tmp_path)
    stems = [Path(name).stem for name in index.names]
    columns, rows = zip(*[(int(s.split("_")[1]), int(s.split("_")[2])) for s in stems], strict=True)
    with open_scene(str(DATA / "test_area.tif")) as scene:
        affine, picture = scene.georeference.affine, scene.read(Window(0, 0, scene.width, scene.height))[0]
    roofs, places = [], []
    for i, (column, row) in enumerate(zip(columns, rows, strict=True)):
        shift = np.array([256 * (column - min(columns)), 256 * (row - min(rows))])
        places.append(shift)
        roofs += [Polygon(ring + shift) for thing in index.objects(i) for ring in thing.rings]
    write_footprints(tmp_path / "roofs.gpkg", roofs, affine, "EPSG:3857")
    code, text = run_script(
        "make_tiles",
        f"source={DATA}/test_area.tif",
        f"footprints={tmp_path}/roofs.gpkg",
        "min_area=0",
        "shares={train: 0, val: 0, test: 1}",
        f"hydra.run.dir={tmp_path}/out",
    )
    assert code == 0, text
    back = open_index(tmp_path / "out" / "annotations" / "test.json", cache=tmp_path)
    assert len(back) == 36
    different = 0
    for i, (x, y) in enumerate(places):
        name = f"test_area_{y:06d}_{x:06d}.png"
        k = list(back.names).index(name)
        assert np.array_equal(
            np.asarray(Image.open(tmp_path / "out" / "images" / "test" / name)), picture[y : y + 256, x : x + 256]
        )
        different += int((back.truth(k, [100])[0] != index.truth(i, [100])[0]).sum())
    assert different == 0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["source=none.tif"], "no such raster"),
        (["footprints=none.gpkg", "size=16"], "no such file"),
        (["footprints=ortho.tif", "size=16"], "not a vector file"),
        (["shares.train=0.9"], "do not sum up to 1"),
        (["overlap=256"], "overlap=256"),
        (["size=5000"], "ortho.tif: no tile for train, val; make tiles smaller."),
        (["size=32"], "no tile for val; make tiles smaller, or do without: 'shares={train: 0.824, "),
        (["size=big"], "size"),
        (["gsd=0.001"], "ortho.tif: has 0.5 m a pixel; gsd=0.001 would scale it by more than 30: say metres."),
    ],
)
def test_wrong_input_is_one_sentence(run_script, tmp_path, overrides, said):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text = run_script("make_tiles", "source=ortho.tif", "footprints=roofs.gpkg", *overrides)
    assert code == 2
    assert said in text
    assert "Traceback" not in text
    assert not [*(tmp_path / "outputs").rglob("*.json")], "a tile or annotation was left behind"


def test_oblong_pixels_become_squares_on_the_ground(run_script, tmp_path):
    """At 51 degrees north, of 0.35 m x 0.56 m."""
    values = np.random.default_rng(0).integers(1, 255, (3, 100, 200), dtype=np.uint8)
    place = Affine(5e-6, 0, 5.0, 0, -5e-6, 51.0)
    profile = {"count": 3, "height": 100, "width": 200, "dtype": "uint8", "crs": "EPSG:4326", "transform": place}
    with rasterio.open(tmp_path / "ortho.tif", "w", driver="GTiff", **profile) as file:
        file.write(values)
    with resampled(str(tmp_path / "ortho.tif"), 0.4) as name, open_scene(name) as scene:
        assert (scene.height, scene.width) == (139, 175)
        assert scene.georeference.pixel_sides(139, 175) == pytest.approx((0.4, 0.4), rel=0.01)


def test_a_raster_without_a_place_and_two_of_one_name(run_script, tmp_path):
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "plain.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    for arguments in (["source=plain.tif"], ["source=plain.tif", "gsd=1"]):
        code, text = run_script("make_tiles", *arguments, "footprints=roofs.gpkg")
        assert code == 2
        assert "no reference system and corners" in text
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_raster(tmp_path / folder / "ortho.tif")
    code, text = run_script("make_tiles", "source='?/ortho.tif'", "footprints=roofs.gpkg")
    assert code == 2
    assert "two rasters are named ortho" in text


def test_a_world_file_without_a_reference_system_is_asked_for_one(run_script, tmp_path):
    write_raster(tmp_path / "whole.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    found = []
    for name, overrides in (("whole.tif", []), ("world.tif", []), ("world.tif", ["crs=EPSG:32645"])):
        if name == "world.tif":
            with rasterio.open(tmp_path / "whole.tif") as file:
                Image.fromarray(np.moveaxis(file.read(), 0, -1)).save(tmp_path / name)
                a, b, c, d, e, f = file.transform[:6]
            (tmp_path / "world.tfw").write_text(f"{a}\n{d}\n{b}\n{e}\n{c + a / 2}\n{f + e / 2}\n")
        for gsd in ([], ["gsd=1"]):
            out = tmp_path / f"out{len(found)}"
            arguments = (f"source={name}", "footprints=roofs.gpkg", *overrides, *gsd, "size=64", f"hydra.run.dir={out}")
            code, text = run_script("make_tiles", *arguments, "shares={train: 1, val: 0, test: 0}")
            found.append((code, text if code else (out / "annotations" / "train.json").read_text()))
    assert [code for code, _ in found] == [0, 0, 2, 2, 0, 0]
    for _, text in found[2:4]:
        assert "no footprint can be laid on it: it has corners but no reference system; set crs=EPSG:CODE" in text
    for whole, world in (found[0::4], found[1::4]):
        assert json.loads(whole[1])["annotations"] == json.loads(world[1])["annotations"] != []


def test_broken_footprints_are_mended_or_counted(run_script, tmp_path):
    write_raster(tmp_path / "ortho.tif")
    bow_tie = Polygon([(10, 10), (30, 30), (30, 10), (10, 30)])
    write_footprints(tmp_path / "roofs.gpkg", [bow_tie, shapely.LineString([(1, 1), (9, 9)]), Polygon()])
    code, text = run_script(
        "make_tiles",
        "source=ortho.tif",
        "footprints=roofs.gpkg",
        "size=160",
        "shares={train: 1, val: 0, test: 0}",
        f"hydra.run.dir={tmp_path}/out",
    )
    assert code == 0, text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["made"]["train"]["buildings"] == 2
    assert report["left_out"]["feature not an area"] == 1


def test_needles_and_copies_pass_the_audit(run_script, cut, tmp_path):
    write_raster(tmp_path / "ortho.tif")
    needle = Polygon([(4, 4), (9, 4), (9, 9), (6.504, 9), (6.5, 13), (6.496, 9), (4, 9)])
    court = Polygon(box(33, 33, 60, 60).exterior, [box(40, 40, 50, 50).exterior])
    write_footprints(tmp_path / "roofs.gpkg", [needle, box(12, 12, 20, 20), box(12, 12, 20, 20), court, court])
    code, text, report = cut(f"source={tmp_path}")
    assert code == 0, text
    assert report["made"]["train"]["buildings"] == 3
    assert report["left_out"] == {"building drawn twice": 2}
    assert "left out: 2 building drawn twice" in text
    code, text = run_script("check_data", "data=tiles", f"data.root={tmp_path}/out", "data.val=null", "data.test=null")
    assert code == 0, text


@pytest.mark.parametrize(
    ("where", "buildings", "left"),
    [
        (None, 1, {"feature without a building tag": 2}),
        ("where=''", 3, {}),
        ("where='building IS NULL'", 1, {"feature outside where=building IS NULL": 2}),
    ],
)
def test_of_openstreetmap_only_buildings_are_cut(cut, tmp_path, where, buildings, left):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "area.gpkg", ROOFS)
    meta, _, wkb, _ = pyogrio.raw.read(tmp_path / "area.gpkg")
    values = [np.array(["yes", "no", None], object), np.array([None, None, "residential"], object)]
    common = {"geometry_type": "Polygon", "crs": meta["crs"], "driver": "GPKG"}
    pyogrio.raw.write(tmp_path / "roofs.gpkg", wkb, values, ["building", "landuse"], **common)
    code, text, report = cut(f"source={tmp_path}/ortho.tif", "size=96", *([where] if where else []))
    assert code == 0, text
    assert report["left_out"] == left
    assert report["made"]["train"]["buildings"] == buildings
    assert ("only features with a building tag are taken" in text) == (where is None)


def test_a_wrong_filter_is_one_sentence(cut, tmp_path):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text, _ = cut(f"source={tmp_path}", "where='floors > 2'")
    assert code == 2
    assert "error: where=floors > 2: not a filter of GDAL for " in text
    assert "its fields are none" in text
    assert "Traceback" not in text


def test_an_error_in_the_middle_leaves_nothing_half(cut, tmp_path):
    write_raster(tmp_path / "a.tif")
    write_raster(tmp_path / "b.tif", shift=WIDTH)
    damaged = (tmp_path / "b.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(damaged[: len(damaged) * 2 // 3])
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text, report = cut(f"source={tmp_path}")
    assert code == 2, text
    assert "b.tif" in text.splitlines()[-1]
    assert report is None
    assert not {path.name for path in (tmp_path / "out").iterdir()} - {".hydra", "make_tiles.log"}


OPEN = b"\x01\x03\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00" + np.array([80.0, 20, 90, 20, 90, 40]).tobytes()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (OPEN, "1 feature with an open ring, e.g. 4"),
        (shapely.to_wkb(Polygon([(85, 99), (85.1, 99), (85.1, 99.1)])), None),
        (shapely.to_wkb(Polygon([(85, 27), (86, 27), (86, 99), (80, 99)])), "1 feature with a corner outside the ref"),
        (shapely.to_wkb(box(-180, -90, 180, 90)), "1 feature with a corner outside the reference system or too far"),
        (
            shapely.to_wkb(box(-170, -80, 170, 80)),
            "1 feature with a corner outside the reference system or too far away, e.g. 4",
        ),
        (
            shapely.to_wkb(Polygon([(80, 20), (np.inf, 30), (90, 40)])),
            "1 feature with a coordinate that is not a finite",
        ),
    ],
)
def test_one_bad_feature_is_counted_and_named(cut, tmp_path, bad, said):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    common = {"geometry_type": "Unknown", "crs": "EPSG:4326", "driver": "GPKG", "append": True}
    pyogrio.raw.write(tmp_path / "roofs.gpkg", np.array([bad], object), [], [], layer="roofs", **common)
    code, text, report = cut(f"source={tmp_path}", "size=96")
    assert code == 0, text
    assert report["made"]["train"]["buildings"] == 3
    assert sum(report["left_out"].values()) == (said is not None)
    assert [*report["features"].values()] == ([[4]] if said else [])
    assert f"left out: {said or ''}" in text or not said
    assert "Warning" not in text


@pytest.mark.parametrize("srs", [-1, 0])
def test_footprints_of_a_local_system_are_one_sentence(cut, tmp_path, srs):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    with closing(sqlite3.connect(tmp_path / "roofs.gpkg")) as database, database:
        database.execute(f"UPDATE gpkg_geometry_columns SET srs_id = {srs}")
    code, text, _ = cut(f"source={tmp_path}")
    assert code == 2
    assert "roofs.gpkg: has no reference system; assign one to the layer, e.g. ogr2ogr -a_srs" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "crs", ['LOCAL_CS["site grid",UNIT["metre",1]]', "IAU_2015:30100", "+proj=geocent +datum=WGS84", "EPSG:5703"]
)
def test_footprints_of_no_map_are_one_sentence(cut, tmp_path, crs):
    write_raster(tmp_path / "ortho.tif")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    wkb = shapely.to_wkb(np.array(ROOFS, object))
    (tmp_path / "roofs.gpkg").unlink()
    pyogrio.raw.write(tmp_path / "roofs.gpkg", wkb, [], [], geometry_type="Polygon", crs=crs, driver="GPKG")
    code, text, _ = cut(f"source={tmp_path}")
    assert code == 2, text
    assert "Traceback" not in text
    assert text.splitlines()[-1].startswith(f"error: {tmp_path}/roofs.gpkg: its reference system, ")


@pytest.mark.parametrize(
    ("kind", "profile"),
    [
        ("uint16", {"count": 4, "photometric": "rgb", "alpha": "unspecified", "nodata": 0}),
        ("uint16", {"count": 1}),
        ("uint8", {"count": 5, "photometric": "minisblack"}),
        ("float32", {"count": 2, "nodata": np.nan, "tiled": True, "blockxsize": 64, "blockysize": 64}),
        ("uint8", {"count": 4, "photometric": "rgb", "alpha": "unspecified"}),
    ],
)
def test_tiles_keep_all_bands_and_their_type(run_script, tmp_path, kind, profile):
    values = np.random.default_rng(0).integers(1, 250, (profile["count"], HEIGHT, WIDTH)).astype(kind)
    nodata = profile.get("nodata")
    if nodata is not None:
        values[:, :, :40] = nodata
    write_bands(tmp_path / "ortho.tif", values, **profile)
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text = run_script(
        "make_tiles",
        f"source={tmp_path}/ortho.tif",
        f"footprints={tmp_path}/roofs.gpkg",
        "size=32",
        "shares={train: 1, val: 0, test: 0}",
        f"hydra.run.dir={tmp_path}/out",
    )
    assert code == 0, text
    bands = f"[{','.join(map(str, range(1, len(values) + 1)))}]"
    assert f"python train.py data=bands data.bands={bands} data.root={tmp_path}/out" in text
    tiles = sorted((tmp_path / "out" / "images" / "train").iterdir())
    assert len(tiles) == (
        15 if nodata is None else 12
    )  # of a column of tiles nothing, of the next a quarter is missing
    for path in tiles:
        row, column = (int(part) for part in path.stem.split("_")[1:])
        with rasterio.open(path) as tile, rasterio.open(tmp_path / "ortho.tif") as whole:
            assert {*tile.dtypes} == {kind}
            window = rasterio.windows.Window(column, row, 32, 32)
            np.testing.assert_array_equal(tile.read(), whole.read(window=window))
            np.testing.assert_array_equal(tile.dataset_mask(), whole.dataset_mask(window=window))
            assert tile.colorinterp[:3] == whole.colorinterp[:3]
            assert tile.transform == whole.window_transform(window)
    assert not list((tmp_path / "out").glob(".footprints*"))


def test_tiles_keep_a_mask_of_the_file(run_script, tmp_path):
    values = np.full((2, HEIGHT, WIDTH), 7, np.int16)
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.8
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write_bands(tmp_path / "ortho.tif", values)
        with rasterio.open(tmp_path / "ortho.tif", "r+") as file:
            file.write_mask(mask)
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text = run_script(
        "make_tiles",
        f"source={tmp_path}/ortho.tif",
        f"footprints={tmp_path}/roofs.gpkg",
        "size=32",
        "shares={train: 1, val: 0, test: 0}",
        f"hydra.run.dir={tmp_path}/out",
    )
    assert code == 0, text
    with rasterio.open(tmp_path / "out" / "images" / "train" / "ortho_000032_000064.tif") as tile:
        assert np.array_equal(tile.dataset_mask() > 0, mask[32:64, 64:96])
    assert {path.suffix for path in (tmp_path / "out" / "images" / "train").iterdir()} == {".tif"}


def test_the_layer_of_the_buildings_is_asked_for_and_used(cut, tmp_path):
    write_raster(tmp_path / "ortho.tif")
    for name, polygons in (("districts", [box(0, 0, 160, 96)]), ("buildings", [box(4, 4, 28, 28)])):
        place = shapely.transform(np.array(polygons, object), lambda points: np.column_stack(AFFINE * points.T))
        more = {"layer": name, "append": (tmp_path / "roofs.gpkg").exists(), "geometry_type": "Polygon"}
        pyogrio.raw.write(
            tmp_path / "roofs.gpkg", shapely.to_wkb(place), [], [], crs="EPSG:32645", driver="GPKG", **more
        )
    code, text, _ = cut(f"source={tmp_path}/ortho.tif")
    assert code == 2
    assert "layer=districts or buildings" in text
    code, text, report = cut(f"source={tmp_path}/ortho.tif", "layer=buildings")
    assert code == 0, text
    assert report["made"]["train"]["buildings"] == 1


def test_indices_of_colours_are_not_averaged(cut, tmp_path):
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    with rasterio.open(
        tmp_path / "ortho.tif", "w", "GTiff", WIDTH, HEIGHT, 1, "EPSG:32645", AFFINE, "uint8", photometric="palette"
    ) as file:
        file.write_colormap(1, {0: (255, 0, 0, 255), 200: (0, 0, 255, 255)})
        file.write(np.tile(np.array([0, 200], np.uint8), (1, HEIGHT, WIDTH // 2)))
    code, text, _ = cut(f"source={tmp_path}/ortho.tif", "gsd=1.0")
    assert code == 2
    assert "gdal_translate -expand rgb" in text
    assert cut(f"source={tmp_path}/ortho.tif")[0] == 0


def test_transparency_is_no_band_to_learn_from(cut, tmp_path):
    values = np.random.default_rng(0).integers(1, 9000, (4, HEIGHT, WIDTH)).astype(np.uint16)
    values[3] = 65535
    write_bands(tmp_path / "ortho.tif", values, photometric="rgb", alpha="yes")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text, _ = cut(f"source={tmp_path}/ortho.tif")
    assert code == 0, text
    assert "data.bands=[1,2,3] " in text


def test_a_pattern_finds_rasters_at_any_depth_and_nothing_else(cut, tmp_path):
    for name in ("a", "b/c", "b/d/e"):
        (tmp_path / "area" / name).mkdir(parents=True)
        write_raster(tmp_path / "area" / name / f"{name[-1]}.tif", shift=200 * len(name))
    (tmp_path / "area" / "a" / "a.tfw").write_text("0.5")
    write_footprints(tmp_path / "roofs.gpkg", ROOFS)
    code, text, report = cut(f"source='{tmp_path}/area/**/*'")
    assert code == 0, text
    assert report["made"]["train"]["tiles"] == 3 * 15
