"""A fixed handful of pictures with truth and what the network says, for panels."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_lightning import LightningModule

from rooftop.data.dataset import RoofDataset
from rooftop.raster.bands import as_rgb


class Shown(NamedTuple):
    """One picture of the handful: uint8 (H, W, 3), uint8 (H, W), float32 (H, W); several categories become one."""

    name: str
    picture: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    probability: NDArray[np.float32]


@torch.no_grad()
def show(task: LightningModule, dataset: RoofDataset, count: int) -> Iterator[Shown]:
    """Yield `count` pictures spread evenly over the split, with the present prediction."""
    categories = len(dataset.source.categories)
    for i in np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)):
        sample = dataset[int(i)]
        truth = sample["mask"][:categories].max(axis=0)
        logits = task(dataset.normalised(sample).to(task.device)).float()
        logits = F.interpolate(logits, size=truth.shape, mode="bilinear", align_corners=False)
        probability = logits.sigmoid()[0, :categories].amax(0).cpu().numpy()
        picture = dataset.source.picture(int(dataset.picks[i]))
        yield Shown(dataset.names[i].rpartition(".")[0], as_rgb(picture), truth, probability)
