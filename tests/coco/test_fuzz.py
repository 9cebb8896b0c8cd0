"""Mutated annotation files, in bytes and in structure, end in one sentence or load cleanly; never otherwise."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as rle

from rooftop.coco import open_index, picture_path
from rooftop.coco.names import stays_inside
from rooftop.errors import RooftopError
from rooftop.memory import peak_memory
from tests.coco.forms import HEIGHT, WIDTH, annotation, document, picture

MOST_GROWTH = 10**9  # bytes
ODD = [
    *(None, True, -1, 0, 1, 3, 0.5, -0.0, 1e-320, 1e9, -1e9, 1e308, 2**31, 2**32, 2**63, 2**64, 10**30, 99_999),
    *(float("nan"), float("inf"), -float("inf")),
    *(
        "",
        "x",
        "../../etc/passwd",
        "/etc/passwd",
        "a\0b",
        "\ud800",
        "ß",
        "c:\\x",
        "1" * 1000,
        "../" + "n" * 2000,
        "o" * 50,
        "0",
        "}, {",
    ),
    *([], {}, [[]], [[], []], [1, 2, 3, 4], [[1, 2]], [[1e9, 1, 5, 5, 9, -1e9]], {"size": [1, 1], "counts": [1]}),
]


def healthy():
    """A small file with every form of annotation."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:30, 5:60] = 1
    run = rle.encode(np.asfortranarray(mask))
    packed = {"size": run["size"], "counts": run["counts"].decode()}
    plain = {"size": [HEIGHT, WIDTH], "counts": [99, 100, HEIGHT * WIDTH - 199]}
    return document(
        [
            annotation(1, area=12.5, bbox=[1, 2, 3, 4], iscrowd=0),
            annotation(2, segmentation=[[1.5, 2, 30, 2, 30, 20], [40, 30, 50, 30, 50, 40, 40, 40]], image_id=2),
            annotation(3, segmentation=packed, iscrowd=1),
            annotation(4, segmentation=plain, category_id=7, image_id=2),
        ],
        [picture(1), picture(2, file_name="a/b.png"), picture(3, width=31, height=7)],
        [{"id": 100, "name": "building"}, {"id": 7, "name": "shed"}],
    )


def places(tree):
    """Every (container, key) of nested containers."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from places(tree[key])


def mutate_structure(tree, rng):
    """Replace, remove, copy, swap or wrap something, once to four times."""
    for _ in range(rng.randint(1, 4)):
        holder, key = rng.choice(list(places(tree)) or [(tree, "images")])
        other, its_key = rng.choice(list(places(tree)) or [(tree, "images")])
        kind = rng.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        elif kind == 2:
            holder[key] = json.loads(json.dumps(other[its_key])) if other is not holder else [holder[key]]
        elif kind == 3:
            holder[key] = [holder[key]] * rng.randint(1, 5)
        else:
            holder[key] = json.loads(json.dumps(rng.choice(ODD)))
    return tree


def mutate_bytes(text, rng):
    """Change, remove, insert, repeat or cut off some bytes."""
    text = bytearray(text)
    for _ in range(rng.randint(1, 5)):
        at, length = rng.randrange(len(text) + 1), rng.randint(1, 30)
        kind = rng.randrange(6)
        if kind == 0:
            text[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del text[at : at + length]
        elif kind == 2:
            text[at:at] = rng.choice(
                [b"[", b"]", b"{", b"}", b'"', b",", b"-", b"9" * 30, b"e99", b"\\u0000", b"NaN", b"\xff"]
            )
        elif kind == 3:
            text[at:at] = text[at : at + length * 10]
        elif kind == 4 and rng.random() < 0.2:
            del text[at:]
        else:
            text[at : at + 1] = rng.choice(b"0123456789").to_bytes(1, "little")
    return bytes(text)


def mutated(seed):
    rng = random.Random(seed)
    tree = healthy() if rng.random() < 0.3 else mutate_structure(healthy(), rng)
    text = json.dumps(tree).encode()
    return mutate_bytes(text, rng) if rng.random() < 0.5 else text


def opened(path: Path, cache: Path):
    """The index, or None and what was wrong."""
    try:
        return open_index(path, cache=cache), ""
    except RooftopError as error:
        return None, str(error)


def judge(path: Path, cache: Path):
    """Load the file and draw everything; says whether it was accepted."""
    index, sentence = opened(path, cache)
    if index is None:
        assert "\n" not in sentence, sentence
        assert sentence.endswith("."), sentence
        assert len(sentence) < 400 + len(str(path)), sentence
        return False
    kinds = index.category_ids(None)
    for i, name in enumerate(index.names):
        assert stays_inside(name)
        assert picture_path(path.parent, name).parent.is_relative_to(path.parent)
        height, width = index.sizes[i]
        if kinds and height * width < 1e7:
            mask, valid = index.truth(i, kinds)
            assert mask.shape == (len(kinds), height, width)
            assert valid.shape == (height, width)
    assert index.annotation_count == sum(len(index.objects(i)) for i in range(len(index)))
    return True


def fuzz(folder: Path, seeds):
    before = peak_memory()
    path, accepted = folder / "annotation.json", 0
    for seed in seeds:
        path.write_bytes(mutated(seed))
        accepted += judge(path, folder / "cache")
        for old in (folder / "cache").glob("*"):
            old.unlink()
    assert peak_memory() - before < MOST_GROWTH
    return accepted / len(seeds)


# both ways must be travelled, or the mutations are too weak or too strong


def test_some_mutated_files(tmp_path):
    assert 0.1 < fuzz(tmp_path, range(300)) < 0.9


@pytest.mark.slow
def test_ten_thousand_mutated_files(tmp_path):
    assert 0.1 < fuzz(tmp_path, range(10_000)) < 0.9
