"""Random sounds, scales, paths and grids: what is written, and what is the same as what."""

import json

import numpy as np
import pytest
import torch
from full_disk import files_end_after
from small_generators import DIGITS, KEYS, LATENT, NOTES, RATE, SAMPLES, generator, generator_file

from retimbre.core.errors import AudioError, CheckpointError, ConfigError, ExistsError
from retimbre.dsp import audiofile
from retimbre.dsp.level import peak
from retimbre.training import checkpoint
from retimbre.workflows.evaluation.sets.labels import ClipLabels, labels_of
from retimbre.workflows.generate.folder import GenerateOptions, leveled
from retimbre.workflows.generate.latent_file import LatentChoice, read_latents, save_latents
from retimbre.workflows.generate.names import random_name
from retimbre.workflows.generate.player import Player, any_class
from retimbre.workflows.generate.sets import (
    generate_grid,
    generate_interpolation,
    generate_random,
    generate_scale,
)

WAYS = {
    "random": generate_random,
    "scale": generate_scale,
    "interpolate": generate_interpolation,
    "grid": generate_grid,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return generator_file(tmp_path_factory.mktemp("generator") / "model.safetensors")


def asking(seed=0, file="", rows=(), **options):
    return GenerateOptions(latents=LatentChoice(str(file), rows, seed), **options)


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.wav"))}


def samples_of(folder):
    return [audiofile.read(path).samples for path in sorted(folder.glob("*.wav"))]


@pytest.mark.parametrize("way", sorted(WAYS))
def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(way, model, tmp_path):
    for name, seed in {"a": 3, "b": 3, "c": 4}.items():
        WAYS[way](model, tmp_path / name, asking(seed, labels={} if way == "scale" else {"pitch": 60}))
    a, b, c = (files_of(tmp_path / name) for name in "abc")
    assert a == b
    assert len(a) > 1
    assert not set(a.values()) & set(c.values())


@pytest.mark.parametrize("way", sorted(WAYS))
def test_the_manifest_tells_every_file_and_what_made_it(way, model, tmp_path):
    manifest = WAYS[way](model, tmp_path / "out", asking(pictures=False))
    assert json.loads((tmp_path / "out/generate.json").read_text()) == manifest
    assert {sound["file"] for sound in manifest["sounds"]} == set(files_of(tmp_path / "out"))
    assert manifest["command"] == way
    assert len(manifest["sha256"]) == 64
    assert manifest["real_time_factor"] > 0
    for sound, samples in zip(
        sorted(manifest["sounds"], key=lambda each: each["file"]), samples_of(tmp_path / "out"), strict=True
    ):
        assert set(sound["labels"]) == set(NOTES)
        assert sound["peak"] == pytest.approx(float(peak(samples)), abs=1e-7)
    assert len(read_latents(tmp_path / "out/latents.safetensors")) == len(manifest["sounds"])
    assert not list((tmp_path / "out").glob(".*"))


def test_a_sound_depends_on_its_number_and_not_on_how_many_are_made(model, tmp_path):
    generate_random(model, tmp_path / "few", asking(1), count=3)
    generate_random(model, tmp_path / "many", asking(1), count=20)
    few, many = files_of(tmp_path / "few"), files_of(tmp_path / "many")
    assert len(few) == 3
    assert few.items() <= many.items()


def test_random_sounds_have_all_labels_unless_one_is_asked_for(model, tmp_path):
    anything = generate_random(model, tmp_path / "any", count=100)
    for name, names in NOTES.items():
        assert {sound["labels"][name] for sound in anything["sounds"]} == set(names)
    fixed = generate_random(
        model, tmp_path / "fixed", asking(labels={"pitch": 60, "family": "reed"}), count=30
    )
    assert {sound["labels"]["pitch"] for sound in fixed["sounds"]} == {"60"}
    assert {sound["labels"]["family"] for sound in fixed["sounds"]} == {"reed"}
    assert {sound["labels"]["velocity"] for sound in fixed["sounds"]} == set(NOTES["velocity"])


def test_a_folder_of_random_notes_tells_its_labels_to_whoever_measures_it(model, tmp_path):
    manifest = generate_random(model, tmp_path, count=12)
    labels, remarks = labels_of(sorted(tmp_path.glob("*.wav")))
    told = [sound["labels"] for sound in sorted(manifest["sounds"], key=lambda each: each["file"])]
    assert remarks == ()
    assert labels.pitch == tuple(int(each["pitch"]) for each in told)
    assert labels.velocity == tuple(int(each["velocity"]) for each in told)
    assert labels.family == tuple(each["family"] for each in told)


@pytest.mark.parametrize("classes", [{}, DIGITS, {"pitch": KEYS}, {"velocity": ("100",)}], ids=str)
def test_the_number_of_a_sound_is_never_taken_for_its_key(classes, tmp_path):
    player = Player(generator(classes), "any")
    asked = any_class(player, {}, 1_000, 0)
    paths = [tmp_path / f"{random_name(asked, row)}.wav" for row in (0, 60, 999)]
    labels, _ = labels_of(paths)
    assert len({path.stem for path in paths}) == 3
    if "pitch" in classes:
        assert labels.pitch == tuple(int(asked["pitch"][row]) for row in (0, 60, 999))
    else:
        assert labels == ClipLabels()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"family": "brass", "pitch": "60", "velocity": "100"}, "brass_generated_0007-060-100"),
        ({"pitch": "60"}, "random_0007_060"),
        ({"word": "seven"}, "random_seven_0007"),
    ],
    ids=["note", "key", "word"],
)
def test_names_are_those_that_are_promised(asked, name):
    assert random_name({attribute: (value,) * 8 for attribute, value in asked.items()}, 7) == name
    assert f"`{name}`" in str(random_name.__doc__)


