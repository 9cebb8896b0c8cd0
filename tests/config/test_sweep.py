"""A sweep knows its jobs by their overrides, whatever their numbers."""

import csv
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from rooftop.config.sweep import (
    DONE,
    FAILED,
    STARTED,
    by_number,
    claim_folder,
    find_finished,
    job_folders,
    note,
    note_resumed,
    print_table,
    require_inside,
)
from rooftop.errors import ConfigError
from rooftop.files import read_json


@pytest.fixture
def sweep(tmp_path):
    """Jobs 0 (done), 1 (failed) and 2 (killed)."""
    for number, status in enumerate((DONE, FAILED, STARTED)):
        (tmp_path / str(number)).mkdir()
        note(tmp_path / str(number), status, [f"model.depth={number + 3}"], score=0.5 + number)
    return tmp_path


@pytest.mark.parametrize("number", [0, 1, 2, 7])
def test_a_job_that_is_done_is_known_under_any_number(sweep, number):
    assert find_finished(sweep / str(number), sweep, ["model.depth=3"])["score"] == 0.5


@pytest.mark.parametrize(("number", "depth"), [(1, 4), (2, 5), (1, 6), (3, 6)])
def test_what_failed_or_was_killed_runs_again_and_may_be_replaced(sweep, number, depth):
    assert find_finished(sweep / str(number), sweep, [f"model.depth={depth}"]) is None


def test_a_job_that_is_done_is_not_replaced_by_another(sweep):
    with pytest.raises(
        ConfigError, match=r"contains another finished job.*model\.depth=3.*add new values after the old ones"
    ):
        find_finished(sweep / "0", sweep, ["model.depth=6"])


def test_the_first_job_of_a_new_sweep(tmp_path):
    assert find_finished(tmp_path / "new" / "0", tmp_path / "new", ["model.depth=3"]) is None


def test_a_resumed_job_is_done(sweep):
    note_resumed(sweep / "2", 0.7)
    assert find_finished(sweep / "0", sweep, ["model.depth=5"])["score"] == 0.7
    note_resumed(sweep, 0.7)  # a run of its own
    assert not (sweep / "job.json").exists()
    assert read_json(sweep / "1" / "job.json")["status"] == FAILED


@pytest.mark.parametrize("subdir", ["a/b/${hydra.job.num}", "${hydra.job.override_dirname}", "${hydra.job.num}"])
def test_jobs_are_found_at_any_depth(run_script, tiny, tmp_path, subdir):
    axes = (f"data.root={tiny},{tmp_path}/nowhere", "limit=1,2", f"hydra.sweep.dir={tmp_path}/sweep")
    code, text = run_script("make_masks", "-m", *axes, f"hydra.sweep.subdir={subdir}", "hydra.job.chdir=true")
    assert code == 1, text
    with (tmp_path / "sweep" / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["status"] for row in rows) == ["done", "done", "failed", "failed"]
    assert all((tmp_path / "sweep" / row["job"] / "job.json").is_file() for row in rows)
    assert run_script("make_masks", "-m", *axes, f"hydra.sweep.subdir={subdir}")[1].count("is done already") == 2


@pytest.mark.parametrize("subdir", ["../b/${hydra.job.num}", "/tmp/rooftop_elsewhere", "."])
def test_jobs_outside_of_the_sweep_are_refused(tmp_path, subdir):
    with pytest.raises(ConfigError, match=r"hydra\.sweep\.subdir: .* is not a folder inside of hydra\.sweep\.dir="):
        require_inside(tmp_path / "sweep" / subdir, tmp_path / "sweep")
    require_inside(tmp_path / "sweep" / "b" / ".." / "c", tmp_path / "sweep")


def test_jobs_are_sorted_by_number_in_each_folder(sweep):
    for name in ("b/10", "b/9", "a"):
        (sweep / name).mkdir(parents=True)
        note(sweep / name, DONE, [])
    found = sorted((job.relative_to(sweep) for job in job_folders(sweep)), key=by_number)
    assert [job.as_posix() for job in found] == ["0", "1", "2", "a", "b/9", "b/10"]


