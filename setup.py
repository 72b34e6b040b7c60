"""What pyproject.toml cannot say: a wheel holds the workflow, which lies beside the package in a clone."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithWorkflow(build_py):
    """Copies `workflow` and `config` into the folder that `m3hl.orchestration.snakemake` knows."""

    def run(self) -> None:
        """Build the package, and put both beside it; an editable install finds them in the clone."""
        super().run()
        for name in () if self.editable_mode else ("workflow", "config"):
            shutil.copytree(name, Path(self.build_lib, "m3hl_workflow", name), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithWorkflow})
