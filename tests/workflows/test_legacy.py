"""System A's environment variables: each does what its page promised, and what cannot be meant is said in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from retimbre.core.errors import AudioError, ConfigError, DatasetError, ExistsError
from retimbre.data.dataset import RenderedSet
from retimbre.dsp import audiofile
from retimbre.matching.inverter import load_inverter
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import HowToMake, make_dataset
from retimbre.workflows.legacy.arrays import import_labelled, read_clips, read_labels, unpack_unlabelled
from retimbre.workflows.legacy.environment import (
    NAMES,
    LegacySettings,
    read_environment,
    read_environment_file,
)
from retimbre.workflows.legacy.session import run_file_of, train_from_environment
from retimbre.workflows.training.kind import Session

SECONDS, CLIPS = 0.125, 40


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with set_input.npy and set_labels.npy of system B's voice, and the native set they came from."""
    folder = tmp_path_factory.mktemp("arrays")
    make_dataset(folder, SetOptions("fm", size=CLIPS, seconds=SECONDS), HowToMake(layout="npy", name="set"))
    return folder


@pytest.fixture
def variables(arrays: Path) -> dict[str, str]:
    return {
        "TRAINING_SET": str(arrays / "set_input.npy"),
        "LABELS": str(arrays / "set_labels.npy"),
        "EPOCHS": "2",
        "PATH": "/usr/bin",
    }


def tone(path: Path) -> Path:
    time_s = torch.arange(int(16_384 * SECONDS)) / 16_384
    audiofile.write(path, 0.5 * torch.sin(2 * torch.pi * 440 * time_s), 16_384)
    return path


# Variables


def test_without_a_training_set_the_message_says_what_it_takes() -> None:
    with pytest.raises(ConfigError, match=r"TRAINING_SET is not set; it takes a \.npy"):
        read_environment({"PATH": "/bin"})


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("EPOCH", "EPOCHS"), ("ARCHITECTUR", "ARCHITECTURE"), ("TRAINING_SETS", "TRAINING_SET")],
)
def test_a_misspelt_variable_is_named_with_what_was_meant(slip: str, meant: str, arrays: Path) -> None:
    others = {} if meant == "TRAINING_SET" else {"TRAINING_SET": str(arrays)}
    with pytest.raises(ConfigError, match=f"{slip} is not one that is read; did you mean {meant}"):
        read_environment({**others, slip: "1"})


def test_the_variables_of_other_programs_are_none_of_our_business(arrays: Path) -> None:
    others = {"HOME": "/", "LANG": "C", "PATHS": "x", "AUDIO_BACKEND": "y"}
    assert read_environment({"TRAINING_SET": str(arrays), **others}) == LegacySettings(arrays)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("EPOCHS", "many", "whole number"),
        ("EPOCHS", "0", "whole number"),
        ("ARCHITECTURE", "C7", "known: C1"),
        ("EXPERIMENTATION", "maybe", "True or False"),
        ("EXPERIMENTATION", "True", "AUDIO_WAV_INPUT is not set"),
        ("AUDIO_WAV_INPUT", "nowhere.wav", "no such file"),
        ("AUDIO_WAV_OUTPUT", "out.wav", "EXPERIMENTATION=True"),
        ("IMAGE_DATA_FORMAT", "NCHW", "channels_first"),
        ("LABELS", "nowhere.npy", "no such file"),
        ("TRAINING_SET", "nowhere", "no such file"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_variable_s_name(
    name: str, value: str, said: str, arrays: Path
) -> None:
    with pytest.raises(ConfigError, match=f"{name}.*({said})"):
        read_environment({"TRAINING_SET": str(arrays), name: value})


def test_every_architecture_of_the_page_is_selectable(arrays: Path) -> None:
    for name in ("C1", "C2", "C3", "C4", "C5", "C6", "C6XL", "CE2E", "CE2E_2D"):
        settings = read_environment({"TRAINING_SET": str(arrays), "ARCHITECTURE": name})
        assert settings.architecture.startswith(("Conv", "E2E"))


def test_a_file_of_variables_is_read_and_the_process_goes_before_it(tmp_path: Path, arrays: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f'# a comment\nexport TRAINING_SET="{arrays}"\nEPOCHS=3\n\nARCHITECTURE=C2\n')
    settings = read_environment_file(path, {"EPOCHS": "5"})
    assert (settings.epochs, settings.architecture) == (5, "Conv2")


@pytest.mark.parametrize("line", ["EPOCH=3", "EPOCHS 3"])
def test_a_file_with_a_line_that_is_not_understood_is_refused_by_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f"\n{line}\n")
    with pytest.raises(ConfigError, match=r"\.env:2: "):
        read_environment_file(path, {})


