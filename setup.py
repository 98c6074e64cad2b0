"""The step of the build that pyproject.toml cannot describe: translated texts."""

import os

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = os.path.dirname(os.path.abspath(__file__))


class BuildTranslated(build_py):
    """Build the package so that it looks up its texts in the language of Orange.

    Where it is installed for development, texts are those of the source.
    """

    def run(self) -> None:
        self.force = True  # what is there from an earlier build is translated already
        super().run()
        if not self.editable_mode:
            self._translate()

    def _translate(self) -> None:
        from trubar import translate

        translate(
            "msgs.jaml",
            source_dir=os.path.join(self.build_lib, "orangecontrib", "imageanalytics"),
            config_file=os.path.join(HERE, "i18n", "trubar-config.yaml"),
        )


setup(cmdclass={"build_py": BuildTranslated})
