"""The JSON configuration of an earlier program, as a run file of this one.

Nistal, Lattner and Richard's program trains its progressive GAN from a JSON file of three tables: `loaderConfig`
chooses notes of NSynth, `transformConfig` the representation, `modelConfig` networks, losses and growth. Such a file is
read here as that program would read it, with its defaults, and becomes the tables of a run (`GanRun`). It is as strict
as every run file: an option that the program does not have is an error, which offers the nearest. Spellings that only
its README uses are understood with a warning, and so are options that make no difference.

What is meant otherwise here, on purpose:

- Losses are means over a batch, where the program sums all but those of classes, so that a learning rate means the same
  for every batch size. The weights of class losses are divided by the batch size, which keeps their balance with the
  rest; by that of the scale that training begins with, so that the balance shifts at scales with other batches.
- A `formatLayerType` that is left out is the `default` one; the program's own default, RandomZ, is one that its
  generator does not have. A list that is longer than there are scales is cut.
- `Logistic` gets the gradient penalty that the program meant to give it.
- An empty `pitch_range` asks for all pitches, and does not also lift the limit `size`, which is 1 or more.

References:
    https://github.com/SonyCSLParis/Comparing-Representations-for-Audio-Synthesis-using-GANs
"""

import contextlib
import dataclasses
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

from retimbre.core.config import build, read_run_file
from retimbre.core.errors import ConfigError, near_miss
from retimbre.corpora.nsynth.entries import HIGHEST_MIDI
from retimbre.gan.sounds import shape_of
from retimbre.representation.aliases import AliasWarning
from retimbre.representation.catalog import representation
from retimbre.representation.transform_table import Transform, translate_transform
from retimbre.workflows.legacy.sony2020_model import ModelTable, translate_model

Table = dict[str, Any]

# The program's names of attributes, those of NSynth's file among them; its "instrument" is the family.
ATTRIBUTES = {
    "instrument": "family",
    "instrument_family": "family",
    "instrument_family_str": "family",
    "pitch": "pitch",
    "velocity": "velocity",
    "instrument_source": "source",
    "instrument_source_str": "source",
    "instrument_str": "instrument",
}
# How the program calls options that refusals name by their names here.
_ITS_NAMES = {
    "gradient_penalty": "lambdaGP",
    "drift": "epsilonD",
    "class_weight_generator": "weightConditionG",
    "class_weight_critic": "weightConditionD",
    "leak": "leakyness",
    "factors": "downSamplingFactor",
    "depths": "depthScales",
    "latent_dim": "dimLatentVector",
    "learning_rate": "baseLearningRate",
    "critic_learning_rate": "baseLearningRate",
    "batch_size": "miniBatchSize",
    "batch_sizes": "miniBatchSize",
    "start_scale": "startScale",
    "fade_jumps": "alphaNJumps",
    "fade_jump_steps": "alphaSizeJumps",
    "fade_steps": "iterAlphaJump",
    "fade_values": "alphaJumpVals",
    "steps": "maxIterAtScale",
    "n_fft": "fft_size",
    "win_length": "win_size",
    "hop_length": "hop_size",
    "num_samples": "audio_length",
}
# The part of a clip that `fade_out` fades.
_FADED = 0.3
_ALL = ("all",)


@final
@dataclasses.dataclass(frozen=True)
class _LoaderTable:
    """`loaderConfig` with the program's names and defaults."""

    data_path: str
    att_dict_path: str
    size: int
    _format: str = "wav"
    attribute_list: tuple[str, ...] = ("instrument", "pitch")
    instrument_labels: tuple[str, ...] = ("bass",)
    pitch_range: tuple[int | str, ...] = (24, 84)
    filter_keys: tuple[str, ...] = ("acoustic",)
    filter: tuple[str, ...] = ()
    balanced_data: bool = True
    load_metadata: bool = True
    shuffle: bool = False
    overwrite: bool = False
    preprocess: bool = True
    sample_rate: int = 16_000
    audio_length: int = 16_000
    dbname: str = ""


@final
@dataclasses.dataclass(frozen=True)
class _FileTable:
    """The whole file."""

    loaderConfig: dict[str, Any]  # noqa: N815  (the names are the program's)
    transformConfig: dict[str, Any]  # noqa: N815
    modelConfig: dict[str, Any]  # noqa: N815
    name: str = "default"
    comments: str = ""
    output_path: str = "output_networks"


@contextlib.contextmanager
def in_its_words() -> Iterator[None]:
    """Has refusals of options of this program say how the JSON file calls them."""
    try:
        yield
    except ConfigError as error:
        words = re.findall(r"\w+", str(error))
        its_names = [_ITS_NAMES[word] for word in words if word in _ITS_NAMES]
        if not its_names or its_names[0] in words:
            raise
        raise type(error)(f"{error} (in the JSON file: {its_names[0]})") from error


def is_sony2020(table: Mapping[str, Any]) -> bool:
    """Whether the tables of a file are those of this program."""
    return "modelConfig" in table


