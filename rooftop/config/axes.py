"""What a sweep varies, seen before it starts: the values of each axis, and which scores an optimiser likes."""

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from rooftop.errors import ConfigError

MOST = 12  # values of an axis that are composed and checked before the sweep starts, a third of a second each
DIRECTION = "hydra.sweeper.direction"


def values_of(override: str, *, sweep: bool) -> list[str]:
    """What the jobs of a sweep make of an override: one for each value, itself if it has one value only.

    Intervals, among which an optimising sweeper chooses, have no values yet.

    Raises:
        ConfigError: the override cannot be read, has several values without `sweep`, or none.
    """
    try:
        parsed = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_override(override)
    except HydraException as error:
        raise ConfigError(f"{override}: {_unread(override, str(error).splitlines()[0])}") from error
    if not parsed.is_sweep_override() or parsed.is_delete():
        return [override]
    if not sweep:
        raise ConfigError(
            f"{override}: several values are a sweep: add -m; a list is written in [ ], a text in quotes."
        )
    if not parsed.is_discrete_sweep():
        return []
    key = override.split("=", 1)[0]
    values = [f"{key}={value}" for value in parsed.sweep_string_iterator()]
    if not values:
        raise ConfigError(f"{override}: nothing has such a name.")
    return values


def _unread(override: str, reason: str) -> str:
    """Why Hydra cannot read an override, and what to type instead."""
    key, equals, value = override.partition("=")
    if not equals:
        return "a setting is written name=value, without blanks around the =, e.g. source=city.tif."
    if value.startswith("["):
        return f"{reason}; put quotes around each text in the list, and others around all of it: '{key}=[\"...\", ...]'"
    quoted = value.replace("'", "\\'")
    return f"{reason}; put quotes around the value, and others around all of it for the shell: \"{key}='{quoted}'\""


def first_jobs(axes: list[list[str]]) -> list[list[str]]:
    """Overrides of the jobs that show each value once: all axes at their first, then one axis at each of its others."""
    first = [values[0] for values in axes]
    others = ((place, value) for place, values in enumerate(axes) for value in values[1:MOST])
    return [first, *([*first[:place], value, *first[place + 1 :]] for place, value in others)]


def with_direction(arguments: list[str], overrides: list[str], cfg: DictConfig) -> list[str]:
    """Have Optuna look for the best monitored score; its own default is the lowest, which of IoU is the worst.

    Args:
        arguments: of the command line.
        overrides: those among them that are no options.
        cfg: the composed configuration with its hydra node.
    """
    asked = any(override.lstrip("+").startswith(DIRECTION) for override in overrides)
    optuna = cfg.hydra.runtime.choices.get("hydra/sweeper") == "optuna"
    if not overrides or not optuna or asked or "monitor" not in cfg:
        return arguments
    place = arguments.index(overrides[0])  # options may stand around the overrides, but not among them
    direction = {"max": "maximize", "min": "minimize"}[cfg.monitor.mode]
    return [*arguments[:place], f"{DIRECTION}={direction}", *arguments[place:]]
