from functools import partial

import pytest
import torch
from torch.optim import lr_scheduler

from rooftop.schedules import cosine, fitted, one_cycle, plateau


def rates(make, steps, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = make(optimizer, steps, **kwargs)["scheduler"]
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize("steps", [1, 2, 4, 100])
def test_one_cycle_rises_to_the_optimizers_rate_and_falls(steps):
    seen = rates(one_cycle, steps, rise=0.25)
    assert seen[0] == pytest.approx(0.1 / 25)
    if steps == 100:
        assert seen[25] == pytest.approx(0.1)
        assert seen == sorted(seen[:25]) + sorted(seen[25:], reverse=True)
        assert seen[-1] < 0.001


def test_cosine_warms_up_and_ends_near_0():
    seen = rates(cosine, 100, rise=0.1)
    assert seen[0] == pytest.approx(0.01)
    assert max(seen) == pytest.approx(0.1)
    assert seen[-1] < 0.0002


def test_plateau_shrinks_after_patience_down_to_the_floor():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    described = plateau(optimizer, 0, monitor="val/loss", mode="min", factor=0.1, patience=3, floor=1e-3)
    seen = []
    for _ in range(15):
        described["scheduler"].step(1.0)
        seen.append(optimizer.param_groups[0]["lr"])
    assert described["monitor"] == "val/loss"
    assert seen[3] == pytest.approx(0.1)
    assert seen[4] == pytest.approx(0.01)
    assert seen[-1] == pytest.approx(1e-3)


def described(make, **settings):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    return fitted(partial(make, **settings), monitor="val/iou", mode="max")(optimizer, 40)


def test_schedulers_of_torch_count_epochs_and_those_of_steps_count_steps():
    assert described(lr_scheduler.StepLR, step_size=2)["interval"] == "epoch"
    assert described(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=40)["interval"] == "step"
    assert described(one_cycle, rise=0.3)["interval"] == "step"
    own = described(lambda optimizer, steps: lr_scheduler.StepLR(optimizer, steps))
    assert own["scheduler"].step_size == 40
    with pytest.raises(TypeError, match="makes int, not a scheduler"):
        described(lambda optimizer, steps: 3)


def test_plateau_of_torch_watches_the_monitored_score_in_its_direction():
    made = described(lr_scheduler.ReduceLROnPlateau, patience=1)
    assert (made["monitor"], made["scheduler"].mode, made["interval"]) == ("val/iou", "max", "epoch")
    assert described(lr_scheduler.ReduceLROnPlateau, mode="min")["scheduler"].mode == "min"
