"""Masks equal those of pycocotools bit for bit, over random annotations of every form."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as rle
from pycocotools.coco import COCO

from rooftop.coco import open_index

sides = st.integers(1, 70)
whole = st.integers(-20, 90)
coordinates = whole | whole.map(float) | st.floats(-20, 90) | st.floats(-20, 90, width=32)


@st.composite
def rings(draw):
    points = draw(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9))
    closed = points + points[:1] if draw(st.booleans()) else points
    odd = draw(st.lists(coordinates, max_size=1))  # pycocotools ignores a coordinate without a partner
    return [number for point in closed for number in point] + odd


@st.composite
def outlines(draw):
    """Rings; from the second on pycocotools draws nothing where one has fewer than 3 points."""
    strays = st.lists(coordinates, max_size=5)
    return [draw(rings()), *draw(st.lists(rings() | strays, max_size=2))]


@st.composite
def run_lengths(draw, height, width):
    mask = draw(st.binary(min_size=height * width, max_size=height * width))
    packed = rle.encode(np.asfortranarray(np.frombuffer(mask, np.uint8).reshape(height, width) & 1))
    if draw(st.booleans()):
        return {"size": [height, width], "counts": packed["counts"].decode()}
    bits = (np.frombuffer(mask, np.uint8).reshape(height, width) & 1).ravel(order="F")
    edges = np.flatnonzero(np.diff(bits, prepend=0))
    return {"size": [height, width], "counts": np.diff([0, *edges, bits.size]).tolist()}


@st.composite
def documents(draw):
    pictures = [
        {"id": i, "file_name": f"{i}.jpg", "height": draw(sides), "width": draw(sides)}
        for i in draw(st.lists(st.integers(0, 2**62), min_size=1, max_size=3, unique=True))
    ]
    annotations = []
    for identity in range(draw(st.integers(0, 6))):
        picture = draw(st.sampled_from(pictures))
        shape = draw(outlines() | run_lengths(picture["height"], picture["width"]))
        fields = {"id": identity, "image_id": picture["id"], "segmentation": shape}
        optional = {"iscrowd": draw(st.integers(0, 1)), "area": draw(st.floats(0, 1e9)), "bbox": [0, 0, 1, 1]}
        chosen = draw(st.sets(st.sampled_from(sorted(optional))))
        fields |= {"category_id": draw(st.sampled_from([5, 7]))} | {name: optional[name] for name in chosen}
        annotations.append(fields)
    kinds = [{"id": 7, "name": "shed"}, {"id": 5, "name": "house"}]
    return {"images": pictures, "annotations": annotations, "categories": kinds}


def theirs(document, picture, chosen):
    """The union of what pycocotools draws of the chosen annotations of a picture."""
    api = COCO()
    api.dataset = document
    api.createIndex()
    mask = np.zeros((picture["height"], picture["width"]), np.uint8)
    for annotation in document["annotations"]:
        if annotation["image_id"] == picture["id"] and chosen(annotation):
            mask |= api.annToMask(annotation)
    return mask


@settings(max_examples=150)
@given(documents(), st.sampled_from([None, 1]))
def test_masks_and_validity(document, indent):
    with TemporaryDirectory() as folder:
        path = Path(folder, "annotation.json")
        path.write_text(json.dumps(document, indent=indent))
        index = open_index(path, cache=Path(folder))
        # what lies outside is no annotation for us and an empty mask for them: the pixels agree
        assert set(index.rejected.counts) <= {"outside the picture"}
        for i, picture in enumerate(document["images"]):
            mask, valid = index.truth(i, [5, 7])
            for channel, kind in zip(mask, (5, 7), strict=True):
                want = theirs(document, picture, lambda a, k=kind: a["category_id"] == k and not a.get("iscrowd"))
                assert np.array_equal(channel, want)
            crowd = theirs(document, picture, lambda a: a.get("iscrowd"))
            assert np.array_equal(valid, (crowd == 0) | mask.any(axis=0))
