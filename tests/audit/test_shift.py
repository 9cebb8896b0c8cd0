"""Shifted labels are found where planted, with their offset, and nowhere else."""

import json
from pathlib import Path

import numpy as np
import pytest

from rooftop.audit import Split, audit_splits, summary, write_fixed, write_report
from rooftop.audit.fix import inside
from rooftop.audit.shift import REACH, common_offset, edge_strength, moved, outline_points, picture_scores
from rooftop.coco import CocoObject, open_index
from rooftop.raster.rasterise import encode, rasterise

BANEPA = Path(__file__).resolve().parents[2] / "data/banepa"
HEIGHT, WIDTH = 150, 190


def roof(*corners, **fields):
    ring = np.reshape(corners, (-1, 2)).astype(float)
    return CocoObject(1, 100, False, 1.0, [ring], None, **fields)


def as_run(thing):
    return CocoObject(1, 100, False, 1.0, None, encode(rasterise([thing], HEIGHT, WIDTH)))


def village(seed, roofs=12):
    """Grey roofs on noisy ground, uint8 (150, 190, 3), and their true outlines."""
    rng = np.random.default_rng(seed)
    picture = rng.normal(110, 12, (HEIGHT, WIDTH, 3))
    things = []
    for i in range(roofs):
        x, y = 22 + 40 * (i % 4) + rng.integers(-4, 5), 25 + 40 * (i // 4) + rng.integers(-4, 5)
        w, h = rng.integers(12, 22, 2)
        things.append(roof(x, y, x + w, y, x + w, y + h, x, y + h))
        picture[y : y + h, x : x + w] += rng.choice([-60, 60])
    return np.clip(picture, 0, 255).astype(np.uint8), things


@pytest.mark.parametrize("by", [(1, 0), (0, -2), (4, 3), (-6, 8), (-10, 1)])
@pytest.mark.parametrize("form", [lambda thing: thing, as_run], ids=["rings", "run lengths"])
def test_the_offset_undoes_the_shift(by, form):
    parts = []
    for seed in range(3):
        picture, things = village(seed)
        parts.append(picture_scores(picture, [moved(form(thing), by, HEIGHT, WIDTH) for thing in things]))
    found = common_offset(parts)
    assert found.move == pytest.approx((-by[0], -by[1]), abs=0.3)
    assert found.roofs == 36


def test_right_labels_few_roofs_and_crowds_are_no_evidence():
    picture, things = village(2)
    there = [moved(thing, (5, 0), HEIGHT, WIDTH) for thing in things]
    assert common_offset([picture_scores(picture, things)]) is None
    assert common_offset([picture_scores(picture, there[:4])]) is None
    crowds = [CocoObject(1, 100, True, 1.0, thing.rings, None) for thing in there]
    assert common_offset([picture_scores(picture, crowds)]) is None
    assert common_offset([picture_scores(picture, there[:4] + crowds)]) is None
    assert common_offset([]) is None


def test_a_few_roofs_a_picture_are_enough_together():
    parts = []
    for seed in range(5):
        picture, things = village(seed, roofs=3)
        parts.append(picture_scores(picture, [moved(thing, (-3, 2), HEIGHT, WIDTH) for thing in things]))
    assert common_offset(parts).move == pytest.approx((3, -2), abs=0.3)
    assert all(common_offset([part]) is None for part in parts)


def test_a_shift_of_half_the_pictures_is_not_common():
    parts = []
    for seed in range(8):
        picture, things = village(seed)
        by = (8, 0) if seed < 5 else (0, 0)
        parts.append(picture_scores(picture, [moved(thing, by, HEIGHT, WIDTH) for thing in things]))
    assert common_offset(parts) is None
    assert common_offset(parts[:5]) is not None


def test_large_pictures_are_searched_in_parts_with_the_same_result(monkeypatch):
    picture, things = village(3)
    whole = picture_scores(picture, things)
    monkeypatch.setattr("rooftop.audit.shift.BLOCK", 64)
    parts = picture_scores(picture, things)
    assert parts.roofs == whole.roofs
    correlation = np.corrcoef(parts.total.ravel(), whole.total.ravel())[0, 1]
    assert correlation > 0.999  # only the mean strength differs, that of a part in place of that of the picture
    assert parts.total.argmax() == whole.total.argmax() == REACH * (2 * REACH + 1) + REACH


def test_edges_are_strong_across_them_at_corners_of_pixels():
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, 12:] = 3  # faint, so that no strength is cut off
    strength = edge_strength(picture)
    assert strength.shape == (8, 21, 31)
    assert strength[0, 10].argmax() == 12  # normal along x
    assert strength[4, 10, 12] == strength[4, 10, 3]  # normal along y: no edge


def test_points_lie_on_the_outline_but_not_along_the_border():
    points, direction, number = outline_points([roof(0, 10, 30, 10, 30, 40, 0, 40)], HEIGHT, WIDTH)
    sides = {(int(x) if k == 0 else -1, int(y) if k == 4 else -1) for (x, y), k in zip(points, direction, strict=True)}
    assert sides == {(30, -1), (-1, 10), (-1, 40)}
    assert set(number.tolist()) == {0}
    assert len(points) == 45  # every second pixel of three sides


