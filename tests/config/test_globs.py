import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rooftop.config.globs import with_files

NAMES = ("plain.tif", "a b.tif", "c,d.tif", "it's.tif", "back\\slash.tif", "e.png", "17.tif")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "city" / "north").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "city" / name).touch()
    (tmp_path / "city" / "north" / "deep.tif").touch()
    return tmp_path


def values(override):
    return [value if isinstance(value, str) else str(value) for value in _unquoted(override)]


def _unquoted(override):
    parsed = OverridesParser.create().parse_override(override)
    for element in parsed._value.list if parsed.is_sweep_override() else [parsed._value]:
        yield getattr(element, "text", element)


def test_names_come_back_sorted_whatever_they_look_like(folder):
    expected = sorted(f"city/{name}" for name in NAMES if name.endswith(".tif"))
    assert values(with_files("source=glob(city/*.tif)", folder)) == expected


def test_lists_exclusions_and_folders(folder):
    assert values(with_files("source=glob([city/*.png, city/p*], exclude='*.tif')", folder)) == ["city/e.png"]
    assert "city/north/deep.tif" in values(with_files("source=glob(city/**/*.tif)", folder))


def test_groups_and_other_arguments_stay(folder):
    (folder / "model").mkdir()
    for argument in ("model=glob(*)", "source=city/e.png", "--help", "source=glob(", "-m"):
        assert with_files(argument, folder) == argument
