import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rooftop.errors import ConfigError
from rooftop.losses import (
    BCE,
    Dice,
    DistanceBCE,
    Focal,
    GapBCE,
    Lovasz,
    Tversky,
    WeightedSum,
    bce,
    dice,
    distance_bce,
    distance_weights,
    fitted,
    focal,
    gap_bce,
    lovasz,
    tversky,
)

LOSSES = [
    BCE(),
    Dice(),
    DistanceBCE(w0=10.0, sigma=2.0, size=3.0),
    Focal(gamma=2.0, alpha=0.5),
    GapBCE(reach=3, weight=2.0),
    Lovasz(),
    Tversky(false_roof=0.3, missed_roof=0.7),
]


def example():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 6, 9, requires_grad=True)
    mask = (torch.rand(2, 1, 6, 9) > 0.5).byte()
    return logits, mask, torch.ones(2, 6, 9, dtype=torch.bool)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
class TestEveryLoss:
    """What holds for all of them."""

    def test_right_is_near_0_and_better_than_wrong(self, loss):
        _, mask, valid = example()
        right = (mask.float() * 2 - 1) * 30
        assert loss(right, mask, valid) < 1e-3
        assert loss(right, mask, valid) < loss(-right, mask, valid)

    def test_pixels_that_are_not_valid_have_no_part(self, loss):
        logits, mask, valid = example()
        valid[0, :, 4:] = False
        changed, other = logits.detach().clone(), mask.clone()
        changed[0, :, :, 4:] = 1000.0
        other[0, :, :, 4:] = 1 - other[0, :, :, 4:]
        torch.testing.assert_close(loss(logits, mask, valid), loss(changed, other, valid))

    def test_a_roof_that_nobody_judged_does_not_touch_its_neighbours(self, loss):
        logits, mask, valid = example()
        mask[:], valid[:] = 0, True
        mask[..., :3], valid[..., 5:] = 1, False
        other = mask.clone()
        other[..., 5:] = 1  # two pixels beside a roof that counts
        torch.testing.assert_close(loss(logits, mask, valid), loss(logits, other, valid))

    def test_nothing_valid_is_0_with_a_gradient(self, loss):
        logits, mask, valid = example()
        value = loss(logits, mask, torch.zeros_like(valid))
        value.backward()
        assert value == 0
        assert not logits.grad.any()

    def test_huge_logits_stay_finite(self, loss):
        logits, mask, valid = example()
        value = loss(logits * 1e4, mask, valid)
        value.backward()
        assert value.isfinite()
        assert logits.grad.isfinite().all()


def test_bce_by_hand():
    logits = torch.tensor([[[[0.0, math.log(3)]]]])  # probabilities 1/2 and 3/4
    mask = torch.tensor([[[[1, 0]]]])
    expected = -(math.log(0.5) + math.log(0.25)) / 2
    assert bce(logits, mask, torch.ones(1, 1, 2, dtype=torch.bool)).item() == pytest.approx(expected)


def test_dice_by_hand():
    logits = torch.tensor([[[[0.0, math.log(3)]]]])  # overlap 1/2, sums 5/4 and 1
    mask = torch.tensor([[[[1, 0]]]])
    value = dice(logits, mask, torch.ones(1, 1, 2, dtype=torch.bool), smooth=1.0)
    assert value.item() == pytest.approx(1 - (2 * 0.5 + 1) / (1.25 + 1 + 1))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_has_a_gradient_where_the_network_is_sure(gamma):
    """The slope of a power below 1 has no end at 0."""
    logits = torch.tensor([-100.0, -20.0, 20.0, 100.0]).reshape(1, 1, 2, 2).requires_grad_()
    mask, valid = torch.tensor([[[[0, 0], [1, 1]]]]), torch.ones(1, 2, 2, dtype=torch.bool)
    focal(logits, mask, valid, gamma=gamma, alpha=0.5).backward()
    assert logits.grad.isfinite().all()


def test_focal_without_focus_is_half_of_bce():
    logits, mask, valid = example()
    torch.testing.assert_close(focal(logits, mask, valid, gamma=0.0, alpha=0.5), 0.5 * bce(logits, mask, valid))


def test_weighted_sum_is_the_sum_and_null_drops_out():
    logits, mask, valid = example()
    both = WeightedSum(terms={"bce": BCE(), "dice": Dice(), "focal": None}, weights={"bce": 0.5, "dice": 2.0})
    torch.testing.assert_close(
        both(logits, mask, valid), 0.5 * bce(logits, mask, valid) + 2 * dice(logits, mask, valid, smooth=1.0)
    )


