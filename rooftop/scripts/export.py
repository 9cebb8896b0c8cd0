"""`export.py` and `rooftop export`: run folder -> model.onnx."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from rooftop.config import run_folder, script
from rooftop.errors import ConfigError

log = logging.getLogger(__name__)


@script
def main(cfg: DictConfig) -> None:
    """Load the run, write and check the file."""
    # late: torch takes seconds, which a mistyped key need not wait for
    from rooftop.export import write_deepness, write_onnx
    from rooftop.int8 import write_int8
    from rooftop.run import load

    raw = cfg.form.name == "raw"
    if cfg.int8 and not raw:
        raise ConfigError("int8=true works with form=raw only; leave one of the two out.")
    if cfg.calibrate and not cfg.int8:
        raise ConfigError(f"calibrate={cfg.calibrate} is for int8=true; add it, or leave calibrate out.")
    path, run = run_folder() / "model.onnx", load(cfg.run)
    if cfg.int8:
        same = write_int8(run, path, calibrate=Path(cfg.calibrate) if cfg.calibrate else None)
        log.info(
            "written: %s (%.1f MB; its masks agree with those of float32 to %.1f%%)", path, _megabytes(path), 100 * same
        )
        return
    off = write_onnx(run, path) if raw else write_deepness(run, path, tile=cfg.tile)
    log.info("written: %s (%.1f MB; answers as torch does, within %.0e)", path, _megabytes(path), off)


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


if __name__ == "__main__":
    main()