def test_a_scale_is_one_latent_at_every_key_with_the_key_last_in_the_name(model, tmp_path):
    manifest = generate_scale(model, tmp_path / "one", asking(labels={"velocity": 127}))
    assert [sound["file"] for sound in manifest["sounds"]] == [f"scale_{int(key):03d}.wav" for key in KEYS]
    assert {sound["labels"]["velocity"] for sound in manifest["sounds"]} == {"127"}
    latents = read_latents(tmp_path / "one/latents.safetensors")
    assert torch.equal(latents, latents[:1].expand(len(KEYS), LATENT))
    assert len({path.read_bytes() for path in (tmp_path / "one").glob("*.wav")}) == len(KEYS)
    labels, _ = labels_of(sorted((tmp_path / "one").glob("*.wav")))
    assert labels.pitch == tuple(int(key) for key in KEYS)
    two = generate_scale(model, tmp_path / "two", count=2)
    assert [sound["file"] for sound in two["sounds"]][len(KEYS)] == "scale_0001_055.wav"


@pytest.mark.parametrize("kind", ["linear", "spherical", "sphere"])
def test_the_ends_of_a_path_are_the_sounds_of_its_latents_bit_for_bit(kind, model, tmp_path):
    asked = {"pitch": 60, "velocity": 75, "family": "keyboard"}
    generate_random(model, tmp_path / "ends", asking(5, labels=asked), count=2)
    generate_interpolation(model, tmp_path / "path", asking(5, labels=asked), kind=kind, steps=9)
    first, second = samples_of(tmp_path / "ends")
    sounds = samples_of(tmp_path / "path")
    assert torch.equal(sounds[0], first)
    if kind == "sphere":
        assert torch.equal(sounds[-1], first)
        assert any(torch.equal(sound, second) for sound in sounds[1:-1])
    else:
        assert torch.equal(sounds[-1], second)
    inner = sounds[:-1] if kind == "sphere" else sounds
    assert len({sound.numpy().tobytes() for sound in inner}) == len(inner)


