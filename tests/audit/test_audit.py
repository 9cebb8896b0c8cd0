"""Each kind of fault is planted and found, and nothing else is."""

import io

import numpy as np
import pytest
from PIL import Image

from rooftop.audit import KINDS
from tests.audit.conftest import HEIGHT, WIDTH, scene

BOW_TIE = [[10, 10, 30, 30, 30, 10, 10, 30]]


def compressed(pixels):
    text = io.BytesIO()
    Image.fromarray(pixels).save(text, "JPEG", quality=60)
    return np.asarray(Image.open(text))


def remove_file(data):
    (data.root / "train" / "train_3.png").unlink()


def truncate_file(data):
    path = data.root / "val" / "val_1.png"
    path.write_bytes(path.read_bytes()[:200])


def another_size(data):
    data.documents["test"]["images"][2]["width"] = WIDTH + 1


def second_entry(data):
    data.add_entry("train", "train_2.png")


def unknown_picture(data):
    data.add_annotation("train", 999)


def crossing(data):
    data.add_annotation("val", 2, segmentation=BOW_TIE, area=200, bbox=[10, 10, 20, 20])


def same_annotation(data):
    first = data.documents["test"]["annotations"][4]
    data.documents["test"]["annotations"].append(first | {"id": 77})


def leak(data):
    data.add_picture("train", "leak.png", scene(3))


def turned_leak(data):
    data.add_picture("train", "leak.png", np.rot90(scene(13), axes=(0, 1)).copy())


def extra_file(data):
    Image.fromarray(scene(99)).save(data.root / "train" / "extra.png")


def copy(data):
    data.add_picture("val", "copy.png", scene(12))


def mirrored(data):
    data.add_picture("train", "near.png", scene(21)[:, ::-1].copy())


def recompressed(data):
    data.add_picture("train", "near.png", compressed(scene(22)))


def brightened(data):
    data.add_picture("train", "near.png", (scene(23) * 0.8 + 30).astype(np.uint8))


def tiny(data):
    data.add_annotation("train", 1, segmentation=[[40, 40, 41.5, 40, 41.5, 41.5]], area=1.1, bbox=[40, 40, 1.5, 1.5])


def wrong_area(data):
    data.documents["train"]["annotations"][0]["area"] = 24


def wrong_box(data):
    data.documents["train"]["annotations"][0]["bbox"] = [5, 3, 20, 12]


def repeated_id(data):
    annotations = data.documents["train"]["annotations"]
    annotations[4]["id"] = annotations[1]["id"]


def stray_ring(data):
    data.documents["train"]["annotations"][0]["segmentation"].append([4, 5, 9, 5])


def odd_ring(data):
    data.documents["train"]["annotations"][0]["segmentation"][0].append(4)


def brushed(data):
    data.documents["val"]["annotations"][2]["iscrowd"] = 1


def shares(data):
    data.add_annotation("val", 2, segmentation=[[0.2, 0.1, 0.4, 0.1, 0.4, 0.6]], area=0.1, bbox=[0.2, 0.1, 0.2, 0.5])


def idle_category(data):
    data.documents["train"]["categories"].append({"id": 0, "name": "buildings"})


PLANTS = {
    remove_file: ("train", "missing file"),
    truncate_file: ("val", "unreadable picture"),
    another_size: ("test", "size differs"),
    second_entry: ("train", "two entries of one file"),
    unknown_picture: ("train", "annotation left out"),
    crossing: ("val", "self-crossing outline"),
    same_annotation: ("test", "duplicated annotation"),
    leak: ("train", "leak"),
    turned_leak: ("train", "leak"),
    extra_file: ("train", "file without entry"),
    copy: ("val", "duplicate picture"),
    mirrored: ("train", "near duplicate picture"),
    recompressed: ("train", "near duplicate picture"),
    brightened: ("train", "near duplicate picture"),
    tiny: ("train", "tiny outline"),
    wrong_area: ("train", "wrong area"),
    wrong_box: ("train", "wrong box"),
    brushed: ("val", "not judged"),
    shares: ("val", "outline from 0 to 1"),
    idle_category: ("train", "empty category"),
    repeated_id: ("train", "repeated annotation id"),
    stray_ring: ("train", "stray ring"),
    odd_ring: ("train", "damaged annotation"),
}