def test_an_inner_axis_grows_in_the_same_folder(run_script, tiny, tmp_path):
    """Numbers of jobs move: (a, 1) (a, 2) (b, 1) (b, 2) become (a, 1) (a, 2) (a, 3) (b, 1) (b, 2) (b, 3)."""
    sweep, roots = tmp_path / "sweep", f"data.root={tiny},{tmp_path}/./tiny"
    assert run_script("make_masks", "-m", roots, "limit=1,2", f"hydra.sweep.dir={sweep}")[0] == 0
    before = {path: path.read_bytes() for path in sweep.glob("*/.hydra/config.yaml")}
    code, text = run_script("make_masks", "-m", roots, "limit=1,2,3", f"hydra.sweep.dir={sweep}")
    assert code == 0, text
    assert text.count("is done already") == 4
    assert sorted(path.name for path in sweep.iterdir() if path.is_dir()) == [*"012345"]
    assert {path: path.read_bytes() for path in before} == before
    for job in job_folders(sweep):
        assert read_json(job / "job.json")["overrides"] == yaml.safe_load((job / ".hydra/overrides.yaml").read_text())
    with (sweep / "sweep.csv").open(newline="") as file:
        assert [row["limit"] for row in csv.DictReader(file)] == [*"121233"]


def test_each_of_many_processes_gets_a_folder_of_its_own(tmp_path):
    note(tmp_path / "1", DONE, ["seed=9"])
    with ThreadPoolExecutor(8) as pool:
        names = [*pool.map(lambda i: claim_folder(tmp_path, i, [f"seed={i}"]), range(8))]
    assert len({*names}) == 8
    assert names[1] != "1"
    assert [read_json(tmp_path / name / "job.json")["overrides"] for name in names] == [[f"seed={i}"] for i in range(8)]
    assert [claim_folder(tmp_path, 0, [f"seed={i}"]) for i in range(8)] == names
    assert claim_folder(tmp_path, 0, ["seed=9"]) == "1"


def test_what_failed_in_an_earlier_start_and_was_not_repeated_is_no_row(run_script, tiny, tmp_path):
    sweep = f"hydra.sweep.dir={tmp_path}/sweep"
    code, text = run_script("make_masks", "-m", f"data.root={tiny},{tmp_path}/nowhere", sweep)
    assert code == 1, text
    assert "job 1 failed: " in text.split("━┓")[-1]  # below the table
    os.utime(tmp_path / "sweep" / "1" / "job.json", (1, 1))
    code, text = run_script("make_masks", "-m", f"data.root={tiny}", "limit=1,2", sweep)
    assert code == 0, text
    assert "nowhere" not in (tmp_path / "sweep" / "sweep.csv").read_text()


def test_the_table_is_readable_in_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    scored = ["monitor", "iou", "f1", "precision", "recall"]
    rows = [
        {"job": str(i), "status": DONE, "model.depth": str(i), "optimizer.lr": "0.003", "loss": "gap_bce_dice"}
        | dict.fromkeys(scored, 0.123456 + i / 100)
        | {"seconds": 1234.5 + i}
        for i in range(3)
    ]
    rows[2] |= {"status": FAILED, "error": "ConfigError: seed=one: expected integer.", "loss": "dice"}
    print_table(rows, ["loss", "model.depth", "optimizer.lr"], scored, "val/iou")
    *lines, error = capsys.readouterr().out.splitlines()
    assert error == "job 2 failed: ConfigError: seed=one: expected integer."
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) == 3 + 3 + 1  # no cell is folded
    assert "val/iou" in lines[1]
    assert "depth" in lines[1]
    assert "0.1235" in lines[3]
    assert "lr" not in lines[1].split()  # the same for all