def test_term_without_weight_is_named():
    with pytest.raises(ValueError, match="the weight of dice is missing"):
        WeightedSum(terms={"dice": Dice()}, weights={"bce": 1.0})


def test_gaps_weigh_more():
    mask = torch.zeros(1, 1, 9, 13)
    mask[..., 1:8, 1:6] = 1
    mask[..., 1:8, 7:12] = 1  # a gap of one column between two roofs
    logits, valid = torch.zeros(1, 1, 9, 13), torch.ones(1, 9, 13, dtype=torch.bool)
    plain = bce(logits, mask, valid)
    heavier = gap_bce(logits, mask, valid, reach=3, weight=4.0)
    assert heavier.item() == pytest.approx(plain.item() * (1 + 4 * 7 / (9 * 13)), rel=1e-5)
    assert gap_bce(logits, mask, valid, reach=3, weight=0.0).item() == pytest.approx(plain.item())
    assert gap_bce(logits, torch.ones_like(mask), valid, reach=3, weight=4.0).item() == pytest.approx(plain.item())


def test_tversky_by_hand():
    logits = torch.tensor([[[[0.0, math.log(3)]]]])  # overlap 1/2, false roof 3/4, missed roof 1/2
    mask, valid = torch.tensor([[[[1, 0]]]]), torch.ones(1, 1, 2, dtype=torch.bool)
    value = tversky(logits, mask, valid, false_roof=0.3, missed_roof=0.7, smooth=1.0)
    assert value.item() == pytest.approx(1 - (0.5 + 1) / (0.5 + 0.3 * 0.75 + 0.7 * 0.5 + 1))


def test_tversky_of_equal_weights_is_dice():
    logits, mask, valid = example()
    valid[1, 2:] = False
    half = tversky(logits, mask, valid, false_roof=0.5, missed_roof=0.5, smooth=0.5)
    torch.testing.assert_close(half, dice(logits, mask, valid, smooth=1.0))


def test_lovasz_by_hand():
    # errors, the worst first: ground 1 + 2 = 3, roof 1 + 1 = 2, roof 1 - 0.5 = 0.5, ground 1 - 3 < 0
    logits = torch.tensor([[[[-1.0, 2.0, 0.5, -3.0]]]])
    mask, valid = torch.tensor([[[[1, 0, 1, 0]]]]), torch.ones(1, 1, 4, dtype=torch.bool)
    # 1 - IoU with these wrong: 1 - 2/3, 1 - 1/3, 1 - 0/3; each step times its error
    assert lovasz(logits, mask, valid).item() == pytest.approx(3 * 1 / 3 + 2 * 1 / 3 + 0.5 * 1 / 3)


def test_lovasz_of_plain_answers_is_1_minus_iou():
    torch.manual_seed(1)
    mask, answer = (torch.rand(2, 1, 5, 7) > 0.5).byte(), torch.rand(2, 1, 5, 7) > 0.5
    valid = torch.rand(2, 5, 7) > 0.2
    where = valid.unsqueeze(1)
    iou = ((answer & (mask > 0)) & where).sum() / ((answer | (mask > 0)) & where).sum()
    right = answer == (mask > 0)
    logits = torch.where(right, 1.0, 0.0) * (mask * 2.0 - 1)  # an error of 0 where it is right, of 1 where it is wrong
    assert lovasz(logits, mask, valid).item() == pytest.approx(1 - iou.item(), abs=1e-6)


def test_lovasz_takes_each_category_for_itself():
    logits, mask, valid = example()
    both = torch.cat([logits, -logits], dim=1), torch.cat([mask, mask], dim=1)
    mean = (lovasz(logits, mask, valid) + lovasz(-logits, mask, valid)) / 2
    torch.testing.assert_close(lovasz(*both, valid), mean)


def test_distance_weights_by_hand():
    mask = np.zeros((7, 12), np.uint8)
    mask[1:5, 1:4] = mask[1:5, 6:10] = 1  # 3 x 4 and 4 x 4 px, two columns of ground between them
    weights = distance_weights(mask, w0=10.0, sigma=2.0, size=4.0)
    for column, (near, far) in {4: (1, 2), 5: (1, 2), 10: (1, 7)}.items():
        between = 10 * math.exp(-((near + far) ** 2) / 8) if far <= 6 else 0
        assert weights[2, column] == pytest.approx(1 + between, abs=0.01)
    assert weights[2, 2] == pytest.approx(4 / math.sqrt(12))
    assert weights[2, 7] == pytest.approx(1.0)
    assert np.array_equal(distance_weights(mask, w0=0.0, sigma=2.0, size=0.0), np.ones((7, 12)))