def test_the_corners_of_a_grid_are_the_sounds_of_its_latents(model, tmp_path):
    asked = {"pitch": 60, "velocity": 75, "family": "keyboard"}
    generate_random(model, tmp_path / "corners", asking(2, labels=asked), count=4)
    manifest = generate_grid(model, tmp_path / "grid", asking(2, labels=asked, pictures=True), size=(2, 3))
    assert [sound["file"] for sound in manifest["sounds"]] == [
        f"grid_{row:02d}_{column:02d}-060-075.wav" for row in range(2) for column in range(3)
    ]
    sounds = samples_of(tmp_path / "grid")
    for place, corner in zip((0, 2, 3, 5), samples_of(tmp_path / "corners"), strict=True):
        assert torch.equal(sounds[place], corner)
    assert manifest["pictures"] == ["sheet.png"]
    assert (tmp_path / "grid/sheet.png").read_bytes().startswith(b"\x89PNG")


def test_saved_latents_are_taken_up_again(model, tmp_path):
    first = generate_random(model, tmp_path / "a", asking(7, labels={"pitch": 60}), count=5)
    saved = tmp_path / "a/latents.safetensors"
    again = generate_random(model, tmp_path / "b", asking(7, saved, labels={"pitch": 60}))
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert [each["labels"] for each in first["sounds"]] == [each["labels"] for each in again["sounds"]]
    generate_interpolation(model, tmp_path / "c", asking(0, saved, (3, -1)), steps=2)
    latents = read_latents(saved)
    assert torch.equal(read_latents(tmp_path / "c/latents.safetensors"), latents[[3, 4]])
    np.save(tmp_path / "own.npy", latents.double().numpy())
    generate_random(model, tmp_path / "d", asking(7, tmp_path / "own.npy", labels={"pitch": 60}))
    assert files_of(tmp_path / "a") == files_of(tmp_path / "d")


def test_latents_that_do_not_fit_are_refused_in_one_line(model, tmp_path):
    save_latents(tmp_path / "narrow.safetensors", torch.zeros(3, 2), {})
    save_latents(tmp_path / "few.safetensors", torch.ones(1, LATENT), {})
    save_latents(tmp_path / "nan.safetensors", torch.full((2, LATENT), torch.nan), {})
    np.save(tmp_path / "large.npy", np.full((2, LATENT), 1e300))
    np.save(tmp_path / "words.npy", np.array(["a"]))
    (tmp_path / "text.npy").write_text("text")
    cases = [
        ("narrow.safetensors", (), ConfigError, f"latents of 2 numbers, but .* takes {LATENT}"),
        ("few.safetensors", (), ConfigError, "1 latents are chosen, but 2 are needed"),
        ("few.safetensors", (1,), ConfigError, "has no row 1; takes 0 to 0"),
        ("nan.safetensors", (), CheckpointError, "NaN"),
        ("large.npy", (), CheckpointError, "beyond 32-bit floats"),
        ("words.npy", (), CheckpointError, "takes an array of real numbers"),
        ("text.npy", (), CheckpointError, "damaged, or no NumPy array"),
        ("missing.npy", (), CheckpointError, "cannot be read"),
        ("missing.safetensors", (), CheckpointError, "no such checkpoint"),
    ]
    for name, rows, error, words in cases:
        with pytest.raises(error, match=words) as caught:
            generate_interpolation(model, tmp_path / "out", asking(0, tmp_path / name, rows))
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="kind 'generator'; takes 'latents'"):
        generate_random(model, tmp_path / "out", asking(0, model))
    with pytest.raises(ConfigError, match="no file of latents"):
        LatentChoice(rows=(1,))
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced_unasked_and_what_is_replaced_leaves_nothing_behind(model, tmp_path):
    generate_random(model, tmp_path / "out", count=5)
    (tmp_path / "out/mine.wav").write_bytes(b"mine")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ExistsError, match=r"holds generate\.json, .* already; --force replaces them"):
        generate_scale(model, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    generate_scale(model, tmp_path / "out", asking(force=True))
    assert set(files_of(tmp_path / "out")) == {f"scale_{int(key):03d}.wav" for key in KEYS} | {"mine.wav"}
    with pytest.raises(ConfigError, match="out is empty"):
        generate_random(model, "")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExistsError, match="is a file, but --out takes a folder"):
        generate_random(model, tmp_path / "file", asking(force=True))


