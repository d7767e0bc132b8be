"""Settings from environment variables, as the first InverSynth program for Keras took them.

That program had no options: what to train on, for how long and with which network stood in variables of the
environment, or in a file `.env` with a line `NAME=value` for each. `read_environment` reads them, refuses what cannot
be meant, and says which name was probably misspelt, since a variable that nobody reads is otherwise never missed.

    TRAINING_SET          a .npy of clips (clips, 1, samples), or a folder that `retimbre data synth` made
    LABELS                a .npy of one-hot labels for them; without it the clips are unlabelled
    ARCHITECTURE          C1 to C6, C6XL, CE2E or CE2E_2D; default C1
    EPOCHS                passes over the training clips; default 100
    SAVED_MODELS_PATH     a folder for the weights and the architecture
    EXPERIMENTATION       whether a patch for AUDIO_WAV_INPUT is predicted after training
    AUDIO_WAV_INPUT       the sound to match
    AUDIO_WAV_OUTPUT      the file that the prediction is played into
    IMAGE_DATA_FORMAT     channels_first or channels_last; checked, and without effect on the result
"""

import dataclasses
import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from retimbre.core.errors import AudioError, ConfigError, near_miss
from retimbre.dsp import audiofile
from retimbre.matching.networks.catalog import canonical_name

NAMES = (
    "TRAINING_SET",
    "LABELS",
    "ARCHITECTURE",
    "EPOCHS",
    "SAVED_MODELS_PATH",
    "EXPERIMENTATION",
    "AUDIO_WAV_INPUT",
    "AUDIO_WAV_OUTPUT",
    "IMAGE_DATA_FORMAT",
)
ARCHITECTURES = ("C1", "C2", "C3", "C4", "C5", "C6", "C6XL", "CE2E", "CE2E_2D")

_TRUE, _FALSE = ("true", "1", "yes"), ("", "false", "0", "no")

# How alike a stranger's name must be to one of ours to be a slip: one letter more, less or other in seven.
_SLIP = 0.85


@dataclasses.dataclass(frozen=True)
class LegacySettings:
    """What the variables say.

    Attributes:
        training_set: A `.npy` file or the folder of a data set.
        labels: A `.npy` file; none for unlabelled clips and for data sets, which have their own.
        architecture: The name in the catalog of networks.
        experimentation: Whether `wav_input` is matched after training.
        image_data_format: As it was given. The layout of maps in memory changes no result here, so it is checked and
            otherwise left alone.
    """

    training_set: Path
    labels: Path | None = None
    architecture: str = "Conv1"
    epochs: int = 100
    saved_models: Path | None = None
    experimentation: bool = False
    wav_input: Path | None = None
    wav_output: Path | None = None
    image_data_format: str = ""


def read_environment(variables: Mapping[str, str]) -> LegacySettings:
    """Settings from the variables of a process, of which most have nothing to do with us.

    Raises:
        ConfigError: A variable is missing, misspelt or out of range; the message names it.
    """
    for name in variables:
        meant = difflib.get_close_matches(name.upper(), NAMES, n=1, cutoff=_SLIP)
        if name not in NAMES and meant and meant[0] not in variables:
            raise ConfigError(f"the variable {name} is not one that is read; did you mean {meant[0]}?")
    return _settings({name: variables[name].strip() for name in NAMES if name in variables})


