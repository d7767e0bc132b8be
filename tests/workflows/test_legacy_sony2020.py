"""System C's JSON: its README's example is understood as it stands, and what cannot be meant is said in one line."""

import copy
import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.cli.app import run as command
from retimbre.core.errors import ConfigError, DatasetError
from retimbre.dsp import audiofile
from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.growth import GrowthWarning
from retimbre.gan.networks.wavegan import WaveGanCriticConfig, WaveGanGeneratorConfig
from retimbre.representation.aliases import AliasWarning
from retimbre.workflows.legacy.sony2020 import is_sony2020, results_folder, translate
from retimbre.workflows.training.fit import default_folder, train
from retimbre.workflows.training.gan_pool import clip_pool
from retimbre.workflows.training.gan_run import GanDataConfig, GanRun
from retimbre.workflows.training.nsynth_notes import NSynthNotes
from retimbre.workflows.training.run import read_run

# The example of the program's README, key by key.
README: dict[str, Any] = {
    "name": "mag-if_test_config",
    "comments": "dummy_configuration",
    "output_path": "output/path",
    "loaderConfig": {
        "data_path": "path/to/nsynth/audio/folder",
        "att_dict_path": "path/to/nsynth/metadata/file",
        "filter": ["acoustic"],
        "instrument_labels": ["brass", "mallet", "flute", "guitar"],
        "shuffle": False,
        "attribute_list": ["pitch"],
        "pitch_range": [40, 70],
        "load_metadata": True,
        "size": 1000,
    },
    "transformConfig": {
        "transform": "mag-if",
        "fade_out": True,
        "fft_size": 1024,
        "win_size": 1024,
        "n_frames": 64,
        "hop_size": 256,
        "log": True,
        "ifreq": True,
        "sample_rate": 16000,
        "audio_length": 16000,
    },
    "modelConfig": {
        "formatLayerType": "default",
        "ac_gan": True,
        "downSamplingFactor": [[16, 16], [8, 8], [4, 4], [2, 2], [1, 1]],
        "imagefolderDataset": True,
        "maxIterAtScale": [50, 50, 50, 50, 50],
        "alphaJumpMode": "linear",
        "alphaNJumps": [600, 600, 600, 600, 1200],
        "alphaSizeJumps": [32, 32, 32, 32, 32],
        "transposed": False,
        "depthScales": [5, 5, 5, 5, 5],
        "miniBatchSize": [2, 2, 2, 2, 2],
        "dimLatentVector": 2,
        "perChannelNormalization": True,
        "lossMode": "WGANGP",
        "lambdaGP": 10.0,
        "leakyness": 0.02,
        "miniBatchStdDev": True,
        "baseLearningRate": 0.0006,
        "dimOutput": 2,
        "weightConditionG": 10.0,
        "weightConditionD": 10.0,
        "attribKeysOrder": {"pitch": 0},
        "startScale": 0,
        "skipAttDfake": [],
    },
}
NOTES = [
    ("brass_acoustic_000", "brass", (60, 62, 64, 65, 67)),
    ("guitar_acoustic_001", "guitar", (60, 62, 64, 65, 67)),
    ("guitar_electronic_002", "guitar", (60, 62)),
    ("bass_acoustic_003", "bass", (40, 41)),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few notes in NSynth's layout."""
    folder = tmp_path_factory.mktemp("nsynth")
    (folder / "audio").mkdir()
    entries = {}
    time_s = torch.arange(4000) / 16_000
    for number, (instrument, family, pitches) in enumerate(NOTES):
        for pitch in pitches:
            name = f"{instrument}-{pitch:03d}-100"
            hertz = 440.0 * 2 ** ((pitch - 69) / 12)
            phase = 2 * torch.pi * hertz * time_s
            sound = 0.3 * phase.sin() + 0.1 * ((number + 2) * phase).sin()
            audiofile.write(folder / "audio" / f"{name}.wav", sound, 16_000)
            entries[name] = {
                "pitch": pitch,
                "velocity": 100,
                "instrument_str": instrument,
                "instrument_family_str": family,
                "instrument_source_str": instrument.split("_")[1],
            }
    (folder / "examples.json").write_text(json.dumps(entries))
    return folder


def changed(**tables: dict[str, Any]) -> dict[str, Any]:
    table = copy.deepcopy(README)
    for name, options in tables.items():
        table[name] |= options
    return table


def quietly(table: dict[str, Any]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AliasWarning)
        return translate(table)


def written(table: dict[str, Any], path: Path) -> Path:
    path.write_text(json.dumps(table))
    return path


def test_the_example_of_the_readme_is_understood_as_it_stands(tmp_path: Path) -> None:
    with pytest.warns(AliasWarning) as told:
        run = read_run(written(README, tmp_path / "config.json"), [])
    assert isinstance(run, GanRun)
    said = " ".join(str(each.message) for each in told)
    for what in ("'filter' in [loaderConfig] is 'filter_keys'", "'sony2020-mag-if'", "imagefolderDataset"):
        assert what in said
    assert (run.task.representation, run.task.num_samples, run.task.sample_rate) == (
        "sony2020-mag-if",
        16_383,
        16_000,
    )
    assert run.task.settings == {"n_fft": 1024, "hop_length": 256}
    assert (run.task.latent_dim, run.task.attributes) == (2, ("pitch",))
    generator, critic = run.task.generator, run.task.critics[0].network
    assert generator.kind == critic.kind == "progressive"
    assert generator.depths == critic.depths == (5,) * 5
    assert generator.factors == ((16, 16), (8, 8), (4, 4), (2, 2), (1, 1))
    assert (generator.start, generator.leak, generator.pixel_norm, critic.minibatch_group) == (
        "linear",
        0.02,
        True,
        4,
    )
    loss = run.task.loss
    assert (loss.kind, loss.gradient_penalty, loss.drift, loss.reduction) == ("wgan", 10.0, 0.001, "mean")
    # The program sums scores over two clips and takes the mean of class losses.
    assert loss.class_weight_generator == loss.class_weight_critic == 5.0
    assert run.growth is not None
    assert (run.growth.total_steps, run.growth.batch_size_at(1)) == (250, 2)
    train_table = run.train
    assert (train_table.steps, train_table.learning_rate, train_table.betas) == (250, 6e-4, (0.0, 0.99))
    assert (train_table.ema_decay, train_table.clip_norm, train_table.schedule) == (0.999, 0.0, "constant")
    source = run.data.nsynth
    assert source == NSynthNotes(
        audio="path/to/nsynth/audio/folder",
        examples="path/to/nsynth/metadata/file",
        families=("brass", "mallet", "flute", "guitar"),
        pitches=(40, 70),
        name_contains=("acoustic",),
        size=1000,
    )
    assert (run.data.fade_out, run.data.peak) == (0.3, False)


def test_options_are_set_over_what_a_file_of_the_program_means(tmp_path: Path) -> None:
    with pytest.warns(AliasWarning):
        run = read_run(
            written(README, tmp_path / "config.json"), ["train.steps=7", "data.peak=true", "seed=3"]
        )
    assert isinstance(run, GanRun)
    assert (run.train.steps, run.data.peak, run.seed) == (7, True, 3)


def test_results_go_where_the_file_says(tmp_path: Path) -> None:
    assert default_folder(written(README, tmp_path / "config.json")) == Path("output/path/mag-if_test_config")
    assert results_folder(written({"task": {}}, tmp_path / "run.json")) is None
    assert is_sony2020(README)
    assert not is_sony2020({"task": {"kind": "gan"}})


def test_what_is_left_out_has_the_defaults_of_the_program() -> None:
    model = {"downSamplingFactor": [[2 ** (8 - scale)] * 2 for scale in range(9)]}
    table = README | {
        "loaderConfig": {"data_path": "a", "att_dict_path": "b", "size": 5},
        "transformConfig": {},
        "modelConfig": model,
    }
    run = quietly(table)
    assert run["task"]["representation"] == "waveform"
    assert run["task"]["attributes"] == []  # ac_gan is off
    assert run["growth"]["steps"] == [48_000, *[96_000] * 7, 200_000]
    assert run["growth"]["fade_jumps"] == [0, *[600] * 8]
    assert run["task"]["generator"]["depths"] == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert (run["task"]["latent_dim"], run["train"]["batch_size"], run["train"]["learning_rate"]) == (
        512,
        16,
        0.001,
    )
    source = run["data"]["nsynth"]
    assert (source["families"], source["pitches"], source["name_contains"]) == (
        ["bass"],
        [24, 84],
        ["acoustic"],
    )
    assert run["data"]["fade_out"] == 0.0


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"depthScales": [[8, 4], 5, [6, 7], 5, 5]}, {"depths": ([8, 5, 6, 5, 5], [4, 5, 7, 5, 5])}),
        ({"miniBatchStdDev": False}, {"minibatch_group": (None, 0)}),
        ({"perChannelNormalization": False}, {"pixel_norm": (False, None)}),
        ({"initBiasToZero": False}, {"zero_bias": (False, False)}),
        ({"formatLayerType": "gansynth"}, {"start": ("gansynth", None)}),
        ({"generationActivation": "tanh"}, {"output": ("tanh", None)}),
    ],
)
def test_options_of_the_networks_arrive_in_the_networks(
    options: dict[str, Any], found: dict[str, Any]
) -> None:
    task = quietly(changed(modelConfig=options))["task"]
    for name, (generator, critic) in found.items():
        assert task["generator"].get(name) == generator
        assert task["critics"][0]["network"].get(name) == critic


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("WGANGP", "wgan"), ("MSE", "lsgan"), ("DCGAN", "non-saturating"), ("Logistic", "logistic")],
)
def test_every_loss_of_the_program_has_its_name_here(mode: str, kind: str) -> None:
    assert quietly(changed(modelConfig={"lossMode": mode}))["task"]["loss"]["kind"] == kind


