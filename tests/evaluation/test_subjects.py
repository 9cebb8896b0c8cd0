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


def test_names_may_end_in_numbers_after_a_dot(poor, split):
    for name in ("v1.0", "v1.1"):
        (split / name).write_bytes((split / "poor.json").read_bytes())
    paths = [str(split / name) for name in ("v1.0", "v1.1")]
    assert [
        subject.name for subject in of_files(paths, str(split / "truth.json"), images=None, cache=split / "cache")
    ] == [
        "v1.0",
        "v1.1",
    ]


def test_run_lengths_alone_are_told_of(poor, split, caplog):
    of_files([str(split / "poor.json")], str(split / "truth.json"), images=None, cache=split / "cache")
    assert "4 of 4 results are run lengths alone" in caplog.text


def test_the_same_twice_is_refused(poor, split):
    path = str(split / "poor.json")
    with pytest.raises(ConfigError, match="named twice"):
        of_files([path, path], str(split / "truth.json"), images=None, cache=split / "cache")


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="name what to score"):
        of_runs([], {}, CHOICE)
    with pytest.raises(ConfigError, match="needs annotations=FILE"):
        of_files(["x.json"], None, images=None, cache=None)