def results_folder(path: Path) -> Path | None:
    """The folder that such a file names for its results; None for a file of another kind.

    Raises:
        ConfigError: The file cannot be read.
    """
    if path.suffix != ".json":
        return None
    table = read_run_file(path)
    return (
        Path(table.get("output_path", "output_networks"), table.get("name", "default"))
        if is_sony2020(table)
        else None
    )


def translate(table: Mapping[str, Any]) -> Table:
    """The tables of a run file that does what a file of the program says.

    Raises:
        ConfigError: An option is unknown, missing, of another type, or asks for what there is not.

    Warns:
        AliasWarning: Says which spellings were understood as which, and which options make no difference.
    """
    file = build(_FileTable, table, "")
    loader = build(_LoaderTable, _aliased(file.loaderConfig), "loaderConfig")
    model = build(ModelTable, file.modelConfig, "modelConfig")
    transform = translate_transform(file.transformConfig)
    _check(loader, model, transform)
    attributes = _attributes(loader) if model.ac_gan else []
    told = dataclasses.replace(model, ac_gan=bool(attributes))
    run = translate_model(told, [_attribute(name) for name in model.skipAttDfake])
    run["task"] |= {
        "representation": transform.name,
        "settings": transform.settings,
        "sample_rate": transform.sample_rate,
        "num_samples": transform.num_samples,
        "attributes": attributes,
    }
    return run | {"data": _data(loader, transform)}


def _aliased(table: Mapping[str, Any]) -> Table:
    """The README's `filter` is the program's `filter_keys`."""
    if "filter" not in table:
        return dict(table)
    _warn("'filter' in [loaderConfig] is 'filter_keys'")
    if "filter_keys" in table:
        raise ConfigError("[loaderConfig] has filter and filter_keys; takes one of them")
    return {("filter_keys" if name == "filter" else name): value for name, value in table.items()}


def _check(loader: _LoaderTable, model: ModelTable, transform: Transform) -> None:
    """What the tables must say together."""
    if loader._format != "wav":
        raise ConfigError(f"[loaderConfig] _format is {loader._format!r}; takes 'wav'")
    if loader.size < 1:
        raise ConfigError(f"[loaderConfig] size is {loader.size}; takes 1 or more notes")
    if model.ac_gan and not loader.load_metadata:
        raise ConfigError("[loaderConfig] load_metadata is false, but ac_gan needs the labels; takes true")
    if unknown := model.attribKeysOrder.keys() - set(loader.attribute_list):
        name = min(unknown)
        raise ConfigError(
            f"[modelConfig] attribKeysOrder has {name!r}; {near_miss(name, loader.attribute_list)}"
        )
    chosen = representation(transform.name, transform.sample_rate, transform.settings)
    channels = shape_of(chosen, transform.num_samples)[0]
    if model.dimOutput not in {0, channels}:
        raise ConfigError(
            f"[modelConfig] dimOutput is {model.dimOutput}, but {transform.name!r} has {channels} channels"
        )


def _attribute(name: str) -> str:
    if name not in ATTRIBUTES:
        raise ConfigError(f"notes have no attribute {name!r}; {near_miss(name, ATTRIBUTES)}")
    return ATTRIBUTES[name]


def _attributes(loader: _LoaderTable) -> list[str]:
    """What networks are told; attributes with a single value, which tell nothing, are left out as the program does."""
    low_and_high = _pitches(loader)
    single = {"family": len(_families(loader)) == 1, "pitch": low_and_high[0] == low_and_high[1]}
    named = [_attribute(name) for name in loader.attribute_list]
    told = [name for name in dict.fromkeys(named) if not single.get(name)]
    if left := [name for name in dict.fromkeys(named) if name not in told]:
        _warn(f"[loaderConfig] attributes of a single value are not told: {', '.join(left)}")
    return told


def _families(loader: _LoaderTable) -> list[str]:
    return [] if loader.instrument_labels == _ALL else list(loader.instrument_labels)


def _pitches(loader: _LoaderTable) -> list[int]:
    asked = loader.pitch_range
    if asked in {(), _ALL}:
        return [0, HIGHEST_MIDI]
    if len(asked) != 2 or not all(isinstance(each, int) for each in asked):
        raise ConfigError(
            f'[loaderConfig] pitch_range is {list(asked)}; takes [lowest, highest], [] or ["all"]'
        )
    return [int(each) for each in asked]


def _data(loader: _LoaderTable, transform: Transform) -> Table:
    return {
        "nsynth": {
            "audio": loader.data_path,
            "examples": loader.att_dict_path,
            "families": _families(loader),
            "pitches": _pitches(loader),
            "name_contains": list(loader.filter_keys),
            "size": loader.size,
            "balance": loader.balanced_data,
        },
        "notes": loader.size,
        "peak": False,
        "fade_out": _FADED if transform.fade_out else 0.0,
    }


def _warn(message: str) -> None:
    warnings.warn(message, AliasWarning, stacklevel=3)
