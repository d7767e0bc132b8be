"""The commands of `retimbre generate`."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from small_generators import DIGITS, KEYS, LATENT, SAMPLES, generator, generator_file

from retimbre.cli.app import tree
from retimbre.cli.generate.options import Shared
from retimbre.gan.sounds import save_generator

SCALE = Path(__file__).resolve().parents[2] / "examples/scale.mid"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    generator_file(folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["random", "--count", 3, "--pitch", 60, "--label", "family=reed"], 3),
        (["scale", "--velocity", 127], len(KEYS)),
        (["interpolate", "--path", "sphere", "--steps", 5, "--family", "brass"], 5),
        (["grid", "--rows", 2, "--columns", 2, "--no-pictures"], 4),
        (["midi", SCALE, "--timbre", "walk", "--leg", 4, "--path", "linear", "--release", 0.2], 1),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_every_command_writes_sounds_and_prints_what_it_wrote(run, folder, tmp_path, words, count):
    command, *rest = words
    arguments = ["generate", command, folder]
    arguments += [*rest, "--seed", 3, "--integers", "--device", "cpu", "--weights", "raw"]
    status, out, error = run(*arguments, "--out", tmp_path / "out", "--json")
    assert status == 0, error
    manifest = json.loads(out)
    assert len(manifest["sounds"]) == count
    assert (manifest["seed"], manifest["weights"], manifest["integers"]) == (3, "raw", True)
    assert all((tmp_path / "out" / sound["file"]).is_file() for sound in manifest["sounds"])
    status, out, error = run(*arguments, "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "--force" in error
    status, out, _ = run(*arguments, "--out", tmp_path / "out", "--force")
    assert (status, out.count("\n")) == (0, 1)
    assert "times real time" in out


@pytest.mark.parametrize(("earlier", "now"), [("interpolation", "interpolate"), ("from_midi", "midi")])
def test_earlier_names_are_understood_with_a_note(run, folder, tmp_path, earlier, now):
    file = [SCALE] if now == "midi" else []
    for name in (earlier, now):
        status, out, error = run("generate", name, folder, *file, "--out", tmp_path / name, "--json")
        assert status == 0
        assert json.loads(out)["command"] == now
        assert error.startswith(f"note: {earlier} is called {now} now\n" if name == earlier else "")
        assert ("note:" in error) == (name == earlier)
    assert earlier not in run("generate", "--help")[1]
    for path in (tmp_path / now).glob("*.wav"):
        assert path.read_bytes() == (tmp_path / earlier / path.name).read_bytes()


def test_saved_latents_are_chosen_by_their_rows(run, folder, tmp_path):
    run("generate", "random", folder, "--count", 4, "--out", tmp_path / "a")
    saved = tmp_path / "a/latents.safetensors"
    status, out, _ = run(
        "generate", "interpolate", folder, "--latents", saved, "--take", "2,0", "--steps", 2,
        "--out", tmp_path / "b", "--json",
    )  # fmt: skip
    assert status == 0
    assert json.loads(out)["latents_rows"] == [2, 0]


@pytest.mark.parametrize(
    "words", [["random"], ["scale"], ["interpolate"], ["grid"], ["midi", SCALE]], ids=str
)
def test_an_empty_folder_name_is_refused_and_nothing_is_written_where_one_stands(
    run, folder, tmp_path, monkeypatch, words
):
    monkeypatch.chdir(tmp_path)
    command, *rest = words
    status, out, error = run("generate", command, folder, *rest, "--out", "", "--force")
    assert (status, out) == (2, "")
    assert error == "error: --out is empty; takes the folder to write to\n"
    assert list(tmp_path.iterdir()) == []


def test_latents_that_are_too_large_are_one_line(run, folder, tmp_path):
    for value, said in {1e300: "beyond 32-bit floats", 1e30: "comes out with a peak of"}.items():
        np.save(tmp_path / "own.npy", np.full((2, LATENT), value))
        words = ["generate", "random", folder, "--latents", tmp_path / "own.npy", "--pictures"]
        status, out, error = run(*words, "--out", tmp_path / "out")
        assert (status, out, error.count("\n")) == (2, "", 1)
        assert error.startswith("error: ")
        assert said in error
    assert not (tmp_path / "out").exists()


def test_mistakes_are_one_line_and_status_2(run, folder, tmp_path):
    digits = generator_file(tmp_path / "digits.safetensors", DIGITS)
    (tmp_path / "text.mid").write_text("text")
    cases = [
        (["random", "nobody"], "there is no model 'nobody'"),
        (["random", folder, "--pitch", 300], "no pitch 300; takes 55 to 67"),
        (["random", folder, "--label", "family"], "a label is written NAME=CLASS, not 'family'"),
        (["random", folder, "--label", "pitch=60", "--pitch", 61], "pitch is asked for twice"),
        (["random", folder, "--take", "1,x"], "--take is numbers of rows"),
        (["random", folder, "--take", "1"], "no file of latents"),
        (["scale", digits], "told nothing of the pitch"),
        (["midi", digits, SCALE], "told nothing of the pitch"),
        (["midi", folder, tmp_path / "text.mid"], "not a MIDI file"),
        (["midi", folder, tmp_path / "none.mid"], "cannot be read"),
        (["midi", folder, SCALE, "--strict"], "none that the model plays"),
        (["interpolate", folder, "--path", "sphere", "--steps", 2], "closed path takes 3"),
        (["interpolate", folder, "--path", "spheric"], "spheric"),
        (["grid", folder, "--rows", 1], "--rows"),
        (["nothing", folder], "nothing"),
    ]
    for words, said in cases:
        status, out, error = run("generate", *words, "--out", tmp_path / "out")
        assert (status, out) == (2, ""), error
        assert error.startswith("error: ")
        assert said in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("condition", "command"), [("history", "continue"), ("envelope", "envelope"), ("midi", "midi")]
)
def test_a_generator_that_is_told_conditions_is_refused_with_the_command_that_has_them(
    run, tmp_path, condition, command
):
    sounds = generator({}, conditions={condition: SAMPLES})
    save_generator(tmp_path / "told.safetensors", sounds, facts={})
    status, out, error = run("generate", "random", tmp_path / "told.safetensors", "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert error.endswith(
        f"makes sounds of the condition '{condition}' only; takes `retimbre generate {command}`\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def pianist(tmp_path_factory):
    """A generator that is told the keys."""
    sounds = generator({}, conditions={"midi": 512})
    path = tmp_path_factory.mktemp("pianist") / "pianist.safetensors"
    save_generator(path, sounds, facts={})
    return path


@pytest.mark.parametrize("words", [["--path", "linear"], ["--leg", 50], ["--timbre", "fixed", "--leg", 4]])
def test_options_of_a_walk_without_a_walk_are_refused_whatever_the_generator_is_told(
    run, folder, pianist, tmp_path, words
):
    for model in (folder, pianist):
        status, out, error = run("generate", "midi", model, SCALE, *words, "--out", tmp_path / "out")
        assert (status, out) == (2, "")
        name = next(word for word in words if word in ("--path", "--leg"))
        assert error == f"error: {name} says how a timbre walks; takes --timbre walk beside it\n"


def test_a_generator_that_is_told_the_keys_has_no_notes_among_which_a_timbre_could_walk(
    run, pianist, tmp_path
):
    words = ["midi", pianist, SCALE, "--timbre", "walk", "--leg", 4]
    status, out, error = run("generate", *words, "--out", tmp_path / "out")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert "its timbre is fixed; it cannot walk" in error


def test_every_command_that_plays_a_generator_has_the_shared_options_with_one_help():
    group = tree().commands["generate"].commands
    names = [field.name for field in dataclasses.fields(Shared)]
    found = {}
    for command in set(group) - {"envelope"}:
        options = {option.name: option for option in group[command].params}
        assert [name for name in options if name in names] == names  # in this order, and behind the others
        assert list(options)[-len(names) :] == names
        found[command] = [(options[name].opts, options[name].help, options[name].default) for name in names]
    assert len(found) == 6
    assert all(each == found["random"] for each in found.values())