def test_custom_fades_pairs_of_rates_and_attributes_arrive() -> None:
    model = {
        "alphaJumpMode": "custom",
        "iterAlphaJump": [[], [0, 10], [0], [0], [0]],
        "alphaJumpVals": [[], [0.5, 0.0], [0.0], [0.0], [0.0]],
        "baseLearningRate": [0.001, 0.002],
        "miniBatchSize": 4,
        "skipAttDfake": ["instrument"],
        "soft_labels": True,
        "startScale": 1,
    }
    run = quietly(changed(modelConfig=model, loaderConfig={"attribute_list": ["instrument", "pitch"]}))
    assert run["growth"]["fade"] == "custom"
    assert run["growth"]["fade_values"][1] == [0.5, 0.0]
    assert (run["train"]["learning_rate"], run["task"]["critic_learning_rate"]) == (0.001, 0.002)
    assert (run["train"]["batch_size"], run["train"]["steps"], run["growth"]["start_scale"]) == (4, 200, 1)
    assert run["task"]["attributes"] == ["family", "pitch"]
    assert run["task"]["loss"]["class_skip"] == ["family"]
    assert run["task"]["loss"]["soft_labels"] is True


def test_attributes_of_a_single_value_are_not_told() -> None:
    loader = {"instrument_labels": ["brass"], "attribute_list": ["instrument", "pitch"]}
    with pytest.warns(AliasWarning, match="single value are not told: family"):
        run = translate(changed(loaderConfig=loader))
    assert run["task"]["attributes"] == ["pitch"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"modelConfig": {"depthScale": [5]}},
            r"\[modelConfig\] has no option 'depthScale'; did you mean 'depthScales'",
        ),
        ({"loaderConfig": {"sise": 1}}, r"\[loaderConfig\] has no option 'sise'; did you mean 'size'"),
        ({"modelConfig": {"formatLayerType": "RandomZ"}}, "has no formatLayerType 'RandomZ'"),
        ({"modelConfig": {"lossMode": "WGANGp"}}, "no lossMode 'WGANGp'; did you mean 'WGANGP'"),
        (
            {"modelConfig": {"maxIterAtScale": [50, 50]}},
            "maxIterAtScale has 2 values, but depthScales has 5 scales",
        ),
        ({"modelConfig": {"dimOutput": 3}}, "dimOutput is 3, but 'sony2020-mag-if' has 2 channels"),
        ({"modelConfig": {"transposed": True}}, "transposed is true"),
        ({"modelConfig": {"downSamplingFactor": []}}, "needs the option 'downSamplingFactor'"),
        (
            {"modelConfig": {"attribKeysOrder": {"pich": 0}}},
            "attribKeysOrder has 'pich'; did you mean 'pitch'",
        ),
        ({"modelConfig": {"generationActivation": "relu"}}, "generationActivation is 'relu'"),
        ({"modelConfig": {"alphaJumpMode": "cubic"}}, "alphaJumpMode is 'cubic'"),
        ({"modelConfig": {"startScale": 5}}, "startScale is 5; takes 0 to 4"),
        ({"modelConfig": {"miniBatchSize": 0}}, "miniBatchSize is 0; takes 1 or more"),
        (
            {"modelConfig": {"miniBatchSize": [0, 2, 2, 2, 2]}},
            r"miniBatchSize is \[0, 2, 2, 2, 2\]; takes 1 or more",
        ),
        ({"loaderConfig": {"size": 0}}, "size is 0; takes 1 or more notes"),
        ({"modelConfig": {"GDPP": "yes"}}, "'GDPP' should be a valid boolean"),
        (
            {"loaderConfig": {"attribute_list": ["pich"]}},
            "no attribute 'pich'; did you mean 'pitch'|attribKeysOrder",
        ),
        ({"loaderConfig": {"pitch_range": [40]}}, r"pitch_range is \[40\]"),
        ({"loaderConfig": {"_format": "mp3"}}, "_format is 'mp3'; takes 'wav'"),
        ({"loaderConfig": {"load_metadata": False}}, "load_metadata is false"),
        ({"loaderConfig": {"filter_keys": ["acoustic"]}}, "filter and filter_keys"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        quietly(changed(**tables))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"lambdaGP": -1.0}, "lambdaGP"),
        ({"dimLatentVector": 0}, "dimLatentVector"),
        ({"depthScales": [8, 8, 8, 8, 0]}, "depthScales"),
        ({"downSamplingFactor": [[2, 2]] * 4 + [[0, 0]]}, "downSamplingFactor"),
        ({"maxIterAtScale": [0] * 5}, "maxIterAtScale"),
    ],
)
def test_refusals_name_the_option_of_the_file(options: dict[str, Any], name: str, tmp_path: Path) -> None:
    config = written(changed(modelConfig=options), tmp_path / "config.json")
    with pytest.warns(), pytest.raises(ConfigError, match=rf"\(in the JSON file: {name}\)") as refused:
        read_run(config, [])
    assert "\n" not in str(refused.value)