def test_moved_outlines_end_at_the_border():
    thing = roof(5, 10, 25, 10, 25, 30, 5, 30)
    for form in (thing, as_run(thing)):
        left = inside(moved(form, (-10, 2), HEIGHT, WIDTH), HEIGHT, WIDTH)
        drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
        drawn[12:32, :15] = 1
        assert np.array_equal(rasterise([left], HEIGHT, WIDTH), drawn)
        assert inside(moved(form, (0, -30), HEIGHT, WIDTH), HEIGHT, WIDTH) is None


def planted_banepa(path, shifts):
    """Write the test annotations of Banepa, moved by the (dx, dy) that `shifts` gives for each name."""
    content = json.loads((BANEPA / "annotations/test.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    for entry in content["annotations"]:
        move = np.array(shifts(names[entry["image_id"]]))
        entry["segmentation"] = [(np.reshape(r, (-1, 2)) + move).ravel().tolist() for r in entry["segmentation"]]
        entry["bbox"] = [*(np.array(entry["bbox"][:2]) + move).tolist(), *entry["bbox"][2:]]
    path.write_text(json.dumps(content))
    return path


def audited(annotations, folder, **options):
    split = Split("test", BANEPA / "images/test", index=open_index(annotations, cache=folder / "index"))
    return split, audit_splits([split], folder / "facts", **options)


def test_nothing_is_reported_on_banepa(tmp_path):
    split, _ = audited(BANEPA / "annotations/test.json", tmp_path, places=lambda names: ["town"] * len(names))
    assert split.findings.count("label shift") == 0
    assert summary([split])["splits"]["test"]["shifts"] == {"compared": 36, "of": 36, "found": []}


def test_a_shift_of_banepa_is_named_and_mended(tmp_path):
    path = planted_banepa(tmp_path / "shifted.json", lambda name: (-4, 3))
    split, pairs = audited(path, tmp_path, gsd=0.5)
    (finding,) = split.findings.worst("label shift", 9)
    assert finding.move == pytest.approx((4, -3), abs=0.3)
    assert finding.detail.startswith("the whole split (36 pictures), 2,")
    assert "px right and" in finding.detail
    assert "px up (2." in finding.detail
    write_report(tmp_path / "report.html", "banepa", [split])
    assert "let <code>fix</code> with <code>shifts=move</code> move them" in (tmp_path / "report.html").read_text()

    kept = write_fixed(tmp_path / "kept", [split], pairs)
    assert kept["test"]["moved"] == 0
    fixed = write_fixed(tmp_path / "moved", [split], pairs, shifts=True)
    assert fixed["test"]["moved"] == fixed["test"]["at_border"] == 36
    again, _ = audited(tmp_path / "moved/test.json", tmp_path)
    assert again.findings.count("label shift") == 0
    for i in (0, 20):
        height, width = again.index.sizes[i].tolist()
        truth = open_index(BANEPA / "annotations/test.json", cache=tmp_path / "index")
        inner = slice(5, -5)
        drawn, true = (
            rasterise([thing for thing in index.objects(i) if not thing.is_crowd], height, width)[inner, inner] > 0
            for index in (again.index, truth)
        )
        assert (drawn & true).sum() / (drawn | true).sum() > 0.95
    strip = [thing for thing in again.index.objects(0) if thing.is_crowd]
    bare = rasterise(strip, 256, 256)
    assert bare[:, :4].all()
    assert bare[-3:].all()


def test_shifted_pictures_and_places_are_told_apart(tmp_path):
    index = open_index(BANEPA / "annotations/test.json", cache=tmp_path / "index")
    west = {name for name in index.names if name.split("_")[1] in ("193343", "193344")}
    single = max(set(index.names) - west, key=lambda name: len(index.objects(index.names.index(name))))
    path = planted_banepa(
        tmp_path / "s.json", lambda name: (0, 6) if name in west else (5, 0) if name == single else (0, 0)
    )
    split, _ = audited(path, tmp_path, places=lambda names: ["west" if n in west else "east" for n in names])
    found = summary([split])["splits"]["test"]["shifts"]["found"]
    assert [(f["level"], f["place"], f["count"]) for f in found] == [("place", "west", 12), ("picture", None, 1)]
    assert found[0]["move"] == pytest.approx([0, -6], abs=0.3)
    assert set(found[0]["pictures"]) == west
    assert found[1]["pictures"] == [single]
    assert found[1]["move"] == pytest.approx([-5, 0], abs=0.5)


def test_of_many_pictures_a_sample_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr("rooftop.audit.shift.MOST", 12)
    split, _ = audited(planted_banepa(tmp_path / "s.json", lambda name: (3, 0)), tmp_path)
    assert (split.shifts.sampled, split.shifts.labelled) == (12, 36)
    assert len(split.shifts.by_row()) == 36
