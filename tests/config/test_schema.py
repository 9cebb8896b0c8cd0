"""A value outside its range ends in one sentence with the key; every key is in the reference."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from rooftop.config.command_line import compose_for_check
from rooftop.config.paths import CONF
from rooftop.config.schema import SCHEMAS, Row, reference
from rooftop.errors import ConfigError

WRONG = [
    ("train", "seed=-1", "seed=-1: must be from 0 to 4294967295."),
    ("train", "threshold=0", "threshold=0.0: must be above 0 and below 1."),
    ("train", "pictures=-1", "pictures=-1: must be 0 or more."),
    ("train", "data.batch_size=0", "data.batch_size=0: must be 1 or more."),
    ("train", "data.workers=-1", "data.workers=-1: must be 0 or more."),
    ("train", "data.draws=0", "data.draws=0: must be 1 or more."),
    ("train", "data.val_share=1", "data.val_share=1.0: must be above 0 and below 1."),
    ("train", "data.gsd=0", "data.gsd=0.0: must be above 0."),
    ("train", "data.size=[32]", "data.size=[32]: must be height and width"),
    ("train", "data.window.size=[0,32]", "data.window.size=[0, 32]: must be height and width"),
    ("train", "data.window.filters=[blinear]", "data.window.filters=['blinear']: must be one or more of box, bilinear"),
    ("train", "data.window.gsd=[0.5,0.2]", "data.window.gsd=[0.5, 0.2]: must be two numbers above 0, the lower one"),
    ("train", "data.categories=[]", "data.categories=[]: must be null or name one"),
    ("train", "data.place='('", "data.place=(: is no regular expression"),
    ("train", "data.std=[0.2,0,0.2]", "data.std=[0.2, 0.0, 0.2]: must be above 0"),
    ("train", "optimizer.lr=fast", "optimizer.lr=fast: must be a number."),
    ("train", "trainer.max_epochs=0", "trainer.max_epochs=0: must be 1 or more."),
    ("train", "monitor.name=val/iuo", "monitor.name=val/iuo: is no score; the nearest is val/iou."),
    ("train", "monitor.mode=maximum", "monitor.mode=maximum: must be min or max."),
    (
        "train",
        "monitor.name=val/loss",
        "monitor.mode=max: would keep the worst weights by val/loss; set monitor.mode=min.",
    ),
    ("train", "monitor.mode=min", "monitor.mode=min: would keep the worst weights by val/iou; set monitor.mode=max."),
    (
        "train",
        "callbacks.early_stop.monitor=val/los",
        "callbacks.early_stop.monitor=val/los: is no score; the nearest is",
    ),
    ("train", "scheduler.rise=30", "scheduler.rise=30: must be a share from 0 to 1."),
    ("train", "callbacks.average.decay=99", "callbacks.average.decay=99: must be a share from 0 to 1."),
    ("train", "trainer.precision=64-true", "trainer.precision=64-true: must be 32-true, or on a GPU bf16-mixed"),
    ("train", "+augmentation.x={p: 1}", "augmentation.x has no _target_"),
    ("train", "+callbacks.x=5", "callbacks.x has no _target_"),
    ("train", "+logger.x={name: a}", "logger.x has no _target_"),
    ("evaluate", "threshold=1.5", "threshold=1.5: must be above 0 and below 1."),
    ("evaluate", "max_dets=0", "max_dets=0: must be 1 or more."),
    ("evaluate", "bootstrap.rounds=0", "bootstrap.rounds=0: must be 1 or more."),
    ("make_masks", "processes=0", "processes=0: must be 1 or more."),
    ("make_masks", "limit=-1", "limit=-1: must be 1 or more."),
    ("predict", "threshold=-0.5", "threshold=-0.5: must be above 0 and below 1."),
]


@pytest.mark.parametrize(("script", "override", "message"), WRONG)
def test_a_value_outside_its_range_names_the_key_and_the_range(script, override, message):
    with pytest.raises(ConfigError) as caught:
        compose_for_check(script, ["source=a.png", override] if script == "predict" else [override])
    assert str(caught.value).startswith(message)


def test_null_and_values_at_the_edge_pass():
    edge = ["data.window=null", "data.draws=null", "data.size=[1,1]", "seed=0", "data.workers=0", "pictures=0"]
    edge += ["data.place='^.*_'", "callbacks.early_stop=null", "data.categories=null", "monitor.name=train/loss"]
    edge += ["monitor.mode=min"]
    assert compose_for_check("train", edge).arguments == edge


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.width=0"], "model: width=0 must be 1 or more"),
        (["loss=gap_bce_dice", "loss.terms.bce.reach=4"], "reach=4 must be odd"),
        (["+loss.weights.foo=3"], "weights.foo has no term; the terms are bce, dice"),
        (["optimizer.weight_decay=-1"], "optimizer (lr=0.003, weight_decay=-1): Invalid weight_decay value: -1"),
    ],
)
def test_a_value_that_a_part_refuses_ends_in_one_sentence(run_script, tiny, fast, overrides, message):
    code, text = run_script("train", *fast, f"data.root={tiny}", *overrides)
    assert code == 2, text
    assert message in text
    assert "Traceback" not in text


@pytest.fixture(scope="module")
def rows():
    return [(script, row) for row in reference() for script in row.script.split(", ")]


@pytest.mark.parametrize("script", sorted(SCHEMAS))
def test_every_key_of_a_script_is_in_the_reference_with_a_meaning(rows, script):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = OmegaConf.to_container(compose(script), resolve=False)
    meanings = {row.key: row.meaning for name, row in rows if name == script}

    def walk(node, prefix):
        for name, value in node.items():
            assert meanings.get(prefix + name), prefix + name
            has_keys = isinstance(value, dict) and "_target_" not in str(value)
            walk(value if has_keys else {}, f"{prefix}{name}.")

    walk(settings, "")


def test_a_row_of_the_reference_holds_type_range_default_and_meaning(rows):
    found = {(script, row.key): row for script, row in rows}
    everywhere = "train, evaluate, make_masks, check_data"
    batch = Row(everywhere, "data.batch_size", "integer", "1 or more", "8", "pictures per step and device")
    assert found["train", "data.batch_size"] == batch
    assert found["train", "model"][2:5] == ("group", "a file of conf/model/", "unet")
    assert found["predict", "source"].default == "required"
    assert found["predict", "gsd"][2:5] == ("number or null", "above 0", "null")
    assert found["predict", "bands"].type == "list of integers or null"
    assert found["predict", "engine"].type == "torch or onnxruntime or int8"
    assert found["train", "scheduler.rise"].range == "a share from 0 to 1"
