"""What there is to choose from: every catalog as rows of plain values, for the command line and for programs.

A catalog is a dictionary literal in the package that owns its things. This module knows where each one is and what a
reader wants to know about its entries; it imports a catalog only when asked for it.
"""

import dataclasses
import importlib.resources
import inspect
import json
from collections.abc import Callable
from typing import Any

from retimbre.core.errors import CheckpointError, ConfigError, near_miss

Row = dict[str, Any]

# The rate at which the shape of a second's features is told.
_SHAPE_RATE_HZ = 16_000


def names(kind: str) -> list[Row]:
    """The entries of a catalog, each with its `name` first and what its kind is chosen by.

    Args:
        kind: one of `KINDS`.

    Raises:
        ConfigError: There is no such catalog.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no catalog {kind!r}; {near_miss(kind, KINDS)}")
    return KINDS[kind]()


def _synths() -> list[Row]:
    from retimbre.synth.catalog import SYNTHS

    return [
        {
            "name": name,
            "parameters": len(synth.space.parameters),
            "sample_rate": synth.sample_rate,
            "seconds": synth.default_seconds,
            "description": _first_line(synth),
        }
        for name, synth in SYNTHS.items()
    ]


def _representations() -> list[Row]:
    import torch

    from retimbre.representation.catalog import REPRESENTATIONS

    second = torch.zeros(1, _SHAPE_RATE_HZ)
    return [
        {
            "name": name,
            "exact": entry.exact,
            "invertible": entry.invertible,
            "shape": " x ".join(str(size) for size in entry.at_rate(_SHAPE_RATE_HZ).encode(second).shape[1:]),
            "description": _what_it_is(entry),
        }
        for name, entry in REPRESENTATIONS.items()
    ]


def _what_it_is(representation: Any) -> str:
    """The line that its class opens with, that of its coordinates, and the settings that tell it from its like."""
    from retimbre.representation.catalog import settings_of

    coordinates = getattr(representation, "coordinates", None)
    plain = type(representation)()
    lines = [_first_line(representation)]
    if coordinates:
        lines.append(_first_line(coordinates))
        plain = dataclasses.replace(plain, coordinates=type(coordinates)())
    usual = settings_of(plain)
    # The sample rate is whichever is asked for.
    own = [
        f"{name}={value}"
        for name, value in settings_of(representation).items()
        if value != usual[name] and name != "sample_rate"
    ]
    return " ".join([*lines, f"With {', '.join(own)}."] if own else lines)


def _models() -> list[Row]:
    from retimbre.gan.networks import sizes
    from retimbre.matching import autoencoder
    from retimbre.matching.networks.catalog import MODELS, PAPER_OUTPUTS

    own_size = autoencoder.LabelAutoencoderConfig("inversynth")
    inverters = [
        {
            "name": name,
            "task": model.task,
            "parameters": model.num_parameters(),
            "representation": model.representation,
            "description": model.description,
        }
        for name, model in MODELS.items()
    ]
    labels = {
        "name": "LabelAutoencoder",
        "task": autoencoder.KIND,
        "parameters": autoencoder.num_parameters(PAPER_OUTPUTS, own_size),
        "representation": "class labels",
        "description": autoencoder.DESCRIPTION,
    }
    return [*inverters, labels, *sizes.rows()]


def _metrics() -> list[Row]:
    from retimbre.metrics.catalog import METRICS
    from retimbre.metrics.notes.catalog import NOTE_MEASURES

    named = [(name, metric.compares, metric) for name, metric in METRICS.items()]
    named += [(name, "notes", measure) for name, measure in NOTE_MEASURES.items()]
    return [
        {
            "name": name,
            "compares": compares,
            "better": metric.better,
            "unit": metric.unit,
            "description": metric.description,
        }
        for name, compares, metric in named
    ]


def _corpora() -> list[Row]:
    from retimbre.corpora.catalog import CORPORA

    return [
        {
            "name": name,
            "command": corpus.command,
            "licence": corpus.licence,
            "labels": corpus.labels,
            "description": corpus.description,
            "citation": corpus.citation,
        }
        for name, corpus in CORPORA.items()
    ]


def _checkpoints() -> list[Row]:
    """The checkpoints that came with the package: weights, each with a card that says what they are."""
    folder = importlib.resources.files("retimbre") / "checkpoints"
    cards = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name
    )
    return [_checkpoint(folder, card) for card in cards]


def _checkpoint(folder: Any, card: Any) -> Row:
    name = card.name.removesuffix(".json")
    weights = folder / f"{name}.safetensors"
    if not weights.is_file():
        raise CheckpointError(f"{card.name} is a card without weights: {weights.name} is missing")
    content = json.loads(card.read_text(encoding="utf-8"))
    if missing := {"task", "description"} - content.keys():
        raise CheckpointError(f"the card {card.name} does not say {' and '.join(sorted(missing))}")
    return {
        "name": name,
        "task": content["task"],
        "path": str(weights),
        "description": content["description"],
    }


def _first_line(thing: object) -> str:
    """The line that its class opens with."""
    return (inspect.getdoc(type(thing)) or "").partition("\n")[0]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "synths": _synths,
    "representations": _representations,
    "models": _models,
    "metrics": _metrics,
    "corpora": _corpora,
    "checkpoints": _checkpoints,
}
