"""Each key is checked once, before work starts."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from rooftop.config.build import check_target, targets, unknown_key
from rooftop.config.paths import with_shipped
from rooftop.config.schema import SCHEMAS, check_ranges
from rooftop.errors import ConfigError


def check(cfg: DictConfig, script: str) -> DictConfig:
    """Hold a composed configuration against its schema and the signatures of its targets.

    Args:
        cfg: the composed configuration of one job.
        script: which script it belongs to, a key of `SCHEMAS`.

    Returns:
        The same with each value in the type that the schema wants: `no` for a switch is off, 2024 for a path a name.
        What comes with the project is found from any folder.

    Raises:
        ConfigError: unknown key (the nearest right one is named), wrong type, missing value, value outside its range,
            unknown target.
    """
    schema = OmegaConf.structured(SCHEMAS[script])
    try:
        merged: Any = OmegaConf.merge(schema, cfg)
    except ConfigKeyError as error:
        raise ConfigError(unknown_key(str(error.full_key), keys_of(schema) + keys_of(cfg))) from error
    except OmegaConfBaseException as error:
        raise ConfigError(_unfit(str(error.full_key), str(error).splitlines()[0])) from error
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        raise ConfigError(f"{missing[0]} is not set; give it on the command line: {missing[0]}=VALUE")
    try:
        settings = plain(merged)
    except (MissingMandatoryValue, OmegaConfBaseException) as error:
        raise ConfigError(f"{error.full_key!s}: {str(error).splitlines()[0]}") from error
    check_ranges(settings, script)
    for key, node in targets(settings, ""):
        check_target(key, node)
    return with_shipped(merged)


def _unfit(key: str, reason: str) -> str:
    """One sentence on a value of another type than its key has."""
    if "is not a ListConfig" in reason:
        return f"{key} is a list, which is written in brackets: '{key}=[VALUE, ...]'"
    if "is not a subclass of" in reason:
        return f"{key} holds several settings: '{key}={{NAME: VALUE, ...}}'"
    return f"{key}: {reason}"


def keys_of(cfg: DictConfig) -> list[str]:
    """All dotted keys of a configuration, inner nodes too, without the hydra node."""
    found: list[str] = []

    def walk(node: Any, prefix: str) -> None:
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
            return
        for name in node:
            if prefix or name != "hydra":
                key = prefix + str(name)
                found.append(key)
                if not OmegaConf.is_missing(node, name):
                    walk(node._get_node(name), f"{key}.")

    walk(cfg, "")
    return found


def plain(node: DictConfig) -> dict[str, Any]:
    """Settings as plain, resolved containers, which is all that the package itself takes and keeps."""
    return OmegaConf.to_container(node, resolve=True, enum_to_str=True)  # type: ignore[return-value]


def flat(cfg: DictConfig) -> dict[str, Any]:
    """Settings as one level of dotted keys with plain values, for tables."""
    found: dict[str, Any] = {}

    def walk(node: Any, key: str) -> None:
        if isinstance(node, dict) and node:
            for name, child in node.items():
                walk(child, f"{key}.{name}" if key else str(name))
        else:
            found[key] = node if isinstance(node, bool | int | float | str) else str(node)

    walk(plain(cfg), "")
    return found
