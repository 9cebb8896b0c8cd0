import pytest

from rooftop.errors import ConfigError
from rooftop.evaluation import Choice, of_files, of_runs
from rooftop.polygons.roofs import Shaping

CHOICE = Choice("test", None, Shaping(None, 0.0, None, 0.0, 0.0, 0.0), "cpu", views=None, rescale=True)


def test_results_files_are_named_by_as_little_as_tells_them_apart(poor, perfect, split):
    paths = [str(split / "poor.json"), str(split / "perfect.json")]
    subjects = of_files(paths, str(split / "truth.json"), images=None, cache=split / "cache")
    assert [subject.name for subject in subjects] == ["poor", "perfect"]
    assert subjects[0].record["predictions"] == paths[0]
    assert len(subjects[0].cases) == 3


def test_files_of_one_name_are_named_by_their_folders(poor, split):
    (split / "b").mkdir()
    (split / "b" / "poor.json").write_bytes((split / "poor.json").read_bytes())
    paths = [str(split / "poor.json"), str(split / "b" / "poor.json")]
    subjects = of_files(paths, str(split / "truth.json"), images=str(split / "images"), cache=split / "cache")
    assert [subject.name for subject in subjects] == [f"{split.name}-poor", "b-poor"]


def test_the_same_twice_is_refused(poor, split):
    path = str(split / "poor.json")
    with pytest.raises(ConfigError, match="named twice"):
        of_files([path, path], str(split / "truth.json"), images=None, cache=split / "cache")


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="name what to score"):
        of_runs([], {}, CHOICE)
    with pytest.raises(ConfigError, match="needs annotations=FILE"):
        of_files(["x.json"], None, images=None, cache=None)
