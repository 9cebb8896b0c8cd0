"""One folder for each run, one run for each folder."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from rooftop.config.output_folder import LOCK, RANKS, OutputFolder, claimed, in_use, is_first_rank
from rooftop.errors import ConfigError

YEAR = "hydra.run.dir='out/${now:%Y}'"  # runs of one year take one name, as those of one second do


def test_runs_that_start_together_get_a_folder_each(tmp_path):
    timed = OutputFolder("hydra.run.dir", tmp_path / "train" / "noon", timed=True)
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        settings = [*pool.map(lambda _: stack.enter_context(claimed(timed)), range(8))]
    names = ["noon", *(f"noon_{number}" for number in range(2, 9))]
    assert sorted(settings) == [[f"hydra.run.dir={tmp_path}/train/{name}"] for name in names]
    assert sorted(path.name for path in (tmp_path / "train").iterdir()) == names
    assert not [*tmp_path.rglob(LOCK)]


def test_scripts_write_into_the_folder_they_have_claimed(run_script, tiny, tmp_path):
    for _ in range(2):
        code, text = run_script("make_masks", f"data.root={tiny}", YEAR)
        assert code == 0, text
    first, second = sorted((tmp_path / "out").iterdir())
    assert second.name == f"{first.name}_2"
    assert f"data.masks={second}" in text
    assert [*first.glob("**/*.png")]
    assert len([*first.glob("**/*.png")]) == len([*second.glob("**/*.png")])


def test_sweeps_of_the_same_second_too(run_script, tiny, tmp_path):
    sweep = YEAR.replace("run", "sweep")
    for _ in range(2):
        assert run_script("make_masks", "-m", f"data.root={tiny}", "limit=1,2", sweep)[0] == 0
    first, second = sorted((tmp_path / "out").iterdir())
    assert (first / "sweep.csv").is_file()
    assert (second / "sweep.csv").is_file()


@pytest.mark.parametrize("more", [[], ["-m", "limit=1,2"]])
def test_a_folder_in_use_is_refused_before_anything_is_written(run_script, tiny, tmp_path, more):
    key = "hydra.sweep.dir" if more else "hydra.run.dir"
    with in_use(tmp_path / "masks", key):
        code, text = run_script("make_masks", *more, f"data.root={tiny}", f"{key}={tmp_path}/masks")
        assert [path.name for path in (tmp_path / "masks").iterdir()] == [LOCK]
    assert code == 2
    assert text == (
        f"error: {key}={tmp_path}/masks: another run is writing into this folder; wait until it has ended, or name "
        "another folder.\n"
    )
    assert run_script("make_masks", *more, f"data.root={tiny}", f"{key}={tmp_path}/masks")[0] == 0


def test_a_run_that_is_going_on_is_not_resumed(run_script, trained):
    with in_use(trained, "hydra.run.dir"):
        code, text = run_script("train", f"resume={trained}", "trainer.max_epochs=3")
    assert code == 2
    assert "another run is writing into this folder" in text


def test_a_killed_process_leaves_its_folder_free_though_its_workers_live(tmp_path):
    program = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from rooftop.config.output_folder import in_use\n"
        "with in_use(Path(sys.argv[1]), 'hydra.run.dir'):\n"
        "    if not (worker := os.fork()):\n"
        "        time.sleep(60)\n"
        "    print(worker, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    worker = int(done.stdout.readline())
    assert done.wait(60) == -9
    try:
        with in_use(tmp_path, "hydra.run.dir"):
            pass
    finally:
        os.kill(worker, 9)
        done.stdout.close()


@pytest.mark.parametrize("name", RANKS)
def test_other_ranks_share_the_folder_of_the_first(tmp_path, monkeypatch, name):
    named, timed = (OutputFolder("hydra.run.dir", tmp_path / "run", timed=timed) for timed in (False, True))
    with claimed(named) as first:
        monkeypatch.setenv(name, "1")
        assert not is_first_rank()
        with claimed(named) as other:
            assert other == first
        with claimed(timed) as apart:  # srun and torchrun: the time of day may differ
            folder = Path(apart[0].removeprefix("hydra.run.dir="))
            assert folder.is_dir()
            assert tmp_path not in folder.parents
        assert not folder.exists()
    assert is_first_rank() is False
    monkeypatch.setenv(name, "0")
    assert is_first_rank()


def test_a_name_that_only_the_job_knows_is_left_to_hydra(tmp_path):
    with claimed(OutputFolder("hydra.run.dir", None, timed=False)) as settings:
        assert settings == []
    with pytest.raises(ConfigError, match="another run"), in_use(tmp_path, "a"), in_use(tmp_path, "a"):
        pass
