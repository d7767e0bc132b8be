"""Models to ONNX files: the workflow behind `retimbre export onnx`.

For each part of each model, two files:

    DIR/<name>.onnx    the graph with its weights, and what is in <name>.json as metadata under the key `retimbre`
    DIR/<name>.json    what a program must know to use it: inputs, outputs, rate, length, knobs and their values, or
                       classes and conditions

Each is written whole, the second one last, so a file with a .json beside it is complete.
"""

import dataclasses
import importlib.metadata
import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import retimbre
from retimbre.core.errors import ConfigError, ExistsError, MissingExtra, RetimbreError
from retimbre.core.files import sha256_of, whole_file, write_json
from retimbre.workflows.export import graph, parity
from retimbre.workflows.export.part import Part
from retimbre.workflows.export.parts import parts_of

FORMAT = "retimbre onnx"
VERSION = 1
METADATA_KEY = "retimbre"

# By the numbers that ONNX has for them: signals and probabilities, and classes.
_DTYPES = {1: "float32", 7: "int64"}


@final
@dataclasses.dataclass(frozen=True)
class OnnxOptions:
    """How models are exported.

    Attributes:
        opset: The version of the set of operators.
        check: Whether each file must first give torch's outputs in onnxruntime.
        network_only: Whether an inverter's file takes features in place of audio, and a generator's makes them.
    """

    opset: int = graph.OLDEST_OPSET
    check: bool = True
    network_only: bool = False

    def __post_init__(self) -> None:
        """Refuses an operator set that cannot be written."""
        graph.check_opset(self.opset)


@final
@dataclasses.dataclass(frozen=True)
class Exported:
    """One file that was written.

    Attributes:
        model: The model it was made from, as it was named.
        file: The graph. sidecar: What is to be known of it.
        num_bytes: Size of the graph.
        seconds: How long it took to make and check.
        held: The largest differences from torch, by output, of what is held to the tolerance; empty if that was not
            checked.
        reported: Those of the whole, from audio to probabilities, where its features jump, so that no tolerance can
            be held; empty where the whole is what is held.
        tolerance: What is held is at most this.
    """

    model: str
    file: Path
    sidecar: Path
    num_bytes: int
    seconds: float
    held: dict[str, float]
    reported: dict[str, float]
    tolerance: float

    @property
    def end_to_end(self) -> float | None:
        """The largest difference from torch between the file's inputs and outputs; None if that was not checked."""
        return max((self.reported or self.held).values(), default=None)

    @property
    def warning(self) -> str:
        """What whoever uses the file must know of its likeness to torch; empty where it is the same."""
        if not self.reported:
            return ""
        reported = " and ".join(f"{amount:.2g} in {output}" for output, amount in self.reported.items())
        held = f"{max(self.held.values()):.2g} of {self.tolerance:g}"
        return (
            f"{self.file}: from audio on it differs from torch by up to {reported} on the trial clips, and may by "
            f"more on others: its features jump; only the network after them is held ({held})"
        )


@final
@dataclasses.dataclass(frozen=True)
class OnnxRun:
    """What was written, and why the other models were not, by name."""

    files: list[Exported]
    failures: dict[str, str]


def export_onnx(
    models: Sequence[str | Path],
    out: str | Path,
    options: OnnxOptions | None = None,
    *,
    force: bool = False,
    progress: Callable[[float], None] = lambda amount: None,
) -> OnnxRun:
    """Writes models as ONNX files, which programs without torch or Retimbre can run.

    A model that fails leaves the others to be done; the only one raises its error.

    Args:
        models: Run folders, checkpoint files or names of shipped checkpoints.
        out: A folder; it is made if it is missing.
        options: How.
        force: Whether files that are there already are replaced.
        progress: Called with 1 after each model.

    Raises:
        ConfigError: No model, or two whose files would have one name.
        ExistsError: A file is there already, or the folder is one.
        CheckpointError: The only model cannot be read.
        MissingExtra: The libraries that write ONNX files are not installed.
        RetimbreError: The only model cannot be exported, or is not the same in onnxruntime.
    """
    options = options or OnnxOptions()
    if not models:
        raise ConfigError("there is no model to export")
    if Path(out).is_file():
        raise ExistsError(f"{out}: is a file, but models are written to a folder")
    _check_installed(options)
    run = OnnxRun([], {})
    for model in models:
        try:
            parts = parts_of(model, network_only=options.network_only)
            files = [_files_of(part, Path(out)) for part in parts]
            _check_free(str(model), files, run.files, force)
            run.files.extend(
                _export(str(model), part, file, options) for part, file in zip(parts, files, strict=True)
            )
        except RetimbreError as error:
            if len(models) == 1:
                raise
            run.failures[str(model)] = str(error)
        progress(1.0)
    return run


