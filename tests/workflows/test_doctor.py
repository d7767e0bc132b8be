"""The doctor states facts: they agree with what the environment says elsewhere."""

import importlib.metadata
import tomllib
from pathlib import Path

import torch

import retimbre
from retimbre.workflows.doctor import examine

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_versions_are_those_of_the_installed_packages() -> None:
    facts = examine()
    assert facts["retimbre"] == retimbre.__version__
    assert facts["packages"]["torch"] == torch.__version__
    assert facts["packages"]["numpy"] == importlib.metadata.version("numpy")


def test_every_required_library_is_examined() -> None:
    required = {requirement.split(">")[0] for requirement in PROJECT["dependencies"]}
    assert required <= examine()["packages"].keys()


def test_every_extra_for_users_is_told_as_present_or_absent() -> None:
    extras = examine()["extras"]
    assert extras.keys() == PROJECT["optional-dependencies"].keys() - {"dev", "benchmarks"}
    assert {type(present) for present in extras.values()} == {bool}


def test_there_is_a_cpu_and_every_cuda_device() -> None:
    devices = examine()["devices"]
    assert devices[0]["name"] == "cpu"
    assert devices[0]["threads"] == torch.get_num_threads()
    assert len(devices) == 1 + torch.cuda.device_count()
