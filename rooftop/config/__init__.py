"""Configuration: the schema, `check(cfg)`, `build(node)`, and what every entry script shares.

The only place besides the scripts that knows Hydra and OmegaConf.
"""

from rooftop.config.build import build, build_network
from rooftop.config.check import check, flat, plain
from rooftop.config.paths import shell_setting
from rooftop.config.recorded import data_of_run, keep_settings
from rooftop.config.script import in_sweep, overrides, progress_bar, run_folder, script

__all__ = [
    "build",
    "build_network",
    "check",
    "data_of_run",
    "flat",
    "in_sweep",
    "keep_settings",
    "overrides",
    "plain",
    "progress_bar",
    "run_folder",
    "script",
    "shell_setting",
]
