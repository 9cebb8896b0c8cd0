from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def data_config():
    """data_config(root, key=value): the plain `data` group of the tiny data set, in whole pictures."""

    def make(root, **changes):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            data = OmegaConf.to_container(compose("train").data, resolve=True)
        here = {"root": str(root), "cache": str(root / ".index"), "workers": 0}
        return {**data, **here, "window": None, "draws": None, **changes}

    return make
