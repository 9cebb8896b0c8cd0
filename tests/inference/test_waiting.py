import pytest

from rooftop.errors import ConfigError
from rooftop.inference.waiting import own_folder


def test_what_a_stopped_prediction_left_is_found_again_without_its_half_rows(tmp_path):
    with own_folder(tmp_path / "w", {"a": 1}) as folder:
        for name in ("row-00000.u8", "row-00001.abc.part"):
            (folder / name).write_bytes(b"1")
    with own_folder(tmp_path / "w", {"a": 1}) as again:
        assert again == folder
        assert {path.name for path in again.iterdir()} == {"row-00000.u8", "key.json", "lock"}
    with own_folder(tmp_path / "w", {"a": 2}) as other:
        assert other != folder


def test_content_of_another_key_is_deleted(tmp_path):
    with own_folder(tmp_path / "w", {"a": 1}) as folder:
        (folder / "row-00000.u8").write_bytes(b"1")
        (folder / "key.json").write_text('{"a": 2}')
    with own_folder(tmp_path / "w", {"a": 1}) as again:
        assert {path.name for path in again.iterdir()} == {"key.json", "lock"}


def test_two_at_a_time_get_two_folders_and_the_first_is_free_afterwards(tmp_path):
    with own_folder(tmp_path / "w", {}) as one:
        with own_folder(tmp_path / "w", {}) as other:
            assert one != other
        with own_folder(tmp_path / "w", {}) as third:
            assert third == other
    with own_folder(tmp_path / "w", {}) as again:
        assert again == one


@pytest.mark.parametrize("place", ["/proc/nope", "file", "file/below"])
def test_a_place_where_nothing_can_wait_is_named_before_anything_is_predicted(find, raster, town, tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=rf"unfinished=.*{place}: no folder that can be written to"):
        find(raster(town), unfinished=tmp_path / place)
    assert not (tmp_path / "out").exists()