def test_a_healthy_set_has_no_findings(planted):
    assert planted.counts() == {}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_each_fault_is_found_and_nothing_else(planted, plant):
    plant(planted)
    assert planted.counts() == {PLANTS[plant]: 1}


def test_every_kind_but_those_of_masks_tiles_and_shifts_is_planted():
    assert {kind for _, kind in PLANTS.values()} == set(KINDS) - {
        "unreadable mask",
        "mask of another size",
        "undrawn border",
        "label shift",
        "no annotation",
    }


def test_all_at_once_on_two_processes(planted):
    for plant in (remove_file, truncate_file, crossing, leak, copy, wrong_area):
        plant(planted)
    assert planted.counts(processes=2) == {
        PLANTS[plant]: 1 for plant in (remove_file, truncate_file, crossing, leak, copy, wrong_area)
    }


def test_all_damage_is_counted_and_the_first_listed(planted):
    entry = planted.documents["train"]["annotations"][0]
    rings = [*entry["segmentation"], [4, 5, 9, 5]]
    planted.documents["train"]["annotations"] = [entry | {"id": i, "segmentation": rings} for i in range(1200)]
    splits, _ = planted.audit()
    found = splits[-1].findings.plain()["stray ring"]
    assert (found["count"], len(found["listed"]), found["is_error"]) == (1200, 1000, False)


def test_flat_pictures_are_no_near_duplicates(planted):
    for i, grey in enumerate((100, 140)):
        planted.add_picture("train", f"flat_{i}.png", np.full((HEIGHT, WIDTH, 3), grey, np.uint8))
    assert planted.counts() == {}


def test_a_holed_run_length_object_is_fine(planted):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:40, 10:70], mask[20:30, 30:50] = 1, 0
    edges = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=0))
    counts = np.diff([0, *edges, mask.size]).tolist()
    run = {"size": [HEIGHT, WIDTH], "counts": counts}
    planted.add_annotation("train", 1, segmentation=run, area=int(mask.sum()), bbox=[10, 5, 60, 35])
    assert planted.counts() == {}


def test_missing_area_and_box_are_no_fault(planted):
    planted.add_annotation("train", 1, area=None, bbox=None)
    planted.add_annotation("train", 1, segmentation=[[1, 1, 9, 1, 9, 9]], area=32, bbox=[])
    assert planted.counts() == {}


def test_a_split_of_crowds_alone_has_no_annotation_to_learn(planted):
    for entry in planted.documents["train"]["annotations"]:
        entry["iscrowd"] = 1
    splits, _ = planted.audit()
    (found,) = splits[2].findings.worst("no annotation", 9)
    assert "not one of 6 annotations can be learned: 6 marked iscrowd; if they are single roofs" in found.detail
    assert splits[2].statistics.counts == [0] * 6
    assert splits[2].findings.count("not judged") == 6


def test_a_picture_in_two_spellings_has_two_entries(planted):
    planted.add_entry("train", "./train_2.png")
    assert planted.counts() == {("train", "two entries of one file"): 1}


def test_right_boxes_of_one_id_are_right(planted):
    for entry in planted.documents["train"]["annotations"]:
        entry["id"] = 1
    assert planted.counts() == {("train", "repeated annotation id"): 1}


def test_a_wrong_box_among_equal_ids_is_found(planted):
    wrong_box(planted)
    for entry in planted.documents["train"]["annotations"]:
        entry["id"] = 1
    splits, _ = planted.audit()
    (found,) = splits[2].findings.worst("wrong box", 9)
    assert (found.picture, found.detail) == ("train_0.png", "[5, 3, 20, 12] stated, [3, 5, 12, 20] measured")


def test_a_malformed_box_leaves_the_others_to_be_checked(planted):
    wrong_box(planted)
    planted.documents["train"]["annotations"][2]["bbox"] = "none"
    assert planted.counts() == {("train", "wrong box"): 1}


def test_a_second_audit_reads_no_picture_again(planted, monkeypatch):
    planted.audit()
    monkeypatch.setattr("rooftop.audit.pictures.look", None)
    assert planted.counts() == {}