def test_one_roof_alone_has_nothing_between():
    mask = np.zeros((7, 12), np.uint8)
    mask[1:5, 1:4] = 1
    assert np.array_equal(distance_weights(mask, w0=10.0, sigma=5.0, size=0.0), np.ones((7, 12)))
    assert np.array_equal(distance_weights(mask * 0, w0=10.0, sigma=5.0, size=9.0), np.ones((7, 12)))


def test_distance_bce_is_bce_times_its_weights():
    logits, mask, valid = example()
    plain = distance_bce(logits, mask, valid, w0=0.0, sigma=2.0, size=0.0)
    torch.testing.assert_close(plain, bce(logits, mask, valid))
    even = torch.zeros_like(logits)
    weights = np.mean([distance_weights(plane[0].numpy(), w0=3.0, sigma=2.0, size=4.0) for plane in mask])
    value = distance_bce(even, mask, valid, w0=3.0, sigma=2.0, size=4.0)
    assert value.item() == pytest.approx(math.log(2) * weights, rel=1e-5)


# --- losses of other libraries: (logits, mask) ---


def soft_dice(logits, mask):
    probability = logits.sigmoid()
    return 1 - 2 * (probability * mask).sum() / (probability + mask).sum()


class BatchDice(nn.Module):
    """Counts over the batch, as segmentation_models_pytorch does."""

    def forward(self, logits, mask):
        return soft_dice(logits, mask)


class PictureDice(nn.Module):
    """Counts over each picture."""

    def forward(self, logits, mask):
        return torch.stack([soft_dice(*pair) for pair in zip(logits, mask, strict=True)]).mean()


class Steps(nn.Module):
    """Looks at neighbours."""

    def forward(self, logits, mask):
        return F.mse_loss(logits.diff(dim=-1), mask.diff(dim=-1))


class Three(nn.Module):
    """One of (logits, mask, valid), of another package."""

    def forward(self, logits, mask, valid):
        return bce(logits, mask, valid)


def half_judged():
    logits, mask, valid = example()
    valid[0, :, 4:] = False
    return logits, mask, valid


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), BatchDice(), PictureDice()])
def test_losses_of_two_arguments_leave_invalid_pixels_out(loss):
    logits, mask, valid = half_judged()
    changed, other = logits.detach().clone(), mask.clone()
    changed[0, :, :, 4:] = 1000.0
    other[0, :, :, 4:] = 1 - other[0, :, :, 4:]
    mine = fitted(loss, 1)
    torch.testing.assert_close(mine(logits, mask, valid), mine(changed, other, valid))
    none = mine(logits, mask, torch.zeros_like(valid))
    none.backward()
    assert none == 0
    assert not logits.grad.any()
    every = torch.ones_like(valid)
    torch.testing.assert_close(mine(logits, mask, every), loss(logits, mask.float()))


def test_losses_of_two_arguments_have_the_value_of_the_valid_pixels():
    logits, mask, valid = half_judged()
    torch.testing.assert_close(fitted(nn.BCEWithLogitsLoss(), 1)(logits, mask, valid), bce(logits, mask, valid))
    torch.testing.assert_close(fitted(BatchDice(), 1)(logits, mask, valid), dice(logits, mask, valid, smooth=0.0))
    left = [soft_dice(logits[:1, ..., :4], mask[:1, ..., :4]), soft_dice(logits[1:], mask[1:])]
    torch.testing.assert_close(fitted(PictureDice(), 1)(logits, mask, valid), torch.stack(left).mean())


def test_losses_of_three_arguments_and_terms_of_a_sum_are_taken():
    logits, mask, valid = half_judged()
    assert isinstance(fitted(Three(), 2), Three)
    terms = {"own": nn.BCEWithLogitsLoss(), "ours": BCE()}
    both = fitted(WeightedSum(terms=terms, weights={"own": 1.0, "ours": 2.0}), 1)
    torch.testing.assert_close(both(logits, mask, valid), 3 * bce(logits, mask, valid))


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (Steps(), "Steps looks at neighbouring pixels"),
        (nn.CrossEntropyLoss(), "CrossEntropyLoss is .* for right logits and .* for wrong ones"),
        (nn.BCELoss(), "BCELoss fails on logits and a mask of 0 and 1"),
        (nn.BCEWithLogitsLoss(reduction="none"), r"returns \(2, 1, 16, 16\), not one number"),
    ],
)
def test_losses_that_cannot_work_are_refused_before_any_work(loss, said):
    with pytest.raises(ConfigError, match=said):
        fitted(loss, 1)
