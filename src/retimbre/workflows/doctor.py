"""What this installation is made of and can do: the first thing to look at when something is slow or missing.

The answers are facts about the machine and the environment, never guesses: versions as the packages state them, devices
as torch sees them, extras by whether their libraries can be imported.
"""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
from typing import Any

import soundfile

import retimbre
from retimbre.training.devices import describe
from retimbre.workflows.catalogs import names

# The extras that serve the developers of this package rather than its users.
_DEVELOPMENT = {"dev", "benchmarks"}

# A requirement of an extra in the package's metadata: h5py>=3.11; extra == 'hdf5'
_EXTRA_REQUIREMENT = re.compile(r"""^(?P<library>[\w.-]+).*extra == ['"](?P<extra>\w+)['"]""")


def examine() -> dict[str, Any]:
    """Versions, devices, threads, the C++ compiler, extras and bundled checkpoints, as plain values."""
    return {
        "retimbre": retimbre.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": _versions(),
        "devices": _devices(),
        "compiler": _compiler(),
        "extras": _extras(),
        "checkpoints": [entry["name"] for entry in names("checkpoints")],
    }


def _versions() -> dict[str, str]:
    """The installed version of every library that the package requires, and of the C library that reads sound files."""
    requirements = importlib.metadata.requires("retimbre") or []
    required = sorted(re.split(r"[^\w.-]", line)[0] for line in requirements if "extra ==" not in line)
    versions = {library: importlib.metadata.version(library) for library in required}
    return {**versions, "libsndfile": soundfile.__libsndfile_version__}


def _devices() -> list[dict[str, Any]]:
    """The processor and every GPU, named as `--device` and torch name them."""
    machine = describe()
    cpu = {"name": "cpu", **{key: machine[key] for key in ("processor", "cores", "threads")}}
    gpus = [
        {**gpu, "name": f"cuda:{index}", "model": gpu["name"]} for index, gpu in enumerate(machine["gpus"])
    ]
    return [cpu, *gpus]


def _compiler() -> str | None:
    """The C++ compiler that torch.compile would call for the CPU, or None: then everything runs uncompiled."""
    candidates = [os.environ.get("CXX", ""), "g++", "clang++"]
    return next((name for name in candidates if name and shutil.which(name)), None)


def _extras() -> dict[str, bool]:
    """Whether each extra can be used: whether all its libraries are installed."""
    present: dict[str, bool] = {}
    for requirement in importlib.metadata.requires("retimbre") or []:
        match = _EXTRA_REQUIREMENT.match(requirement)
        if match and match["extra"] not in _DEVELOPMENT:
            found = importlib.util.find_spec(match["library"]) is not None
            present[match["extra"]] = present.get(match["extra"], True) and found
    return present
