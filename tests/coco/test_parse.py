"""Annotation files as text: pieces are cut right, and what is no COCO file is said in one sentence."""

import json

import msgspec
import pytest

from rooftop.coco import open_index, parse
from rooftop.errors import DataError
from tests.coco.forms import annotation, document, picture

TRAP = '}, {"id": 5}, {'


def test_a_cut_inside_a_string_is_found_out(load, monkeypatch):
    monkeypatch.setattr(parse, "PIECE", 10)
    annotations = [annotation(i, note=TRAP * 9, extra=[{"a": 1}, {"b": {}}, {}]) for i in range(20)]
    index = load(document(annotations, [picture(1, file_name=f"{TRAP}.jpg"), picture(2)]))
    assert [thing.annotation_id for thing in index.objects(0)] == list(range(20))
    assert index.names[0] == f"{TRAP}.jpg"


@pytest.mark.parametrize("separators", [(",", ":"), (" , ", " : "), ("\n,\t\r\n", ":")])
def test_any_white_space(load, monkeypatch, separators):
    monkeypatch.setattr(parse, "PIECE", 50)
    content = json.dumps(document([annotation(i) for i in range(30)]), separators=separators)
    assert load(content.encode()).annotation_count == 30


def test_one_bad_annotation_does_not_take_its_piece_along(load, monkeypatch):
    monkeypatch.setattr(parse, "PIECE", 500)
    annotations = [annotation(i, segmentation="?" if i == 13 else [[1, 1, 9, 1, 9, 9]]) for i in range(30)]
    index = load(document(annotations))
    assert index.annotation_count == 29
    assert index.rejected.listed == [(13, "with a `segmentation` that is not as in COCO")]


def test_a_byte_order_mark_is_no_harm(load):
    assert load(b"\xef\xbb\xbf" + json.dumps(document([annotation()])).encode()).annotation_count == 1


PICTURE = b'{"images": [{"id": 1, "file_name": "%s", "width": 1, "height": 2}], "annotations": [], '
PICTURE += b'"categories": []}'
BROKEN = {
    "empty": b"",
    "a mark only": b"\xef\xbb\xbf",
    "no json": b"roof",
    "cut off": json.dumps(document([annotation()])).encode()[:-20],
    "a list": b"[1, 2]",
    "another json": b'{"type": "FeatureCollection", "features": []}',
    "no list": b'{"images": {}, "annotations": [], "categories": []}',
    "results": b'[{"image_id": 1, "category_id": 1, "score": 0.5}]',
    "not utf-8": PICTURE % b"\xff",
    "half a character": PICTURE % b"\\ud800",
    "too deep": b'{"images": ' + b"[" * 100_000,
    "NaN and cut off": b'{"images": [NaN',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_coco_file_is_one_sentence(load, content):
    with pytest.raises(DataError) as error:
        load(content)
    message = str(error.value)
    assert "annotation.json: " in message
    assert "\n" not in message
    assert message.endswith(".")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"missing.json: no such file"):
        open_index(tmp_path / "missing.json", cache=tmp_path)
    with pytest.raises(DataError, match="a folder, pipe or device; give a file"):
        open_index(tmp_path, cache=tmp_path)


def test_an_entry_of_many_bytes_is_refused_before_it_is_parsed(load, monkeypatch):
    content = document([annotation()], [picture(1, file_name="a" * 5000 + ".jpg")])
    with pytest.raises(DataError, match=r"picture 1 has a file_name of 5,\d+ letters; correct it"):
        load(content)
    monkeypatch.setattr(parse, "LONGEST", 1000)
    with pytest.raises(DataError, match=r"annotation\.json: an entry is longer than \d+ MB; shorten it, or remove it"):
        load(content)


def test_nesting_that_is_legal_but_deep(load):
    deep = json.dumps(document([annotation()])).replace('"id": 1, "image_id"', '"x": %s, "id": 1, "image_id"')
    assert load((deep % ("[" * 50 + "]" * 50)).encode()).annotation_count == 1


def test_pieces_of_an_empty_list():
    assert list(parse.parse_list(memoryview(b" "), msgspec.json.Decoder(list[int]))) == [[]]