def test_every_variable_is_explained_where_it_is_read() -> None:
    from retimbre.workflows.legacy import environment

    for name in NAMES:
        assert f"    {name} " in (environment.__doc__ or "")


# Arrays


def test_imported_clips_and_labels_are_those_of_the_set_they_were_written_from(
    arrays: Path, tmp_path: Path
) -> None:
    import_labelled(arrays / "set_input.npy", arrays / "set_labels.npy", tmp_path / "data")
    native, imported = RenderedSet.open(arrays), RenderedSet.open(tmp_path / "data")
    rows = torch.arange(CLIPS)
    torch.testing.assert_close(imported.audio(rows), native.audio(rows), rtol=0, atol=0)
    torch.testing.assert_close(imported.classes, native.classes)
    torch.testing.assert_close(imported.unit, native.unit)


def test_sixteen_bit_clips_have_the_amplitude_of_float_ones(arrays: Path, tmp_path: Path) -> None:
    clips = np.load(arrays / "set_input.npy")
    np.save(tmp_path / "clips.npy", np.round(clips * 32_767).astype(np.int16))
    import_labelled(tmp_path / "clips.npy", arrays / "set_labels.npy", tmp_path / "data")
    audio = RenderedSet.open(tmp_path / "data").audio(torch.arange(CLIPS))
    # One step of 16 bits, and the last bit between the two full scales.
    torch.testing.assert_close(audio, torch.from_numpy(clips[:, 0]), rtol=1e-4, atol=1 / 32_768)


def test_labels_that_no_synthesizer_has_are_refused_with_the_widths_there_are(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.eye(100, dtype=np.float32))
    with pytest.raises(DatasetError, match=r"368 \(inversynth\), 256 \(fm4\), 144 \(fm\)"):
        read_labels(tmp_path / "labels.npy", 100)


def test_labels_that_are_not_one_hot_are_refused_by_row_and_knob(arrays: Path, tmp_path: Path) -> None:
    labels = np.load(arrays / "set_labels.npy")
    labels[7, 16:32] = 0.5
    np.save(tmp_path / "labels.npy", labels)
    with pytest.raises(DatasetError, match="label 7 does not fit fm: its classes of C "):
        read_labels(tmp_path / "labels.npy", CLIPS)


def test_one_label_too_few_is_refused(arrays: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.load(arrays / "set_labels.npy")[1:])
    with pytest.raises(DatasetError, match="39 labels for 40 clips"):
        read_labels(tmp_path / "labels.npy", CLIPS)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 20_000.0])
def test_clips_that_are_not_sound_are_refused_by_number_and_leave_no_set(
    bad: float, arrays: Path, tmp_path: Path
) -> None:
    clips = np.load(arrays / "set_input.npy")
    clips[3, 0, 10] = bad
    np.save(tmp_path / "clips.npy", clips)
    with pytest.raises(AudioError, match="clip 3 has samples"):
        import_labelled(tmp_path / "clips.npy", arrays / "set_labels.npy", tmp_path / "data")
    with pytest.raises(AudioError, match="clip 3 has samples"):
        unpack_unlabelled(tmp_path / "clips.npy", tmp_path / "sounds")
    assert [path.name for path in tmp_path.iterdir()] == ["clips.npy"]


def test_the_loudest_patches_of_the_paper_s_synthesizer_are_clips_too(tmp_path: Path) -> None:
    options = SetOptions("inversynth", size=CLIPS, seconds=SECONDS)
    make_dataset(tmp_path / "set", options, HowToMake(layout="npy", name="set"))
    files = (tmp_path / "set" / f"set_{name}.npy" for name in ("input", "labels"))
    assert np.abs(np.load(tmp_path / "set" / "set_input.npy")).max() > 1.0
    assert import_labelled(*files, tmp_path / "data").name == "inversynth"


def test_other_clips_in_the_folder_of_a_training_set_are_refused(arrays: Path, tmp_path: Path) -> None:
    unpack_unlabelled(arrays / "set_input.npy", tmp_path / "sounds")
    assert unpack_unlabelled(arrays / "set_input.npy", tmp_path / "sounds") == CLIPS
    np.save(tmp_path / "others.npy", np.load(arrays / "set_input.npy")[::-1])
    with pytest.raises(ExistsError, match="another training set"):
        unpack_unlabelled(tmp_path / "others.npy", tmp_path / "sounds")


