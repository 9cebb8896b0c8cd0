"""Scripts that train nothing need not wait for torch."""

import subprocess
import sys

import pytest

import rooftop.data


def test_the_scripts_around_the_data_do_not_import_torch():
    code = "import sys, make_masks, check_data, make_tiles; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_public_names_are_there():
    for name in rooftop.data.__all__:
        assert getattr(rooftop.data, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Missing'"):
        rooftop.data.Missing  # noqa: B018
