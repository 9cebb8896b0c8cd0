"""The one step of the build that pyproject.toml cannot express: conf/, weights and data go into the wheel.

They stand at the top of a checkout, where people look for them, and are found there (`rooftop.config.paths.PROJECT`). A
wheel contains them in `rooftop/included/`.
"""

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py

made_here = ignore_patterns("int8.onnx")  # predict.py engine=int8 stores it beside the weights
INCLUDED = ("conf", "pretrained/rooftop-unet", "data/banepa")


class BuildWithFolders(build_py):
    """Copy the folders beside the modules; an editable install reads those of the checkout."""

    def run(self) -> None:
        """Build as usual, then copy."""
        super().run()
        if not self.editable_mode:
            for folder in INCLUDED:
                copytree(
                    folder, Path(self.build_lib, "rooftop", "included", folder), dirs_exist_ok=True, ignore=made_here
                )


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildWithFolders})
