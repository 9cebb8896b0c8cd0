"""Cleaned files are clean, leak-free, and the originals stay as they are."""

import hashlib
from functools import partial

import numpy as np
import pytest
from shapely import Polygon

from rooftop.audit import Split, audit_splits, write_fixed
from rooftop.audit.fix import repaired
from rooftop.coco import CocoObject, open_index
from rooftop.data.splits import share_place
from rooftop.errors import DataError
from rooftop.raster.rasterise import rasterise
from tests.audit.conftest import HEIGHT, WIDTH, scene


def thing(*rings):
    return CocoObject(1, 100, False, 1.0, [np.reshape(ring, (-1, 2)).astype(float) for ring in rings], None)


def test_cleaned_files_have_no_errors_and_no_leaks(planted, tmp_path):
    planted.add_picture("train", "leak.png", scene(3))
    planted.add_picture("train", "turned.png", np.rot90(scene(13)).copy())
    planted.add_picture("train", "copy.png", scene(21))
    planted.add_annotation("val", 2, segmentation=[[10, 10, 30, 30, 30, 10, 10, 30]], area=200)
    planted.add_annotation("val", 99)
    first = planted.documents["test"]["annotations"][4]
    planted.documents["test"]["annotations"].append(first | {"id": 77})
    (planted.root / "train" / "train_5.png").unlink()
    splits, pairs = planted.audit()
    before = {path: hashlib.md5(path.read_bytes()).digest() for path in planted.root.glob("*.json")}

    report = write_fixed(tmp_path / "clean", splits, pairs)

    assert report["train"] == {"pictures": 5, "left_out": 4, "at_border": 0, "moved": 0}
    assert report["val"] == {"pictures": 6, "left_out": 0, "at_border": 0, "moved": 0}
    again = [
        Split(s.name, s.images, index=open_index(tmp_path / "clean" / f"{s.name}.json", cache=tmp_path)) for s in splits
    ]
    audit_splits(again, tmp_path / "store")
    found = {kind for split in again for kind in split.findings.plain()}
    assert found == {"file without entry"}
    assert again[1].index.annotation_count == 7
    assert before == {path: hashlib.md5(path.read_bytes()).digest() for path in planted.root.glob("*.json")}


def test_two_entries_of_one_file_become_one(planted, tmp_path):
    planted.add_annotation("train", planted.add_entry("train", "train_2.png"))
    splits, pairs = planted.audit()
    assert write_fixed(tmp_path / "clean", splits, pairs)["train"] == {
        "pictures": 6,
        "left_out": 1,
        "at_border": 0,
        "moved": 0,
    }
    assert open_index(tmp_path / "clean" / "train.json", cache=tmp_path).annotation_count == 7


def test_entries_of_two_spellings_become_one(planted, tmp_path):
    planted.add_annotation("train", planted.add_entry("train", "./train_2.png"))
    splits, pairs = planted.audit()
    write_fixed(tmp_path / "clean", splits, pairs)
    index = open_index(tmp_path / "clean" / "train.json", cache=tmp_path)
    assert ([*index.names].count("train_2.png"), len(index), index.annotation_count) == (1, 6, 7)


def test_crowds_become_roofs_on_request(planted, tmp_path):
    for entry in planted.documents["train"]["annotations"][:2]:
        entry["iscrowd"] = 1
    splits, pairs = planted.audit()
    for folder, crowds in (("kept", True), ("roofs", False)):
        write_fixed(tmp_path / folder, splits, pairs, crowds=crowds)
    kept, roofs = (open_index(tmp_path / name / "train.json", cache=tmp_path) for name in ("kept", "roofs"))
    assert [kept.objects(i)[0].is_crowd for i in range(6)] == [True, True, False, False, False, False]
    assert not any(thing.is_crowd for i in range(6) for thing in roofs.objects(i))
    assert all(np.array_equal(kept.objects(i)[0].rings, roofs.objects(i)[0].rings) for i in range(6))


def test_repeated_annotation_ids_are_numbered_anew(planted, tmp_path):
    for entry in planted.documents["train"]["annotations"][:4]:
        entry["id"] = 3
    splits, pairs = planted.audit()
    write_fixed(tmp_path / "clean", splits, pairs)
    index = open_index(tmp_path / "clean" / "train.json", cache=tmp_path)
    assert index.annotation_ids.tolist() == [1, 2, 3, 4, 5, 6]


