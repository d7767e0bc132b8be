"""`retimbre export onnx`: models as graphs that run without torch."""

from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Force, Json, OutFolder
from retimbre.core.errors import PartialFailure


def onnx(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Models: run folders, checkpoint files or shipped names."),
    ],
    out: OutFolder,
    opset: Annotated[
        int, typer.Option("--opset", help="Version of the set of operators: 18 to 21; older is read by more.")
    ] = 18,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check", help="Run each file in onnxruntime and refuse one that differs from torch."
        ),
    ] = True,
    network_only: Annotated[
        bool,
        typer.Option(
            "--network-only", help="Inverters take features in place of audio; generators make them."
        ),
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Writes models as ONNX files, which programs without torch can run.

    Of an inverter, the file takes audio; of a generator, it makes audio, from random numbers and classes. A .json
    beside it says what each number that goes in or comes out means. docs/export.md shows how to use them.

    Example:
        retimbre export onnx subtractive-resmel note-generator --out exported
    """
    from retimbre.workflows.export.onnx import OnnxOptions, export_onnx

    options = OnnxOptions(opset=opset, check=check, network_only=network_only)
    with console.progress("exporting", total=len(models)) as advance:
        run = export_onnx(models, out, options, force=force, progress=advance)
    if json:
        console.show_json({"files": [_brief(file) for file in run.files], "failures": run.failures})
    else:
        console.show_table([_row(file) for file in run.files])
    for file in run.files:
        if file.warning:
            console.warn(file.warning)
    for name, reason in run.failures.items():
        console.say(f"failed: {reason if name in reason else f'{name}: {reason}'}")
    if run.failures:
        raise PartialFailure(f"{len(run.failures)} of {len(models)} models could not be exported")


def _brief(exported: Any) -> dict[str, Any]:
    return {
        "model": exported.model,
        "file": str(exported.file),
        "sidecar": str(exported.sidecar),
        "num_bytes": exported.num_bytes,
        "seconds": exported.seconds,
        "held_differences": exported.held or None,
        "only_reported_differences": exported.reported or None,
    }


def _row(exported: Any) -> dict[str, Any]:
    end_to_end = exported.end_to_end
    return {
        "file": str(exported.file),
        "megabytes": f"{exported.num_bytes / 1e6:.2f}",
        "seconds": f"{exported.seconds:.1f}",
        "largest difference from torch": None if end_to_end is None else f"{end_to_end:.2g}",
    }