def test_empty_batches_end_the_program_with_a_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(changed(modelConfig={"miniBatchSize": 0}), tmp_path / "config.json")
    assert command(["train", str(path), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: [modelConfig] miniBatchSize is 0")


@pytest.mark.slow
def test_the_example_of_the_readme_trains_and_says_that_its_fades_are_never_completed(
    corpus: Path, tmp_path: Path
) -> None:
    loader = {"data_path": str(corpus / "audio"), "att_dict_path": str(corpus / "examples.json")}
    config = written(changed(loaderConfig=loader), tmp_path / "config.json")
    # Few updates, and an eighth of the bins and a half of the frames, stand for all: their arithmetic is the same.
    few = ["growth.steps=[2, 2, 2, 2, 2]", "train.steps=10", "train.validate_every=10", "train.threads=1"]
    few += ["task.settings={ n_fft = 128, hop_length = 32 }", "task.num_samples=1023"]
    few += ["data.nsynth.validation=0.3", "data.validation_clips=2"]
    with (
        pytest.warns(AliasWarning),
        pytest.warns(GrowthWarning, match="fade takes 600 x 32 = 19,200"),
        pytest.warns(UserWarning, match="has no notes of flute, mallet as wanted"),
    ):
        manifest = train(config, tmp_path / "run", overrides=few, device="cpu")
    assert manifest["finished"]
    assert manifest["clips_seen"] == 20
    assert (tmp_path / "run" / "model.safetensors").is_file()


# The notes


def notes_of(corpus: Path, **settings: Any) -> NSynthNotes:
    return NSynthNotes(str(corpus / "audio"), str(corpus / "examples.json"), **settings)


def test_families_have_exactly_equal_shares_and_the_choice_is_the_same_in_any_order(corpus: Path) -> None:
    drawn = notes_of(corpus, families=("brass", "guitar"), size=6).chosen()
    assert [note.family for note in drawn] == ["brass"] * 3 + ["guitar"] * 3
    entries = json.loads((corpus / "examples.json").read_text())
    other = corpus / "reversed.json"
    other.write_text(json.dumps(dict(reversed(entries.items()))))
    again = NSynthNotes(str(corpus / "audio"), str(other), families=("brass", "guitar"), size=6).chosen()
    assert again == drawn


def test_every_filter_counts_and_a_small_family_gives_what_it_has(corpus: Path) -> None:
    names = [note.name for note in notes_of(corpus, name_contains=("acoustic",), pitches=(60, 64)).chosen()]
    assert len(names) == 6
    assert all("acoustic" in name for name in names)
    counts = [note.family for note in notes_of(corpus, size=12).chosen()]
    assert (counts.count("bass"), counts.count("brass"), counts.count("guitar")) == (2, 4, 4)
    assert len(notes_of(corpus, size=12, balance=False).chosen()) == 12


def test_parts_share_no_note_and_are_all_there_is(corpus: Path) -> None:
    source = notes_of(corpus, validation=0.25)
    parts = {part: {note.name for note in source.part(part)} for part in ("train", "validation")}
    assert not parts["train"] & parts["validation"]
    assert parts["train"] | parts["validation"] == {note.name for note in source.chosen()}


def test_notes_that_are_shorter_are_padded_and_those_that_are_longer_cut(corpus: Path) -> None:
    source = notes_of(corpus)
    notes = source.chosen()[:2]
    long, short = source.read(notes, 16_000, 5000), source.read(notes, 16_000, 1000)
    assert torch.equal(long[:, :1000], short)
    assert torch.equal(long[:, 4000:], torch.zeros(2, 1000))
    assert source.classes(["pitch", "family"])["family"] == ("bass", "brass", "guitar")


def test_a_family_of_which_there_is_no_note_is_told_once(corpus: Path) -> None:
    source = notes_of(corpus, families=("brass", "guitar", "flute", "mallet"), validation=0.3)
    critic = CriticEntry(WaveGanCriticConfig())
    data = GanDataConfig(nsynth=source)
    task = GanConfig(WaveGanGeneratorConfig(), (critic,), num_samples=4096)
    with pytest.warns(UserWarning, match=r"has no notes of flute, mallet as wanted$"):
        clip_pool(data, task, "train", most=4, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip_pool(data, task, "valid", most=4, seed=0)
        clip_pool(
            dataclasses.replace(data, nsynth=notes_of(corpus, validation=0.3)), task, "train", most=4, seed=0
        )


def test_a_folder_or_notes_that_are_not_there_are_named(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder of sounds"):
        NSynthNotes(str(tmp_path / "none"), str(corpus / "examples.json")).chosen()
    with pytest.raises(DatasetError, match="has no sounds of notes"):
        notes_of(corpus, families=("flute",)).chosen()
    with pytest.raises(ConfigError, match="no family 'flutes'; did you mean 'flute'"):
        notes_of(corpus, families=("flutes",))
