"""A long list of annotations is read by several processes, with the same result."""

import pytest

from rooftop.coco import annotations, pictures
from tests.coco.forms import annotation, document, picture


@pytest.fixture
def content():
    items = [annotation(i, image_id=i % 3 + 1, segmentation=[[i, 1, i + 9.5, 1, 3, 20]]) for i in range(60)]
    items[20]["image_id"] = 99
    items[41]["segmentation"] = "?"
    return document(items, [picture(1), picture(2), picture(3)])


def read(load, content, monkeypatch, *, block):
    monkeypatch.setattr(annotations, "BLOCK", block)
    index = load(content)
    index.path.unlink()
    return list(pictures(index)), index.rejected.counts, sorted(index.rejected.listed)


def test_blocks_on_several_processes_are_the_same_as_one(load, content, monkeypatch):
    together = read(load, content, monkeypatch, block=1000)
    monkeypatch.setattr(annotations, "_may_fork", lambda tasks: False)
    assert read(load, content, monkeypatch, block=1000) == together
    assert read(load, content, monkeypatch, block=1 << 24) == together
    assert together[2] == [
        (20, "of an unknown picture"),
        (41, "with a `segmentation` that is not as in COCO"),
    ]


def test_a_block_cut_inside_a_string_is_read_as_one_list(load, content, monkeypatch):
    expected = read(load, content, monkeypatch, block=1 << 24)
    for item in content["annotations"]:
        item["note"] = '}, {"' * 50
    assert read(load, content, monkeypatch, block=300) == expected


def test_a_process_of_a_loader_starts_no_others(monkeypatch):
    assert annotations._may_fork(2)
    assert not annotations._may_fork(1)
    monkeypatch.setattr(annotations.current_process(), "_config", {"daemon": True})
    assert not annotations._may_fork(2)
