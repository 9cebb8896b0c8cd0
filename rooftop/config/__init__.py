"""Configuration: the schema, `check(cfg)`, `build(node)`, and what every entry script shares.

The only place besides the scripts that knows Hydra and OmegaConf.
"""

from rooftop.config.build import build, build_network
from rooftop.config.check import check, flat, plain
from rooftop.config.paths import typed
from rooftop.config.recorded import data_of_run, keep_settings
from rooftop.config.script import counting_bar, in_sweep, overrides, run_folder, script

__all__ = [
    "build",
    "build_network",
    "check",
    "counting_bar",
    "data_of_run",
    "flat",
    "in_sweep",
    "keep_settings",
    "overrides",
    "plain",
    "run_folder",
    "script",
    "typed",
]
