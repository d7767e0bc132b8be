"""Which networks are asked for proposals: the ones that were named, or those that came with the program."""

import json
from collections.abc import Sequence
from pathlib import Path

from retimbre.core.errors import CheckpointError
from retimbre.matching.inverter import Inverter, load_inverter
from retimbre.training.checkpoint import read_header
from retimbre.training.shipped import shipped_checkpoints

# The shown name of a search that no network began.
NO_MODEL = "search"


def load_models(synth: str, models: Sequence[str]) -> dict[str, Inverter | None]:
    """The networks to ask, by the names to show; `NO_MODEL` alone if there are none.

    Args:
        synth: The synthesizer they must be for.
        models: Run folders, checkpoint files or names of shipped checkpoints; none stands for those that are shipped.

    Raises:
        CheckpointError: A model cannot be read, or is for another synthesizer.
    """
    named = models or shipped_for(synth)
    loaded: dict[str, Inverter | None] = {}
    for name in named:
        inverter = load_inverter(name)
        if inverter.config.synth != synth:
            raise CheckpointError(f"{name}: is a model of {inverter.config.synth!r}, not of {synth!r}")
        short = _short_name(name)
        loaded[name if short in loaded else short] = inverter
    return loaded or {NO_MODEL: None}


def shipped_for(synth: str) -> list[str]:
    """The names of the shipped inverters to ask about a synthesizer: those whose cards say `preferred`, else all."""
    fitting = {
        name: path
        for name, path in shipped_checkpoints().items()
        if read_header(path).metadata.get("config", {}).get("synth") == synth
    }
    return [name for name, path in fitting.items() if _is_preferred(path)] or list(fitting)


def _is_preferred(weights: Path) -> bool:
    card = weights.with_suffix(".json")
    return card.is_file() and bool(json.loads(card.read_text(encoding="utf-8")).get("preferred"))


def _short_name(model: str) -> str:
    path = Path(model)
    return path.parent.name if path.name == "model.safetensors" else path.stem or model
