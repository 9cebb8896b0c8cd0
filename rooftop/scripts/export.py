"""`export.py` and `rooftop export`: run folder -> model.onnx."""

import logging

from omegaconf import DictConfig

from rooftop.config import run_folder, script

log = logging.getLogger(__name__)


@script
def main(cfg: DictConfig) -> None:
    """Load the run, write and check the file."""
    # late: torch takes seconds, which a mistyped key need not wait for
    from rooftop.export import write_deepness, write_onnx
    from rooftop.run import load

    path, run = run_folder() / "model.onnx", load(cfg.run)
    off = write_onnx(run, path) if cfg.form.name == "raw" else write_deepness(run, path, tile=cfg.tile)
    log.info("written: %s (%.1f MB; answers as torch does, within %.0e)", path, path.stat().st_size / 1e6, off)


if __name__ == "__main__":
    main()
