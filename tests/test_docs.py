"""README and docs: every command, key, path, link and message in them exists.

Commands come from blocks fenced as ```bash. A command without a placeholder works as typed; the slow tests run it.
"""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from rooftop.config.command_line import compose_for_check

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CONF = ROOT / "conf"
SCRIPTS = sorted(path.stem for path in CONF.glob("*.yaml") if (ROOT / f"{path.stem}.py").is_file())
PLACEHOLDERS = re.compile(r"\b(DIR|RUN|RUN_A|RUN_B|FILE)\b|\$PWD")
OTHERS_FILES = {"city.tif", "ortho.tif", "buildings.gpkg", "osm.geojson", "photos", "predictions.coco.json"}
OTHERS_FOLDERS = ("city/", "area/")
ENVIRONMENT = {"HYDRA_FULL_ERROR", "ROOFTOP_ALLOW"}


class Command(NamedTuple):
    """One command of a page, without `VARIABLE=value` before it and comments behind it."""

    page: str
    line: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line, comments=True)

    @property
    def script(self) -> str:
        """The script, or an empty string."""
        words = self.words
        if words[0] == "rooftop" and words[1:]:
            return words[1].replace("-", "_")
        return words[1].removesuffix(".py") if words[0] == "python" and words[1].endswith(".py") else ""

    @property
    def as_typed(self) -> bool:
        """Whether a fresh clone has all that the command names."""
        named = " ".join(self.words[2:])
        values = {word.partition("=")[2] for word in self.words[2:]}
        return not (
            PLACEHOLDERS.search(named) or values & OTHERS_FILES or any(folder in named for folder in OTHERS_FOLDERS)
        )


