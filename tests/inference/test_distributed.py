import subprocess
import sys

import pytest
import torch

from rooftop.errors import ConfigError, SourceError
from rooftop.inference import Machines, Processes


@pytest.fixture
def gpus(monkeypatch):
    """gpus(4): as many GPUs as that."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


@pytest.mark.parametrize(
    ("devices", "numbers"),
    [
        (1, [0]),
        ("2", [0, 1]),
        (4, [0, 1, 2, 3]),
        ("auto", [0, 1, 2, 3]),
        (-1, [0, 1, 2, 3]),
        ([1], [1]),
        ("0,3", [0, 3]),
    ],
)
def test_devices_as_lightning_counts_them(gpus, devices, numbers):
    gpus(4)
    assert Machines("gpu", devices, 1, "auto").numbers == numbers


@pytest.mark.parametrize("devices", [5, [4], 0, [], "all", "1.5", -2])
def test_devices_that_are_not_there_are_one_sentence(gpus, devices):
    gpus(4)
    with pytest.raises(ConfigError, match="this machine has 4 GPUs"):
        Machines("gpu", devices, 1, "auto")


def test_one_process_has_the_device_asked_for(gpus):
    gpus(0)
    assert Machines("auto", 1, 1, "auto").device == "auto"
    assert Machines("cpu", 3, 1, "ddp").numbers == [0, 1, 2]
    with pytest.raises(ConfigError, match="torch finds no GPU here"):
        Machines("gpu", 1, 1, "auto")
    gpus(2)
    assert Machines("auto", 1, 1, "auto").device == "auto"
    assert Machines("auto", [1], 1, "auto").device == "cuda:1"
    assert Machines("gpu", 1, 1, "auto").device == "cuda:0"
    assert Machines("cpu", 1, 1, "auto").device == "cpu"


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("share", ["mine", "part"])
def test_each_item_is_the_share_of_one_process(count, share):
    items = [*range(5)]
    shares = [getattr(Processes(rank, count, exchange=lambda item: [item]), share)(items) for rank in range(count)]
    assert sorted(item for one in shares for item in one) == items


def test_what_fails_in_one_process_fails_in_all():
    broken = SourceError("scene.tif: cannot be read.")
    healthy = Processes(1, 2, exchange=lambda item: [broken, item])
    with pytest.raises(SourceError, match=r"scene\.tif"):
        healthy.agree(lambda: 3)
    assert Processes().agree(lambda: 3) == 3


def test_one_process_does_not_wait_for_lightning():
    code = "import sys, predict; sys.exit('lightning_fabric' in sys.modules or 'pytorch_lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
