"""An audit that was killed goes on where it stopped, and ends as one that never stopped."""

import numpy as np
import pytest

from rooftop.audit import annotations, audit_splits, summary
from tests.audit.conftest import scene


@pytest.fixture
def faulty(planted, monkeypatch):
    monkeypatch.setattr(annotations, "_BATCH", 2)
    planted.add_picture("train", "leak.png", scene(3))
    planted.add_annotation("val", 2, segmentation=[[10, 10, 30, 30, 30, 10, 10, 30]], area=9.0, bbox=[1, 2, 3, 4])
    planted.add_annotation("train", 6, segmentation=[[1, 1, 2, 1, 2, 2]], area=1e300)
    return planted


def test_a_killed_audit_goes_on_and_the_report_is_equal(faulty, tmp_path, monkeypatch):
    splits = faulty.splits()
    audit_splits(splits, tmp_path / "whole")

    looked, really = [], annotations._check_pictures
    monkeypatch.setattr(annotations, "_check_pictures", lambda *a: (looked.append(a[2]), really(*a))[1])

    def killed(what, done, total):
        if what == "val annotations" and done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit_splits(faulty.splits(), tmp_path / "store", progress=killed)
    before = list(looked)
    looked.clear()
    again = faulty.splits()
    audit_splits(again, tmp_path / "store")
    assert before == [range(2), range(2, 4), range(4, 6), range(2), range(2, 4)]
    assert looked == [range(4, 6), range(2), range(2, 4), range(4, 6), range(6, 7)]
    assert summary(again) == summary(splits)
    assert [split.statistics for split in again] == [split.statistics for split in splits]


def test_changed_annotations_are_looked_at_anew(faulty, tmp_path):
    first = faulty.splits()
    audit_splits(first, tmp_path / "store")
    faulty.documents["test"]["annotations"][0]["area"] = 5000.0
    second = faulty.splits()
    audit_splits(second, tmp_path / "store")
    assert first[0].findings.count("wrong area") == 0
    assert second[0].findings.count("wrong area") == 1


def test_a_damaged_file_is_made_again(faulty, tmp_path):
    first = faulty.splits()
    audit_splits(first, tmp_path / "store")
    for path in (tmp_path / "store").glob("*.outlines"):
        path.write_bytes(path.read_bytes()[: np.random.default_rng(0).integers(1, 20)])
    second = faulty.splits()
    audit_splits(second, tmp_path / "store")
    assert summary(second) == summary(first)


def test_boxes_of_equal_ids_follow_the_order_of_the_file():
    boxes = np.arange(20.0).reshape(5, 4)
    ids = np.array([7, 3, 7, 5, 7])
    assert annotations.boxes_of(ids, ids, boxes).tolist() == boxes.tolist()
    left_out = annotations.boxes_of(np.array([7, 3, 7, 5]), ids, boxes)  # which 7 was left out is unknown
    assert np.isnan(left_out).all(axis=1).tolist() == [True, False, True, False]
    assert left_out[[1, 3]].tolist() == boxes[[1, 3]].tolist()
    assert annotations.boxes_of(np.array([9, 5]), ids, boxes)[1].tolist() == boxes[3].tolist()