def blocks(text: str, language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[Command]:
    found = []
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                parts = re.split(r"\s&&\s", line) if line.strip() and not line.startswith("#") else []
                found += [Command(page.name, part.strip()) for part in parts]
    return list(dict.fromkeys(found))


COMMANDS = commands()
BY_SCRIPT = [command for command in COMMANDS if command.script]


def composed(script: str) -> DictConfig:
    """The configuration of a script without overrides and without Hydra's own."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(script)


@cache
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with what the placeholders of the pages name, as far as a check of the command line looks at it."""
    for name in ("city/a.tif", "area/a.tif", "RUN/.hydra/config.yaml", "RUN/checkpoints/last.ckpt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    OmegaConf.save(composed("train"), tmp_path / "RUN" / ".hydra" / "config.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without_plugins(words: list[str]) -> list[str]:
    """Take out of a command line what needs extras that tests do without: launchers, sweepers and loggers."""
    for word in words:
        if kind := re.match(r"hydra/(launcher|sweeper)=([a-z]+)", word):
            assert f"hydra-{kind[2]}-{kind[1]}" in " ".join(project()["optional-dependencies"]["sweep"])
    assert {"mlflow", "wandb"} <= {*project()["optional-dependencies"]}
    words = [re.sub(r"\b(mlflow|wandb)\b", "csv", word) if word.startswith("logger=") else word for word in words]
    return [word for word in words if not re.match(r"hydra[/.](launcher|sweeper)", word) and "=interval(" not in word]


def test_pages_have_commands_for_every_script():
    assert {command.script for command in BY_SCRIPT} == set(SCRIPTS)
    assert len(BY_SCRIPT) > 60


def check_alone(command: Command, words: list[str], here: Path) -> None:
    """Compose and check a command line in this process, as the script does before any work."""
    compose_for_check(command.script, [word.replace("$PWD", str(here)) for word in without_plugins(words)])


def test_every_word_of_every_command_is_right(folder):
    """Longest commands first; commands without a new setting, and later values of a sweep, are left to a slow test."""
    seen: set[tuple[str, str]] = set()
    for command in sorted(BY_SCRIPT, key=lambda command: -len(command.words)):
        words = [re.sub(r"^([\w.]+=[\w.]+)(,[\w.]+)+$", r"\1", word) for word in command.words[2:]]
        same = [re.sub(r"^(source|run|compare)=.*|=[\d.]+$", r"\1", word) for word in words]
        settings = {(command.script, word) for word in same}
        settings.add((command.script, ""))  # a script without settings, too
        if not settings <= seen:
            check_alone(command, words, folder)
        seen |= settings


@pytest.mark.slow
def test_every_command_is_right(folder):
    for command in BY_SCRIPT:
        check_alone(command, command.words[2:], folder)


def test_every_other_command_exists():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for command in COMMANDS:
        words = command.words
        if words[0] == "make":
            assert words[1] in targets, command
        elif words[:2] in (["pip", "install"], ["pip", "wheel"]):
            extras = re.findall(r"\[([a-z,]+)\]", command.line)
            assert all(extra in project()["optional-dependencies"] for extra in extras), command
            assert "-c" not in words or (ROOT / words[words.index("-c") + 1]).is_file(), command
        elif words[0] == "tensorboard":
            assert any(name.startswith("tensorboard") for name in project()["dependencies"])
        else:
            assert command.script or words[:2] == ["python", "-c"] or words[1:3] == ["-m", "venv"] or words[0] == ".", (
                command
            )


def test_the_image_is_built_by_the_commands_of_the_readme():
    """Nobody builds it here; what it runs is what the README says, and what it copies is there."""
    text, readme = ((ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", "README.md"))
    (torch,) = re.findall(r"pip install --no-cache-dir (torch==\S+ --index-url \S+)", text)
    assert f"pip install {torch}" in readme
    assert "-c constraints.txt ." in text
    for name in re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE):
        assert (ROOT / name).exists(), name
    build = (ROOT / "setup.py").read_text() + (ROOT / "MANIFEST.in").read_text()
    assert all(folder in build for folder in ("conf", "data/banepa", "pretrained/rooftop-unet"))


def test_readme_is_short_and_has_both_commands_of_the_ci():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    for pattern in re.findall(r"grep -m1 '([^']+)' README.md", (ROOT / ".ci" / "run").read_text()):
        assert re.search(pattern, text, flags=re.MULTILINE), pattern


@pytest.mark.parametrize("page", [path for path in PAGES if path.name != "README.md"], ids=lambda path: path.name)
def test_a_page_starts_with_a_command_that_works_as_typed(page):
    first = next(blocks(page.read_text(encoding="utf-8"), "bash")).splitlines()[0]
    assert all(Command(page.name, part).as_typed for part in first.split(" && ")), first


# --- keys, paths, links, messages ---


def inline_code(text: str) -> list[str]:
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


@cache
def keys_of_scripts() -> set[str]:
    """Every key and group of every script, dotted."""
    known = {"experiment", *(path.name for path in CONF.iterdir() if path.is_dir())}
    for script in SCRIPTS:
        nodes = [("", OmegaConf.to_container(composed(script), resolve=False))]
        while nodes:
            prefix, node = nodes.pop()
            for name, value in node.items():
                known.add(prefix + str(name))
                if isinstance(value, dict):
                    nodes.append((f"{prefix}{name}.", value))
    for path in (CONF / "logger").glob("*.yaml"):
        known |= {f"logger.{name}.{key}" for name, node in (OmegaConf.load(path) or {}).items() for key in node}
    known |= {
        f"data.{split}.{part}" for split in ("train", "val", "test") for part in ("images", "annotations", "masks")
    }
    return known | {"callbacks.start", "callbacks.start.run", "hydra.run.dir", "hydra.sweep.dir", "hydra.searchpath"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_setting_in_running_text_exists(page):
    for code in inline_code(page.read_text(encoding="utf-8")):
        if not re.match(r"'?[+~]*[a-z_./]+=\S", code):
            continue
        for word in shlex.split(code):
            key, equals, value = word.lstrip("+~").partition("=")
            if not equals or word.startswith("+") or "NAME" in key or key == "key":
                continue
            if key in PLUGINS:  # their files come with Hydra and its plugins
                continue
            assert key in keys_of_scripts() or key in ENVIRONMENT, f"{page.name}: {code}"
            if (CONF / key).is_dir() and "," not in value and re.fullmatch(r"[a-z_0-9]+", value) and value != "null":
                assert (CONF / key / f"{value}.yaml").is_file(), f"{page.name}: {code}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md"], ids=lambda path: path.name)
def test_every_path_and_link_exists(page):
    text = page.read_text(encoding="utf-8")
    for code in inline_code(text):
        if (
            re.fullmatch(r"\.?(rooftop|tests|conf|docs|benchmarks|data|pretrained|ci)/[\w./-]*", code)
            and "..." not in code
        ):
            assert (ROOT / code).exists(), f"{page.name}: {code}"
        if re.fullmatch(r"[a-z][a-z_]+\.(py|yaml|toml|txt)", code) and page.name != "files.md":
            assert (ROOT / code).exists(), f"{page.name}: {code}"
        if code.startswith("rooftop.") and "{" not in code and "(" not in code:
            assert_importable(code)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:", target):
            file, _, anchor = target.partition("#")
            path = (page.parent / file) if file else page
            assert path.exists(), f"{page.name}: {target}"
            generated = path.name == "configuration.md"  # its headings are made by docs/hooks.py
            assert not anchor or generated or anchor in anchors(path), f"{page.name}: {target}"


def assert_importable(name: str) -> None:
    """A module of the package, or a name in one, without importing it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        stem = ROOT.joinpath(*parts[:length])
        file = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        if file.is_file():
            assert length == len(parts) or re.search(rf"\b{parts[length]}\b", file.read_text(encoding="utf-8")), name
            return
    raise AssertionError(name)


@cache
def anchors(page: Path) -> set[str]:
    """Anchors of headings, as MkDocs and code hosts make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[ ]", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@cache
def messages() -> str:
    """Every text in the code: one line each, with ... for what is filled in."""
    lines = []
    for path in [*ROOT.glob("*.py"), *(ROOT / "rooftop").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
                lines.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(re.sub(r"%[\d.]*[sdfg]", "...", node.value))
    return "\n".join(lines)


def test_messages_of_the_faq_are_those_of_the_code():
    table = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "faq.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(table) > 30
    gone = [row for row in table if not re.search(re.escape(row).replace(r"\.\.\.", ".*"), messages())]
    assert not gone, f"docs/faq.md quotes messages that no code has: {gone}"


# --- remedies in messages ---

SETTING = re.compile(r"(?<![\w.<({/-])[+~]*([a-z][a-z_]*(?:[./][a-z_]+)*)=([\w.-]*)")
PROGRAM = re.compile(r"\b((?:gdal\w+|ogr\w+)(?:\.py)?(?: [^;,()]*\w)?)")
PLUGINS = {"hydra/launcher", "hydra/sweeper"}
OF_CLASSES = {"reach", "variant", "stem_stride"}  # arguments of networks and losses without a key in conf/
EXAMPLES = {  # "name=value"; an argument of callbacks.best; a key of a mix, of a card, and of Hydra
    *("name", "save_top_k", "match", "network._target_", "hydra.job_logging.formatters.simple.format"),
}
NO_SETTINGS = {"rooftop/plots/charts.py", "rooftop/html/__init__.py"}  # texts for machines: SVG


def sentences(filled: str = "") -> Iterator[tuple[str, str]]:
    """Each text in the code that has words, except docstrings, and its file; `filled` stands for a filled-in value."""
    for path in [*ROOT.glob("*.py"), *(ROOT / "rooftop").rglob("*.py")]:
        tree, inner = ast.parse(path.read_text(encoding="utf-8")), set()
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                inner |= {id(part) for part in ast.walk(node)} - {id(node)}
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else filled for part in node.values)
            elif isinstance(node, ast.Expr):
                inner.add(id(node.value))
                continue
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                text = node.value
            else:
                continue
            if " " in text and id(node) not in inner:
                yield path.relative_to(ROOT).as_posix(), re.sub(r"%[\d.,]*[sdfg]", "", text)


def test_every_setting_in_a_message_exists():
    import inspect

    from pytorch_lightning import Trainer

    known = keys_of_scripts() | {f"trainer.{name}" for name in inspect.signature(Trainer).parameters}
    known |= PLUGINS | {"hydra.sweep.subdir", "callbacks.start.run", "callbacks.freeze.levels"}
    arguments = {key.rpartition(".")[2] for key in known}
    for file, text in sentences():
        for key, value in SETTING.findall(text) if file not in NO_SETTINGS else ():
            own = file.startswith(("rooftop/models/", "rooftop/losses.py")) and key in arguments | OF_CLASSES
            assert key in known | EXAMPLES or own, f"{file}: {text}"
            value = value.rstrip(".")  # the end of the sentence
            if (CONF / key).is_dir() and value not in ("", "null"):
                assert key in PLUGINS or (CONF / key / f"{value}.yaml").is_file(), f"{file}: {text}"


def test_every_script_and_extra_in_a_message_exists():
    seen = set()
    for file, text in sentences():
        for script in re.findall(r"\b(?:python )?([a-z_]+)\.py\b", text):
            assert script in SCRIPTS or script.startswith("gdal"), f"{file}: {text}"
        for extra in re.findall(r"pip install -e '\.\[(\w+)\]'", text):
            assert extra in project()["optional-dependencies"], f"{file}: {text}"
            seen.add(extra)
    assert seen >= {"export", "sweep"}


def programs() -> list[str]:
    """Return complete commands; those with a filled-in file are run by the tests of their message."""
    found = {command for _, text in sentences("FILLED_IN") for command in PROGRAM.findall(text)}
    found = {command.replace("-t_srs FILLED_IN", "-t_srs EPSG:32645") for command in found}
    named = {"IN.tif", "FILE"}  # all others are parts of a command
    return sorted(command for command in found if "FILLED_IN" not in command and named & {*command.split()})


@pytest.mark.parametrize("command", programs())
def test_programs_of_gdal_in_messages_run(command, tmp_path):
    """On a small palette picture with a place on the map: each of these commands takes it."""
    import shutil

    import numpy as np
    import rasterio

    words = [{"FILE": "IN.tif", "EPSG:CODE": "EPSG:32645"}.get(word, word) for word in shlex.split(command)]
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    place = {"crs": "EPSG:4326", "transform": rasterio.Affine(1e-5, 0, 85, 0, -1e-5, 27)}
    with rasterio.open(
        tmp_path / "IN.tif", "w", driver="GTiff", width=9, height=6, count=1, dtype="uint8", **place
    ) as file:
        file.write(np.ones((1, 6, 9), np.uint8))
        file.write_colormap(1, {0: (0, 0, 0, 255), 1: (9, 8, 7, 255)})
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "OUT.tif" not in words or (tmp_path / "OUT.tif").is_file()


def test_the_version_stands_in_one_place():
    from rooftop import __version__

    assert "version" in project()["dynamic"]
    assert "version" not in project()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(f": {page.name}" in nav for page in (ROOT / "docs").glob("*.md"))


# --- the commands, run ---

SMALL = {  # what makes a command of a script end within seconds
    "train": (
        *("trainer.accelerator=cpu", "trainer.max_epochs=1", "callbacks=quiet", "data.workers=0", "pictures=1"),
        *("+trainer.limit_train_batches=2", "+trainer.limit_val_batches=1", "+trainer.limit_test_batches=1"),
    ),
    "evaluate": ("bootstrap.rounds=10", "examples=1", "device=cpu"),
    "predict": ("trainer.accelerator=cpu", "rescale=false"),
    "make_synthetic": ("count=4",),
    "make_masks": (),
    "make_tiles": (),
    "check_data": ("processes=1",),
    "export": (),
}
EXPENSIVE = (
    "run: outputs/towns",  # the run of the command before
    "experiment=pretrained",
    "trainer=gpu",
    "hydra/launcher",
    "hydra/sweeper",
    "-m",
)
EXTRAS = {"smp": "segmentation_models_pytorch"}  # packages of extras with another name
RUNNABLE = {
    command.line: command
    for command in BY_SCRIPT
    if command.as_typed and not any(word in f"{command.line} " for word in EXPENSIVE)
}.values()


@pytest.fixture(scope="session")
def banepa(tmp_path_factory) -> Path:
    """The embedded data set with 24 training and 4 test tiles, so that a command takes seconds."""
    whole, few = ROOT / "data" / "banepa", tmp_path_factory.mktemp("data") / "banepa"
    (few / "annotations").mkdir(parents=True)
    (few / "images").symlink_to(whole / "images")
    (few / "test_area.tif").symlink_to(whole / "test_area.tif")
    for split, number in (("train", 24), ("test", 4)):
        coco = json.loads((whole / "annotations" / f"{split}.json").read_text())
        coco["images"] = coco["images"][:number]
        kept = {image["id"] for image in coco["images"]}
        coco["annotations"] = [each for each in coco["annotations"] if each["image_id"] in kept]
        (few / "annotations" / f"{split}.json").write_text(json.dumps(coco))
    return few.parent


@pytest.mark.slow
@pytest.mark.parametrize("command", RUNNABLE, ids=lambda command: " ".join(command.words[1:])[:60])
def test_commands_run_as_typed(command, tmp_path, run_script, banepa):
    """The commands without placeholders, on a part of the embedded data, shortened."""
    (tmp_path / "data").symlink_to(banepa)
    (tmp_path / "pretrained").symlink_to(ROOT / "pretrained")
    words = command.words[2:]
    if "data=synthetic" in words or "experiment=towns" in words:
        size = "gsd=0.3" if "data=synthetic" in words else "gsd=0.5"
        seed = "seed=0" if "data=synthetic" in words else "seed=1"
        assert run_script("make_synthetic", "count=10", size, seed)[0] == 0
    typed = {word.lstrip("+").split("=")[0] for word in words}
    small = [word for word in SMALL[command.script] if word.lstrip("+").split("=")[0] not in typed - {"count"}]
    code, text = run_script(command.script, *words, *small)
    if code == 2 and (extra := re.search(r"pip install -e '\.\[(timm|smp|mlflow|wandb)\]'", text)):
        assert find_spec(EXTRAS.get(extra[1], extra[1])) is None
        return  # without the extra the command says so, before any work
    assert code in ((0, 1) if command.script == "check_data" else (0,)), text


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_python_blocks_run(page, tmp_path):
    texts = [*blocks(page.read_text(encoding="utf-8"), "python")]
    texts += [
        command.words[2] for command in COMMANDS if command.page == page.name and command.words[:2] == ["python", "-c"]
    ]
    for text in texts:
        if "model.onnx" in text:
            done = subprocess.run(
                [sys.executable, ROOT / "export.py", f"hydra.run.dir={tmp_path}"],
                cwd=ROOT,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        folder = tmp_path if "model.onnx" in text else ROOT
        done = subprocess.run([sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_run_and_show_pictures(path):
    pytest.importorskip("geopandas", reason="pip install -e '.[geopandas]'")
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in cells)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    code = "\n".join("".join(cell["source"]) for cell in cells)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path.parent, env={**os.environ, "MPLBACKEND": "agg"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stdout")
    assert done.stdout == printed, "run the notebook again and store it"


@pytest.mark.slow
def test_built_pages_load_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"?(https?:[^\" >]+)", page.read_text())
        assert not loaded, f"{page.name}: {loaded}"
    assert "<td><code>seed</code></td>" in (tmp_path / "configuration.html").read_text()
