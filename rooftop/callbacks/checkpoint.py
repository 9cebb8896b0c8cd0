"""Checkpoints that appear whole or not at all, so that a full disk leaves the old one."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from rooftop.files import whole


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside and renames. Lightning's own writer truncates the old file before it has written the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint to a local path."""
        with whole(Path(path)) as part:
            torch.save(checkpoint, part)