def _check_installed(options: OnnxOptions) -> None:
    needed = ["onnx", "onnxscript", *(["onnxruntime"] if options.check else [])]
    for library in needed:
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, extra="onnx", purpose="export to ONNX")


def _files_of(part: Part, out: Path) -> tuple[Path, Path]:
    # Not with_suffix: a dot in the name would be taken for one.
    return out / f"{part.name}.onnx", out / f"{part.name}.json"


def _check_free(
    model: str, files: Sequence[tuple[Path, Path]], written: Sequence[Exported], force: bool
) -> None:
    own = {exported.file: exported.model for exported in written}
    for file, sidecar in files:
        if file in own:
            raise ConfigError(
                f"{model}: would be written as {file}, as {own[file]} is; export it to another folder"
            )
        for path in (file, sidecar):
            if path.exists() and not force:
                raise ExistsError(f"{path}: exists already; --force overwrites it")


def _export(model: str, part: Part, files: tuple[Path, Path], options: OnnxOptions) -> Exported:
    file, sidecar = files
    started = time.perf_counter()
    proto = graph.to_onnx(part, options.opset)
    held, reported = _checked(part, proto, options.opset) if options.check else ({}, {})
    about = _describe(part, proto, options)
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(about, allow_nan=False)
    proto.producer_name, proto.producer_version = "retimbre", retimbre.__version__
    with whole_file(file) as aside:
        aside.write_bytes(proto.SerializeToString())
    likeness = _likeness(part, held, reported) if options.check else None
    write_json(sidecar, {**about, "file": file.name, "sha256": sha256_of(file), "parity": likeness})
    seconds = time.perf_counter() - started
    return Exported(model, file, sidecar, file.stat().st_size, seconds, held, reported, part.tolerance)


def _checked(part: Part, proto: Any, opset: int) -> tuple[dict[str, float], dict[str, float]]:
    """The largest differences that are held to the tolerance, refused if too large, and those that are only reported.

    Held is the whole or, where that is not continuous, its core; then the whole is reported.
    """
    whole = parity.largest_differences(part, proto.SerializeToString())
    if part.core is None:
        held, reported = whole, {}
    else:
        core = graph.to_onnx(part.core, opset)
        held, reported = parity.largest_differences(part.core, core.SerializeToString()), whole
    parity.refuse_others(part.name, held, part.tolerance)
    return held, reported


def _likeness(part: Part, held: dict[str, float], reported: dict[str, float]) -> dict[str, Any]:
    """What was found of the likeness to torch, as the sidecar says it: the tolerance is only of what is held."""
    return {
        "held": {
            "what": "the network after the features"
            if reported
            else "the whole, from its inputs to its outputs",
            "tolerance": part.tolerance,
            "largest_differences": held,
        },
        "only_reported": {
            "what": "the whole, from audio to its outputs: its features jump, so no tolerance is held",
            "largest_differences": reported,
        }
        if reported
        else None,
    }


def _describe(part: Part, proto: Any, options: OnnxOptions) -> dict[str, Any]:
    libraries = ("torch", "onnx", "onnxscript")
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": part.name,
        **part.about,
        "inputs": [_port(given, part.inputs[given.name]) for given in proto.graph.input],
        "outputs": [_port(given, part.outputs[given.name]) for given in proto.graph.output],
        "opset": options.opset,
        "versions": {"retimbre": retimbre.__version__}
        | {library: importlib.metadata.version(library) for library in libraries},
    }


def _port(given: Any, meaning: str) -> dict[str, Any]:
    """An input or output as it stands in the graph; `batch` is the axis that may have any size."""
    shape = [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim]
    dtype = _DTYPES[given.type.tensor_type.elem_type]
    return {"name": given.name, "shape": shape, "dtype": dtype, "meaning": meaning}
