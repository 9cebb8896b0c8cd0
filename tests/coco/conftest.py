"""Annotation files made by the test."""

import json
from pathlib import Path

import pytest

from rooftop.coco import Index, open_index


@pytest.fixture
def write(tmp_path):
    """Write an annotation file, of a document or of its text."""

    def write(content) -> Path:
        path = tmp_path / "annotation.json"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(write, tmp_path):
    """Write an annotation file and open it."""

    def load(content) -> Index:
        return open_index(write(content), cache=tmp_path / "cache")

    return load