def test_a_run_that_is_interrupted_leaves_what_was_there(model, tmp_path):
    generate_random(model, tmp_path / "out", count=3)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    for folder in ("out", "new"):
        with pytest.raises(KeyboardInterrupt):
            generate_random(model, tmp_path / folder, asking(9, force=True), count=8, progress=interrupt)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_a_manifest_that_names_files_elsewhere_takes_nothing_away(model, tmp_path):
    generate_random(model, tmp_path / "out", count=1)
    (tmp_path / "precious.wav").write_bytes(b"precious")
    manifest = json.loads((tmp_path / "out/generate.json").read_text())
    manifest["sounds"].append({"file": "../precious.wav"})
    (tmp_path / "out/generate.json").write_text(json.dumps(manifest))
    generate_random(model, tmp_path / "out", asking(force=True), count=1)
    assert (tmp_path / "precious.wav").read_bytes() == b"precious"


def test_sounds_beyond_full_scale_are_turned_down_and_never_clipped(tmp_path):
    loud = generator_file(tmp_path / "loud.safetensors", gain=100.0)
    manifest = generate_random(loud, tmp_path / "whole", asking(integers=True), count=4)
    assert manifest["remarks"] == ["4 of 4 sounds were beyond full scale and are turned down to it"]
    float_sounds = generate_random(loud, tmp_path / "floats", count=4)["sounds"]
    assert {sound["peak"] for sound in float_sounds} == {1.0}
    assert all(0 < sound["gain"] < 1 for sound in float_sounds)
    for whole, exact in zip(samples_of(tmp_path / "whole"), samples_of(tmp_path / "floats"), strict=True):
        # Half a step of 16 bits, and one more at the peak, where 1 becomes the largest integer.
        assert (whole - exact).abs().max() <= 1.01 / 32_768


def test_sounds_that_no_file_could_hold_are_one_line_that_names_model_and_sound(model, tmp_path):
    latents = torch.ones(3, LATENT)
    latents[2] = 1e30
    save_latents(tmp_path / "absurd.safetensors", latents, {})
    absurd = asking(
        0, tmp_path / "absurd.safetensors", labels={"pitch": 60, "velocity": 75, "family": "reed"}
    )
    diverged = generator_file(tmp_path / "diverged.safetensors", {}, gain=torch.nan)
    immense = generator_file(tmp_path / "immense.safetensors", {}, gain=1e30)
    cases = [
        (model, absurd, r"sound 2 \(pitch 60, velocity 75, family reed\) comes out with a peak of \d"),
        (diverged, asking(), "sound 0 comes out with a peak of nan"),
        (immense, asking(), "sound 0 comes out with a peak of"),
    ]
    for path, options, words in cases:
        with pytest.raises(AudioError, match=f"{path}: {words}") as caught:
            generate_random(path, tmp_path / "out", options)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_error_that_names_a_file_and_leaves_nothing(model, tmp_path):
    with files_end_after(4_000), pytest.raises(OSError, match="cannot be written") as caught:
        generate_random(model, tmp_path / "out", count=2)
    assert str(caught.value).startswith(str(tmp_path / "out" / "brass_generated_0000"))
    assert ".part" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_normalizing_brings_every_sound_to_a_peak_of_one(model, tmp_path):
    quiet = generate_random(model, tmp_path / "quiet", count=4)
    normal = generate_random(model, tmp_path / "normal", asking(normalize="peak"), count=4)
    assert max(sound["peak"] for sound in quiet["sounds"]) < 1
    assert {sound["gain"] for sound in quiet["sounds"]} == {1.0}
    assert {sound["peak"] for sound in normal["sounds"]} == {1.0}
    silent, gain = leveled(torch.zeros(10), "peak")
    assert gain == 1.0
    assert not silent.any()


