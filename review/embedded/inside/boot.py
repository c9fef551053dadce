"""The first module of the server's process, run by its path: `python -I boot.py OPTIONS`.

Charter is not installed there, so the names above this folder become empty packages; from then on
the modules here import each other by their full names, as they do where charter is installed.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["main"]

_NAMES = ("charter", "charter.review", "charter.review.embedded", "charter.review.embedded.inside")


def main() -> int:
    """Give the folder its name and start; the process's exit code."""
    for name in _NAMES:
        package = ModuleType(name)
        package.__path__ = [str(Path(__file__).parent)] if name == _NAMES[-1] else []
        sys.modules[name] = package
    # Nothing of what is imported now is ever dropped: looking for garbage in it takes a tenth of
    # the start.
    gc.disable()
    from charter.review.embedded.inside.launch import launch

    return launch(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
