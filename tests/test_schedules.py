import pytest
import torch

from rooftop.schedules import cosine, one_cycle, plateau


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
