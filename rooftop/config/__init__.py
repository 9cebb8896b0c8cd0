"""Configuration: schema, `check(cfg)`, `build(node)`, and the frame of every entry script.

Only this folder and the scripts use Hydra and OmegaConf.
"""

from rooftop.config.build import build, build_network
from rooftop.config.check import check, flat, plain
from rooftop.config.paths import shell_list, shell_setting, typed_command, working_folder
from rooftop.config.python_call import data_of, settings_of
from rooftop.config.run_config import Stored, data_of_run, save_config, stored_settings
from rooftop.config.script import (
    choices,
    data_settings,
    in_sweep,
    is_for_finetuning,
    overrides,
    progress_bar,
    run_folder,
    script,
)

__all__ = [
    "Stored",
    "build",
    "build_network",
    "check",
    "choices",
    "data_of",
    "data_of_run",
    "data_settings",
    "flat",
    "in_sweep",
    "is_for_finetuning",
    "overrides",
    "plain",
    "progress_bar",
    "run_folder",
    "save_config",
    "script",
    "settings_of",
    "shell_list",
    "shell_setting",
    "stored_settings",
    "typed_command",
    "working_folder",
]