def test_good_rings_stay_and_what_cannot_be_drawn_is_not_judged(planted, tmp_path):
    square, far = [10, 10, 30, 10, 30, 30, 10, 30], [0, 0, 2e6, 0, 5, 5]
    planted.add_annotation("val", 2, segmentation=[square, [10, 10, 11, 10]])
    planted.add_annotation("val", 2, segmentation=[square, far], bbox=[8, 8, 30, 30])
    planted.add_annotation("val", 2, segmentation=[[]], bbox=[40, 4, 9, 9])
    splits, pairs = planted.audit()
    counts = {kind: found["count"] for kind, found in splits[1].findings.plain().items()}
    assert (counts["stray ring"], counts["damaged annotation"], counts["annotation left out"]) == (1, 1, 1)

    write_fixed(tmp_path / "clean", splits, pairs)

    before, after = splits[1].index, open_index(tmp_path / "clean" / "val.json", cache=tmp_path)
    assert (len(after.rejected), len(after.damaged)) == (0, 0)
    ids = [thing.annotation_id for i in range(len(after)) for thing in after.objects(i)]
    assert len(set(ids)) == len(ids)
    assert any(before.has_unjudged(i) for i in range(len(before)))
    for i in range(len(before)):
        for one, other in zip(before.truth(i, [100]), after.truth(i, [100]), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("identity", [0, 3])
def test_ids_that_cocoeval_would_count_wrongly_are_new(planted, tmp_path, identity):
    planted.documents["val"]["annotations"][0]["id"] = identity
    splits, pairs = planted.audit()
    write_fixed(tmp_path / "clean", splits, pairs)
    for split in ("val", "test"):
        index = open_index(tmp_path / "clean" / f"{split}.json", cache=tmp_path)
        assert [index.objects(i)[0].annotation_id for i in range(6)] == [1, 2, 3, 4, 5, 6]


def test_a_split_of_which_nothing_is_left_is_refused(planted, tmp_path):
    planted.documents["val"]["images"] = []
    planted.documents["val"]["annotations"] = []
    planted.add_picture("val", "copy.png", scene(3))
    splits, pairs = planted.audit()
    with pytest.raises(DataError, match="val: every picture is unreadable or a copy of one in an earlier split"):
        write_fixed(tmp_path / "clean", splits, pairs)
    assert not (tmp_path / "clean").exists()


def test_the_originals_are_never_overwritten(planted):
    splits, pairs = planted.audit()
    with pytest.raises(DataError, match=r"contains the original \w+\.json; name another folder"):
        write_fixed(planted.root, splits, pairs)


def test_a_crossing_outline_keeps_its_area():
    fixed = repaired(thing([10, 10, 30, 30, 30, 10, 10, 30]), HEIGHT, WIDTH)
    assert len(fixed.rings) == 2
    assert all(Polygon(ring).is_valid for ring in fixed.rings)
    assert sum(Polygon(ring).area for ring in fixed.rings) == pytest.approx(200)


def test_a_repair_with_a_hole_becomes_run_lengths():
    # a square that touches itself around a hole
    ring = [0, 0, 40, 0, 40, 40, 0, 40, 0, 0, 10, 10, 10, 20, 20, 20, 20, 10, 10, 10]
    fixed = repaired(thing(ring), HEIGHT, WIDTH)
    assert fixed.rings is None
    drawn = rasterise([fixed], HEIGHT, WIDTH)
    assert drawn[15, 15] == 0
    assert drawn[5, 5] == 1


def test_what_is_only_a_line_is_left_out():
    assert repaired(thing([1, 1, 9, 9, 5, 5]), HEIGHT, WIDTH) is None


def test_what_is_valid_stays_itself():
    valid = thing([1, 1, 9, 1, 9, 9])
    assert repaired(valid, HEIGHT, WIDTH) is valid


def test_no_place_stays_in_two_splits(planted, tmp_path):
    towns = (("test", "north_1"), ("val", "north_2"), ("val", "south_1"), ("train", "south_2"))
    for seed, (split, stem) in enumerate(towns, start=50):
        planted.add_picture(split, f"{stem}.png", scene(seed))
    splits, pairs = planted.audit()
    report = write_fixed(tmp_path / "clean", splits, pairs, shared=partial(share_place, pattern=r"^(north|south|.*)"))
    assert report == {
        "test": {"pictures": 7, "left_out": 0, "at_border": 0, "moved": 0},
        "val": {"pictures": 7, "left_out": 1, "at_border": 0, "moved": 0},
        "train": {"pictures": 6, "left_out": 1, "at_border": 0, "moved": 0},
    }


def test_a_split_of_which_nothing_is_left_is_named(planted, tmp_path):
    splits, pairs = planted.audit()
    with pytest.raises(DataError, match=r"val: all pictures lie in places of earlier splits; set a finer data\.place"):
        write_fixed(tmp_path / "clean", splits, pairs, shared=partial(share_place, pattern=r"_\d"))
