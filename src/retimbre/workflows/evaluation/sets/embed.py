"""From clips to vectors: a set is heard a few clips at a time, once, and what was heard is kept.

    clips [clips samples] -> windows [clips windows window] -> embedder -> [clips windows dim] -> Vectors

A classifier is asked once for all it has to say: the logits and the features of every attribute and its embedding are
one table, so that the inception scores and kernel distances of pitch and of family cost one pass between them.

The last digits of a vector depend on the batch that it was computed in. So a window that occurs again in a set, sample
for sample, is not heard again: it has the vector that it had before, and equal sounds are equal in every measure.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from retimbre import __version__
from retimbre.core.errors import ConfigError
from retimbre.listening.base import Embedder, FittedEmbedder
from retimbre.listening.listener import Listener
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.profiles import Framing
from retimbre.workflows.evaluation.sets.cache import Tables, VectorCache
from retimbre.workflows.evaluation.sets.clips import ROWS_AT_ONCE, Clips
from retimbre.workflows.evaluation.sets.framing import num_windows, windows

Progress = Callable[[int, int], None]
"""Told how many clips are heard, of how many."""

NO_CACHE = VectorCache()
CPU = torch.device("cpu")

# Clips heard at once are fewer if they are long: 32 MiB of audio.
_SAMPLES_AT_ONCE = 1 << 23


def ignore(done: int, total: int) -> None:
    """The progress that nobody looks at."""


def embedded(
    clips: Clips,
    embedder: Embedder,
    framing: Framing,
    cache: VectorCache = NO_CACHE,
    progress: Progress = ignore,
    *,
    device: torch.device = CPU,
) -> Vectors:
    """The vectors of a set: one for each window of each clip.

    Args:
        clips: At the embedder's rate.
        embedder: What hears them; it is moved to the device.
        framing: Which windows it hears and how vectors are stored.
        cache: Where they are kept.
        progress: Told of every batch; not at all where the vectors were kept.
        device: Where the embedder runs.

    Raises:
        ConfigError: Another rate, an embedder that has to be fitted first, clips shorter than a window, or vectors
            that are not finite.
    """
    _check_rate(clips, embedder.sample_rate, "embedder")
    if isinstance(embedder, FittedEmbedder) and not bool(embedder.is_fitted):
        raise ConfigError(
            f"{type(embedder).__name__} is learned from sounds before it hears any, which makes its distances depend "
            "on them; distances take an embedder that is finished"
        )
    per_clip = num_windows(clips.num_samples, clips.sample_rate, framing)
    embedder.eval().to(device)

    def cut(audio: Tensor) -> Tensor:
        return windows(audio, clips.sample_rate, framing).flatten(0, 1)

    def hear(sounds: Tensor) -> Tables:
        return {"vectors": torch.cat([embedder(some.to(device)) for some in sounds.split(ROWS_AT_ONCE)])}

    def make() -> Tables:
        return {"vectors": _heard(clips, cut, hear, progress)["vectors"].unflatten(0, (len(clips), per_clip))}

    about = _about(clips, device) | {"embedder": embedder.identity(), "framing": dataclasses.asdict(framing)}
    table = cache.kept(about, make)["vectors"]
    return _vectors(table.half() if framing.storage == "float16" else table)


def heard_logits(
    clips: Clips,
    listener: Listener,
    attribute: str,
    cache: VectorCache = NO_CACHE,
    progress: Progress = ignore,
    *,
    device: torch.device = CPU,
) -> Vectors:
    """What a listener answers about an attribute of each clip, before the softmax.

    Raises:
        ConfigError: Another rate, or an attribute that the listener does not tell.
    """
    return _answers(clips, listener, f"logits {attribute}", cache, progress, device)


def heard_features(
    clips: Clips,
    listener: Listener,
    attribute: str,
    cache: VectorCache = NO_CACHE,
    progress: Progress = ignore,
    *,
    device: torch.device = CPU,
) -> Vectors:
    """What a listener's answer about an attribute is read from, its penultimate layer, for each clip.

    Raises:
        ConfigError: Another rate, or an attribute that the listener does not tell.
    """
    return _answers(clips, listener, f"features {attribute}", cache, progress, device)


def check_attribute(listener: Listener, attribute: str) -> None:
    """Makes sure that a listener tells an attribute.

    Raises:
        ConfigError: It does not.
    """
    if attribute not in listener.classes:
        raise ConfigError(
            f"the listener does not tell the {attribute} of a note: it knows {', '.join(listener.classes)}"
        )


def _answers(
    clips: Clips,
    listener: Listener,
    wanted: str,
    cache: VectorCache,
    progress: Progress,
    device: torch.device,
) -> Vectors:
    check_attribute(listener, wanted.partition(" ")[2])
    _check_rate(clips, listener.sample_rate, "listener")
    listener.eval().to(device)

    def hear(sounds: Tensor) -> Tables:
        heard = listener(sounds.to(device))
        tables = {"embedding": heard.embedding}
        tables |= {f"logits {name}": table for name, table in heard.logits.items()}
        return tables | {f"features {name}": table for name, table in heard.features.items()}

    about = _about(clips, device) | {"listener": listener.identity()}
    return _vectors(cache.kept(about, lambda: _heard(clips, lambda audio: audio, hear, progress))[wanted])


def _about(clips: Clips, device: torch.device) -> dict[str, Any]:
    """What any table of a set depends on."""
    return {
        "clips": clips.key,
        "num_samples": clips.num_samples,
        "device": device.type,
        "program": __version__,
    }


def _heard(
    clips: Clips,
    cut: Callable[[Tensor], Float[Tensor, "sounds samples"]],
    hear: Callable[[Float[Tensor, "sounds samples"]], Tables],
    progress: Progress,
) -> Tables:
    """All tables of a set, a row for each sound that its clips are cut into.

    No more than a batch of the set is in memory as sound, and none is heard twice.
    """
    parts: list[Tables] = []
    heard: dict[bytes, int] = {}
    rows: list[int] = []
    done = 0
    for audio in batches(clips):
        sounds = cut(audio)
        new: list[int] = []
        for number, name in enumerate(_names(sounds)):
            if name not in heard:
                heard[name] = len(heard)
                new.append(number)
            rows.append(heard[name])
        if new:
            with torch.inference_mode():
                parts.append({name: table.float().cpu() for name, table in hear(sounds[new]).items()})
        done += len(audio)
        progress(done, len(clips))
    order = torch.tensor(rows)
    return {name: torch.cat([part[name] for part in parts])[order] for name in parts[0]}


def _names(sounds: Float[Tensor, "sounds samples"]) -> list[bytes]:
    """A digest of each sound; adding 0 makes a zero of either sign the same."""
    return [hashlib.sha256(sound.numpy().tobytes()).digest() for sound in (sounds.cpu() + 0.0).contiguous()]


def batches(clips: Clips) -> Iterator[Float[Tensor, "rows samples"]]:
    """A whole set, a few clips at a time, in order."""
    at_once = max(min(ROWS_AT_ONCE, _SAMPLES_AT_ONCE // clips.num_samples), 1)
    for start in range(0, len(clips), at_once):
        yield clips.audio(range(start, min(start + at_once, len(clips))))


def _vectors(table: Float[Tensor, "clips *windows dim"]) -> Vectors:
    per_clip = table[0, ..., 0].numel()
    values: Float64[Tensor, "rows dim"] = table.reshape(len(table) * per_clip, table.shape[-1]).double()
    return Vectors(values, torch.arange(len(table)).repeat_interleave(per_clip))


def _check_rate(clips: Clips, sample_rate: int, heard_by: str) -> None:
    if clips.sample_rate != sample_rate:
        raise ConfigError(
            f"{clips.name} is at {clips.sample_rate} Hz, but the {heard_by} hears {sample_rate} Hz: --sample-rate "
            f"{sample_rate}"
        )
