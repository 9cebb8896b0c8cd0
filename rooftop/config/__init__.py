"""Configuration: the schema, `check(cfg)`, `build(node)`, and what every entry script shares.

The only place besides the scripts that knows Hydra and OmegaConf.
"""

from rooftop.config.bar import counting_bar
from rooftop.config.build import build
from rooftop.config.check import check, flat, plain
from rooftop.config.script import run_folder, script

__all__ = ["build", "check", "counting_bar", "flat", "plain", "run_folder", "script"]
