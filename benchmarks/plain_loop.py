"""The training loop that a person would write without any framework, to measure ours against."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rooftop.losses import BCE, Dice, WeightedSum
from rooftop.schedules import one_cycle

DECAY, CLIP, RATE, DAMPING = 0.99, 1.0, 0.003, 0.01  # of the default configuration; damping: weight decay


def make_loss() -> nn.Module:
    """The default loss."""
    return WeightedSum(terms={"bce": BCE(), "dice": Dice()}, weights={"bce": 1.0, "dice": 1.0})


class Plain:
    """The plain loop: what a person would write without any framework."""

    def __init__(
        self, network: nn.Module, batch: dict, *, last: bool = True, fused: bool = False, compiled: bool = False
    ) -> None:
        device = batch["image"].device
        form = torch.channels_last if last else torch.contiguous_format
        self.network = network.to(device, memory_format=form).train()
        self.mean = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)
        self.step = torch.compile(self.network) if compiled else self.network
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=RATE, weight_decay=DAMPING, fused=fused or None
        )
        self.schedule = one_cycle(self.optimizer, 100_000, rise=0.3)["scheduler"]
        self.batch, self.form, self.loss = batch, form, make_loss()

    def run(self, steps: int) -> None:
        """Some steps."""
        kind = self.batch["image"].device.type
        for _ in range(steps):
            image = self.batch["image"].contiguous(memory_format=self.form)
            with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
                logits = self.step(image)
            loss = self.loss(logits.float(), self.batch["mask"], self.batch["valid"])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            self.schedule.step()
            self.mean.update_parameters(self.network)
