"""The Processing script for QGIS starts a program, shows its progress, hands on its errors, and can be cancelled.

QGIS is not installed where tests run: its names are stand-ins.
"""

import importlib.util
import sys
import time
import types

import pytest

from rooftop.config.command_line import OverridesParser


class Refused(Exception):  # noqa: N818
    """Stands for QgsProcessingException."""


class Feedback:
    """Stands for QgsProcessingFeedback; cancels once so much is done."""

    def __init__(self, cancel_at=None):
        self.progress, self.lines, self.cancel_at = [], [], cancel_at
        self.setProgress, self.pushInfo = self.progress.append, self.lines.append

    def pushCommandInfo(self, text):  # noqa: N802
        self.command = text

    def isCanceled(self):  # noqa: N802
        return self.cancel_at is not None and self.progress[-1:] >= [self.cancel_at]


@pytest.fixture
def script(monkeypatch):
    core = types.ModuleType("qgis.core")
    core.__getattr__ = lambda name: Refused if name == "QgsProcessingException" else type(name, (), {})
    monkeypatch.setitem(sys.modules, "qgis", types.ModuleType("qgis"))
    monkeypatch.setitem(sys.modules, "qgis.core", core)
    spec = importlib.util.spec_from_file_location("find_rooftops", "docs/qgis/find_rooftops.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(code):
    return [sys.executable, "-c", code]


BAR = "from rich.progress import track; import time; [time.sleep(0.02) for _ in track(range(100))]"


def test_progress_is_that_of_the_bar_and_other_lines_are_shown(script):
    feedback = Feedback()
    script.run_program(python(f"{BAR}; print('1 pictures, 7 roofs, 36.1% of the area')"), feedback)
    assert feedback.progress == sorted(feedback.progress)
    assert len({*feedback.progress}) > 5
    assert feedback.progress[-1] == 100
    assert feedback.lines == ["1 pictures, 7 roofs, 36.1% of the area"]


def test_the_programs_own_error_is_shown(script, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # that of QGIS; another Python would not start with it
    with pytest.raises(Refused, match="^source=x: no such picture$"):
        script.run_program(python("import sys; print('line'); sys.exit('source=x: no such picture')"), Feedback())


def test_a_missing_program_is_named(script):
    with pytest.raises(Refused, match="no-such-program cannot be started .*; name it under Program"):
        script.run_program(["no-such-program"], Feedback())


def test_cancel_stops_the_program(script, tmp_path):
    start, done = time.monotonic(), tmp_path / "done"
    code = f"{BAR.replace('0.02', '0.5')}; open({str(done)!r}, 'w')"
    script.run_program(python(code), Feedback(cancel_at=1))
    assert time.monotonic() - start < 30
    assert not done.exists()


@pytest.mark.parametrize("value", ["/data/city.tif", "/in put, (1)/it's=a [city].tif", "gebäude/x.tif", "a{b}:c"])
def test_paths_reach_the_program_as_they_are(script, value):
    (override,) = OverridesParser.create().parse_overrides([script.override("source", value)])
    assert override.value() == value


def test_layers_of_web_services_are_refused(script):
    layer = types.SimpleNamespace(source=lambda: "url=https://a", providerType=lambda: "wms", name=lambda: "Streets")
    with pytest.raises(Refused, match="Streets is not a file; save it first"):
        script.file_of(layer)