def read_environment_file(path: Path, variables: Mapping[str, str] = os.environ) -> LegacySettings:
    """Settings from a file of `NAME=value` lines; those of the process go before them.

    Empty lines and lines that begin with `#` are passed over, and quotes around a value are taken off.

    Raises:
        ConfigError: The file cannot be read, a line is not of that form, or as `read_environment`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        stripped = line.strip().removeprefix("export ")
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in stripped.partition("="))
        if not equals:
            raise ConfigError(f"{path}:{number}: takes NAME=value, not {line.strip()!r}")
        if name not in NAMES:
            raise ConfigError(f"{path}:{number}: there is no variable {name!r}; {near_miss(name, NAMES)}")
        found[name] = value.strip("\"'")
    return read_environment({**found, **{name: variables[name] for name in NAMES if name in variables}})


def _settings(values: Mapping[str, str]) -> LegacySettings:
    if not values.get("TRAINING_SET"):
        raise ConfigError("TRAINING_SET is not set; it takes a .npy of clips or the folder of a data set")
    settings = LegacySettings(
        training_set=_existing("TRAINING_SET", values["TRAINING_SET"]),
        labels=_existing("LABELS", values["LABELS"]) if values.get("LABELS") else None,
        architecture=_architecture(values.get("ARCHITECTURE") or "C1"),
        epochs=_epochs(values.get("EPOCHS") or "100"),
        saved_models=Path(values["SAVED_MODELS_PATH"]) if values.get("SAVED_MODELS_PATH") else None,
        experimentation=_truth("EXPERIMENTATION", values.get("EXPERIMENTATION", "")),
        wav_input=_existing("AUDIO_WAV_INPUT", values["AUDIO_WAV_INPUT"])
        if values.get("AUDIO_WAV_INPUT")
        else None,
        wav_output=Path(values["AUDIO_WAV_OUTPUT"]) if values.get("AUDIO_WAV_OUTPUT") else None,
        image_data_format=_image_data_format(values.get("IMAGE_DATA_FORMAT", "")),
    )
    _check_together(settings)
    return settings


def _check_together(settings: LegacySettings) -> None:
    if settings.experimentation and settings.wav_input is None:
        raise ConfigError("EXPERIMENTATION is on, but AUDIO_WAV_INPUT is not set: there is no sound to match")
    if settings.wav_output is not None and not settings.experimentation:
        raise ConfigError("AUDIO_WAV_OUTPUT is set, but nothing is predicted unless EXPERIMENTATION=True")
    _check_sound_files(settings)
    if settings.saved_models is not None and settings.saved_models.is_file():
        raise ConfigError(f"SAVED_MODELS_PATH is {str(settings.saved_models)!r}, a file, but takes a folder")
    if settings.labels is not None and settings.training_set.is_dir():
        raise ConfigError(f"LABELS is set, but the data set {settings.training_set} has its own labels")


def _check_sound_files(settings: LegacySettings) -> None:
    """Sounds that cannot be read or written are found out before anything is trained."""
    if settings.wav_input is not None:
        try:
            audiofile.read(settings.wav_input, max_seconds=1.0)
        except AudioError as error:
            raise ConfigError(f"AUDIO_WAV_INPUT: {error}") from error
    output = settings.wav_output
    if output is not None and (output.suffix.lower() != ".wav" or output.is_dir()):
        raise ConfigError(f"AUDIO_WAV_OUTPUT is {str(output)!r}, but takes the name of a .wav file")


def _existing(name: str, value: str) -> Path:
    path = Path(value)
    if not path.exists():
        raise ConfigError(f"{name} is {value!r}, but there is no such file")
    return path


def _architecture(value: str) -> str:
    if value.upper() not in ARCHITECTURES:
        raise ConfigError(f"ARCHITECTURE is {value!r}; {near_miss(value.upper(), ARCHITECTURES)}")
    return canonical_name(value)


def _epochs(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ConfigError(f"EPOCHS is {value!r}, but takes a whole number from 1 up")
    return int(value)


def _truth(name: str, value: str) -> bool:
    if value.lower() not in _TRUE + _FALSE:
        raise ConfigError(f"{name} is {value!r}, but takes True or False")
    return value.lower() in _TRUE


def _image_data_format(value: str) -> str:
    if value not in {"", "channels_first", "channels_last"}:
        raise ConfigError(f"IMAGE_DATA_FORMAT is {value!r}, but takes channels_first or channels_last")
    return value
