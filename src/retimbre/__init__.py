"""Retimbre re-creates timbres: it finds the synthesizer patch that makes a given sound, and measures how close it is.

The verbs of the command line are functions of this package, imported when first asked for:

    import retimbre
    retimbre.match(...)            a sound to ranked synthesizer patches
    retimbre.render(...)           a patch to a sound
    retimbre.encode(...)           a sound to a representation, and retimbre.decode(...) back
    retimbre.make_dataset(...)     a synthesizer to sounds with labels
    retimbre.train(...)            a run file to a network
    retimbre.generate_midi(...)    a generator and a MIDI file to music; generate_random, _scale, _interpolation, _grid
    retimbre.measure(...)          two sets of sounds to a number with an interval
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# verb: (module, its name there)
_VERBS = {
    "match": ("retimbre.workflows.match.batch", "match"),
    "render": ("retimbre.workflows.render", "render"),
    "encode": ("retimbre.workflows.encode", "encode"),
    "decode": ("retimbre.workflows.decode", "decode"),
    "make_dataset": ("retimbre.workflows.dataset.prepare", "make_dataset"),
    "import_folder": ("retimbre.workflows.dataset.recordings", "import_folder"),
    "check_dataset": ("retimbre.workflows.dataset.census", "check_dataset"),
    "train": ("retimbre.workflows.training.fit", "train"),
    "generate_random": ("retimbre.workflows.generate.sets", "generate_random"),
    "generate_scale": ("retimbre.workflows.generate.sets", "generate_scale"),
    "generate_interpolation": ("retimbre.workflows.generate.sets", "generate_interpolation"),
    "generate_grid": ("retimbre.workflows.generate.sets", "generate_grid"),
    "generate_continuation": ("retimbre.workflows.generate.continuation", "generate_continuation"),
    "generate_midi": ("retimbre.workflows.generate.midi", "generate_midi"),
    "generate_envelope": ("retimbre.workflows.generate.envelope.reshape", "generate_envelope"),
    "measure": ("retimbre.workflows.evaluation.sets.folders", "measure_sounds"),
    "evaluate": ("retimbre.workflows.evaluation.inversion.knobs", "evaluate"),
    "export_onnx": ("retimbre.workflows.export.onnx", "export_onnx"),
    "export_sfz": ("retimbre.workflows.export.sfz.export", "export_sfz"),
    "export_hf": ("retimbre.workflows.export.audiofolder.export", "export_hf"),
    "examine": ("retimbre.workflows.doctor", "examine"),
    "names": ("retimbre.workflows.catalogs", "names"),
}


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"module 'retimbre' has no attribute {name!r}")
    module, attribute = _VERBS[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return ["__version__", *sorted(_VERBS)]
