"""Link the rooms into `.types/charter`, so that type checkers see the package as installed.

Run by `make check`; the tree is git-ignored.
"""

import shutil
import tomllib
from pathlib import Path

root = Path(__file__).parents[1]
tree = root / ".types"
rooms = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]
shutil.rmtree(tree, ignore_errors=True)
(tree / "charter").mkdir(parents=True)
for path in (root / rooms.pop("charter")).iterdir():
    (tree / "charter" / path.name).symlink_to(path)
for package, folder in rooms.items():
    (tree / "charter" / package.removeprefix("charter.")).symlink_to(root / folder)