def test_raw_weights_sound_otherwise_than_averages(model, tmp_path):
    for weights in ("average", "raw"):
        generate_random(model, tmp_path / weights, asking(weights=weights), count=2)
    average, raw = (files_of(tmp_path / name) for name in ("average", "raw"))
    assert average.keys() == raw.keys()
    assert not set(average.values()) & set(raw.values())


def test_every_sound_has_the_length_and_rate_of_the_generator(model, tmp_path):
    generate_random(model, tmp_path, count=2)
    for path in tmp_path.glob("*.wav"):
        info = audiofile.probe(path)
        assert (info.sample_rate, info.frames) == (RATE, SAMPLES)


def test_labels_that_there_are_not_are_refused_with_what_there_is(model, tmp_path):
    cases = {
        "takes 55 to 67": {"pitch": 54},
        "takes 25, 75, 127": {"velocity": 64},
        "did you mean 'brass'": {"family": "bras"},
        "no attribute 'instrumen'": {"instrumen": "x"},
    }
    for words, labels in cases.items():
        with pytest.raises(ConfigError, match=words):
            generate_random(model, tmp_path / "out", asking(labels=labels))
    digits = generator_file(tmp_path / "digits.safetensors", DIGITS)
    with pytest.raises(
        ConfigError, match="told nothing of the pitch of a sound, only of word; a scale needs it"
    ):
        generate_scale(digits, tmp_path / "out")
    with pytest.raises(ConfigError, match="plays every pitch; it takes none"):
        generate_scale(model, tmp_path / "out", asking(labels={"pitch": 60}))
    assert not (tmp_path / "out").exists()


def test_a_generator_without_labels_makes_sounds_too(tmp_path):
    plain = generator_file(tmp_path / "plain.safetensors", {})
    manifest = generate_random(plain, tmp_path / "out", count=2)
    assert [sound["file"] for sound in manifest["sounds"]] == ["random_0000.wav", "random_0001.wav"]
    with pytest.raises(ConfigError, match="of no attribute at all"):
        generate_scale(plain, tmp_path / "scale")


def test_models_of_other_kinds_and_damaged_ones_are_refused_in_one_line(tmp_path, model):
    checkpoint.save(tmp_path / "other.safetensors", {}, kind="inverter", metadata={})
    (tmp_path / "cut.safetensors").write_bytes(model.read_bytes()[:-1_000])
    (tmp_path / "run").mkdir()
    cases = {"other.safetensors": "kind 'inverter'", "cut.safetensors": "damaged", "run": "has no model"}
    for name, words in cases.items():
        with pytest.raises(CheckpointError, match=words) as caught:
            generate_random(tmp_path / name, tmp_path / "out")
        assert "\n" not in str(caught.value)


def test_a_sheet_shows_the_first_sounds_and_says_how_many_it_leaves_out(model, tmp_path, monkeypatch):
    monkeypatch.setattr("retimbre.workflows.generate.sheet._MOST_PICTURES", 2)
    manifest = generate_random(model, tmp_path, asking(pictures=True), count=3)
    assert manifest["remarks"] == ["the sheet shows the first 2 of 3 sounds"]
    assert (tmp_path / "sheet.png").is_file()


def test_counts_and_sizes_that_make_no_set_are_refused(model, tmp_path):
    with pytest.raises(ConfigError, match="count is -1"):
        generate_random(model, tmp_path, count=-1)
    with pytest.raises(ConfigError, match="count is 0"):
        generate_scale(model, tmp_path, count=0)
    with pytest.raises(ConfigError, match="17 x 2 is too large"):
        generate_grid(model, tmp_path, size=(17, 2))
    with pytest.raises(ConfigError, match="no four corners"):
        generate_grid(model, tmp_path, size=(1, 2))
    with pytest.raises(ConfigError, match="steps is 1"):
        generate_interpolation(model, tmp_path, steps=1)