@pytest.mark.parametrize(
    "array", [np.zeros((0, 1, 8), np.float32), np.zeros((2, 2, 8), np.float32), np.zeros(8)]
)
def test_arrays_that_are_not_clips_are_refused(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "clips.npy", array)
    with pytest.raises(DatasetError, match="takes clips as float32 or int16"):
        read_clips(tmp_path / "clips.npy")


def test_a_pickled_array_is_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "clips.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match="not a readable array"):
        read_clips(tmp_path / "clips.npy")


# Sessions


def test_epochs_and_architecture_decide_how_long_and_what_is_trained(
    variables: dict[str, str], tmp_path: Path
) -> None:
    one = run_file_of(read_environment({**variables, "EPOCHS": "1"}), tmp_path / "one")
    many = run_file_of(
        read_environment({**variables, "EPOCHS": "7", "ARCHITECTURE": "C6XL"}), tmp_path / "many"
    )
    assert many.train.steps == 7 * one.train.steps
    assert (one.task.model, many.task.model) == ("Conv1", "Conv6XL")  # type: ignore[union-attr]
    assert one.train.batch_size == 16


def test_the_held_out_fifth_is_trained_on_by_nobody(variables: dict[str, str], tmp_path: Path) -> None:
    config = run_file_of(read_environment(variables), tmp_path)
    data = RenderedSet.open(config.data.folder)
    train, held_out = set(data.split("train").tolist()), set(data.split("validation").tolist())
    assert not train & held_out
    assert train | held_out == set(range(CLIPS))


def test_a_sound_is_predicted_and_played_as_a_sound_into_a_new_file(
    variables: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "played.wav"
    settings = read_environment(
        {
            **variables,
            "EXPERIMENTATION": "True",
            "AUDIO_WAV_INPUT": str(tone(tmp_path / "in.wav")),
            "AUDIO_WAV_OUTPUT": str(output),
            "SAVED_MODELS_PATH": str(tmp_path / "models"),
        }
    )
    result = train_from_environment(settings, Session(tmp_path / "out", "cpu"))
    assert {row["name"] for row in result["prediction"]["parameters"]} >= {"C", "M", "A", "D"}
    played = audiofile.read(output)
    # The sound of a patch, and not a vector of 144 probabilities written as samples.
    assert played.samples.numel() >= 16_384 * SECONDS
    assert played.samples.abs().max() > 0.01
    weights, architecture = (Path(path) for path in result["saved"])
    assert weights.stem.removeprefix("model_weights_") == architecture.stem.removeprefix("model_arch_")
    assert load_inverter(weights).config.synth == json.loads(architecture.read_text())["synth"] == "fm"
    with pytest.raises(ExistsError, match="--force"):
        train_from_environment(settings, Session(tmp_path / "out", "cpu"))


def test_clips_without_labels_are_learned_from_by_their_sound(
    variables: dict[str, str], tmp_path: Path
) -> None:
    settings = read_environment({**variables, "LABELS": "", "EPOCHS": "1"})
    quick = ["train.steps=2", "train.batch_size=4", "data.validation_clips=8", "sounds.loss.batch_size=2"]
    result = train_from_environment(settings, Session(tmp_path, "cpu"), overrides=quick)
    assert len(list((tmp_path / "sounds").glob("*.wav"))) == CLIPS
    assert result["finished"]
    # Recordings have no labels, so what is measured of them is a distance between sounds.
    assert result["validation"]["sound_distance"] > 0


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("AUDIO_WAV_INPUT", "page.wav", "not a sound file"),
        ("AUDIO_WAV_OUTPUT", "played.mp3", r"takes the name of a \.wav file"),
        ("AUDIO_WAV_OUTPUT", "folder.wav", r"takes the name of a \.wav file"),
        ("SAVED_MODELS_PATH", "page.wav", "takes a folder"),
    ],
)
def test_files_that_cannot_be_read_or_written_are_told_before_training(
    name: str, file: str, said: str, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "page.wav").write_text("a page")
    (tmp_path / "folder.wav").mkdir()
    good = {"EXPERIMENTATION": "True", "AUDIO_WAV_INPUT": str(tone(tmp_path / "in.wav"))}
    with pytest.raises(ConfigError, match=f"{name}.*{said}"):
        read_environment({**variables, **good, name: str(tmp_path / file)})
