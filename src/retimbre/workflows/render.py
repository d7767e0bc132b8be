"""A patch to a sound: the shortest way to hear what the knobs do.

`patch_of` turns what a person wrote on a command line (`C=783.991`) into a patch, checked against the instrument;
`render` plays it and, if asked, writes the sound and the patch. `render_midi` plays a whole MIDI file with it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, ExistsError, PatchError
from retimbre.dsp import audiofile
from retimbre.dsp.level import fade_out, fit_length, is_silent, peak
from retimbre.matching.tuning import measure_tuning
from retimbre.synth.catalog import find_synth
from retimbre.synth.melody import MOST_SAMPLES
from retimbre.synth.patches import (
    Patch,
    PatchNote,
    Setting,
    check_patch,
    load_patch,
    render_patch,
    save_patch,
)
from retimbre.workflows.melody import PlayedMelody, play, read_melody

_SILENT = "it is silent with these settings"

# What is faded where a melody is cut to a length: long enough not to click, too short to be heard as a fade.
_CUT_FADE_S = 0.01


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Rendered:
    """A sound and the patch it is of.

    Attributes:
        peak: Largest absolute sample; files keep what is beyond 1, players do not.
        remarks: What a listener should know, one clause each.
        melody: What was played, if it was a melody.
    """

    patch: Patch
    samples: Float[Tensor, " samples"]
    peak: float
    remarks: tuple[str, ...]
    melody: PlayedMelody | None = None


def render(
    patch: Patch | str | Path,
    out: str | Path | None = None,
    *,
    patch_out: str | Path | None = None,
    force: bool = False,
) -> Rendered:
    """Plays a patch.

    Args:
        patch: A patch, or the path of a patch file.
        out: A sound file to write (`.wav`, float32, or `.flac`); None writes none.
        patch_out: A patch file to write; None writes none.
        force: Whether files that are there are overwritten.

    Raises:
        PatchError: The patch cannot be read or does not fit its synthesizer.
        ExistsError: A file is there.
    """
    _refuse_to_overwrite((out, patch_out), force=force)
    patch = patch if isinstance(patch, Patch) else load_patch(patch)
    samples = render_patch(patch)
    largest = float(peak(samples))
    _write(patch, samples, out, patch_out)
    found = {
        f"its peak is {largest:.3g}: the file keeps it, but players clip what is beyond 1": largest > 1,
        _SILENT: is_silent(samples),
    }
    return Rendered(patch, samples, largest, tuple(clause for clause, true in found.items() if true))


def render_midi(
    patch: Patch | str | Path,
    midi: str | Path,
    out: str | Path | None = None,
    *,
    patch_out: str | Path | None = None,
    seconds: float = 0.0,
    force: bool = False,
) -> Rendered:
    """Plays a MIDI file with a patch, in tune; arguments as `render`.

    Args:
        midi: A MIDI file. Its notes give pitch, velocity and gate; the patch's own note says where the patch is tuned.
        seconds: What to cut the sound to, or to pad it to with silence; 0 lets the last note ring out.

    Raises:
        MidiError: The MIDI file cannot be read, or holds nothing that can be played.
        PatchError: The patch cannot be read or does not fit its synthesizer.
        ExistsError: A file is there.
    """
    _refuse_to_overwrite((out, patch_out), force=force)
    patch = patch if isinstance(patch, Patch) else load_patch(patch)
    longest_s = MOST_SAMPLES / patch.sample_rate
    if not 0 <= seconds <= longest_s:
        raise ConfigError(f"seconds is {seconds:g}, but takes 0 to {longest_s:g} with a melody")
    melody = read_melody(midi, patch.sample_rate)
    played = play(melody, patch, measure_tuning(patch))
    samples = _of_length(played.samples, round(seconds * patch.sample_rate), patch.sample_rate)
    _write(patch, samples, out, patch_out)
    remarks = (*played.remarks, _SILENT) if is_silent(samples) else played.remarks
    return Rendered(
        patch, samples, float(peak(samples)), remarks, dataclasses.replace(played, samples=samples)
    )


def default_patch(synth: str) -> Patch:
    """A synthesizer with every knob at its default, at its own rate and length.

    Raises:
        ConfigError: There is no such synthesizer.
    """
    found = find_synth(synth)
    settings: dict[str, Setting] = {knob.name: knob.default for knob in found.space.parameters}
    note = PatchNote(gate_s=found.default_gate_s)
    return Patch(synth, settings, found.sample_rate, seconds=found.default_seconds, note=note)


def patch_of(base: Patch, settings: Sequence[str], curves: Sequence[str] = ()) -> Patch:
    """A patch with some settings changed.

    Args:
        settings: Texts such as `C=783.991` or `filter=lowpass`.
        curves: Texts such as `C=440,880`: values at equal distances over the sound.

    Raises:
        ConfigError: A text is not a setting, the knob is unknown, or its value is not one it takes.
    """
    given: dict[str, Setting] = {name: _value(base, name, text) for name, text in _pairs(settings).items()}
    moving = {name: _numbers(name, text) for name, text in _pairs(curves).items()}
    for name in moving:
        if name in given:
            raise ConfigError(f"{name} is given both a value and a curve")
    changed = dataclasses.replace(base, knobs={**base.knobs, **given, **moving})
    try:
        check_patch(changed)
    except PatchError as error:
        raise ConfigError(str(error)) from error
    return changed


def _pairs(texts: Sequence[str]) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name or not value.strip():
            raise ConfigError(f"a setting is written KNOB=VALUE, not {text!r}")
        if name in pairs:
            raise ConfigError(f"{name} is set twice")
        pairs[name] = value.strip()
    return pairs


def _value(base: Patch, name: str, text: str) -> Setting:
    """The value as the knob keeps it: a checked number or the name of a choice."""
    return find_synth(base.synth).space[name].check(text)


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"the curve of {name} is numbers with commas between, not {text!r}") from None


def _refuse_to_overwrite(paths: Sequence[str | Path | None], *, force: bool) -> None:
    for path in paths:
        if path is not None and Path(path).exists() and not force:
            raise ExistsError(f"{path} is already there; --force overwrites it")


def _of_length(
    samples: Float[Tensor, " samples"], num_samples: int, sample_rate: int
) -> Float[Tensor, " fitted"]:
    """A sound cut without a click or padded with silence; as it is for 0 samples."""
    if not num_samples or num_samples == len(samples):
        return samples
    fitted = fit_length(samples, num_samples)
    fade = min(1.0, _CUT_FADE_S * sample_rate / num_samples)
    return fade_out(fitted, fraction=fade) if num_samples < len(samples) else fitted


def _write(
    patch: Patch, samples: Float[Tensor, " samples"], out: str | Path | None, patch_out: str | Path | None
) -> None:
    largest = float(peak(samples))
    if out is not None and largest > 1 and Path(out).suffix.lower() == ".flac":
        raise ConfigError(
            f"{out}: the peak is {largest:.3g}, which FLAC cannot hold; write a .wav, which can"
        )
    if out is not None:
        audiofile.write(out, samples, patch.sample_rate)
    if patch_out is not None:
        save_patch(patch_out, patch)
