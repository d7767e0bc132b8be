"""Laws of listening packs of generators: all answer the same questions, and the questions are fair."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from small_generators import DIGITS, RATE, generator, generator_file, tone_player
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.workflows.generate.player import Player
from retimbre.workflows.study.listening.generators import (
    answers_of,
    balanced_classes,
    balanced_questions,
    questions_about,
)
from retimbre.workflows.study.listening.options import PackOptions
from retimbre.workflows.study.listening.pack import make_pack
from retimbre.workflows.study.listening.systems import REAL, open_folder

SHORT = PackOptions(count=5, seconds=0.2)


def noise(seed: int) -> Tensor:
    return 0.2 * torch.randn(2_000, generator=torch.Generator().manual_seed(seed)).clamp(-4, 4)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    place = tmp_path_factory.mktemp("models")
    return str(generator_file(place / "one.safetensors")), str(
        generator_file(place / "two.safetensors", seed=1)
    )


def real_notes(folder: Path) -> Path:
    for number, key in enumerate((55, 60, 67, 90)):
        audiofile.write(folder / f"reed_acoustic_000-{key:03d}-080.wav", noise(number), RATE)
    return folder


def test_every_class_is_asked_for_equally_often_and_the_seed_decides_the_order() -> None:
    asked = balanced_classes("pitch", "abcde", 12, seed=0)
    assert sorted(Counter(asked).values()) == [2, 2, 2, 3, 3]
    assert asked == balanced_classes("pitch", "abcde", 12, seed=0)
    assert asked != balanced_classes("pitch", "abcde", 12, seed=1)


def test_generators_are_asked_only_for_classes_that_all_of_them_know() -> None:
    few = {"pitch": ("60", "61", "62"), "velocity": ("127",)}
    players = [tone_player(), tone_player(few)]
    questions = balanced_questions(players, 9, seed=0)
    assert Counter(questions.labels["pitch"]) == {"60": 3, "61": 3, "62": 3}
    assert "family" not in questions.labels
    for player in players:
        system = answers_of("it", player, questions)
        assert system.keys == tuple(sorted(questions.items))
        assert tuple(system.asked["pitch"]) == tuple(questions.labels["pitch"])


def test_generators_get_the_same_latents() -> None:
    players = [Player(generator(seed=seed), f"{seed}") for seed in (0, 1)]
    questions = balanced_questions(players, 6, seed=3)
    first, second = (answers_of(player.name, player, questions) for player in players)
    assert torch.equal(first.latents, second.latents)
    assert not torch.equal(
        first.latents, answers_of("0", players[0], balanced_questions(players, 6, seed=4)).latents
    )


def test_a_sound_does_not_depend_on_those_made_before() -> None:
    player = Player(generator(), "it")
    system = answers_of("it", player, balanced_questions([player], 4, seed=0))
    alone = system.excerpt(system.keys[2], 1.0).samples
    for key in system.keys:
        system.excerpt(key, 1.0)
    assert torch.equal(system.excerpt(system.keys[2], 1.0).samples, alone)


def test_with_real_sounds_their_labels_are_asked_for_and_what_is_not_known_is_said(tmp_path: Path) -> None:
    real = open_folder(REAL, real_notes(tmp_path / "notes"))
    system = answers_of("tones", tone_player(), questions_about(real, seed=0))
    assert system.keys == real.keys
    asked = dict(zip(system.items, system.asked["pitch"], strict=True))
    assert [asked[f"reed_acoustic_000-{key:03d}-080"] for key in (55, 60, 67)] == ["55", "60", "67"]
    # Velocities between those that are known become the nearest, without a word.
    assert set(system.asked["velocity"]) == {"75"}
    told = system.excerpt("reed_acoustic_000-090-080", 1.0).remarks
    assert told == (f"it knows no pitch 90, so it was asked for {asked['reed_acoustic_000-090-080']}",)
    assert system.excerpt("reed_acoustic_000-060-080", 1.0).remarks == ()


def test_a_pack_of_generators_alone_compares_them_on_the_same_items(
    models: tuple[str, str], tmp_path: Path
) -> None:
    content = make_pack(list(models), tmp_path / "pack", SHORT)
    assert list(content["systems"]) == ["one", "two"]
    for trial in content["trials"].values():
        first, second = (content["sounds"][name] for name in trial)
        assert first["item"] == second["item"]
        assert {first["system"], second["system"]} == {"one", "two"}
    assert len(content["trials"]) == 5


def test_a_pack_holds_the_real_sounds_through_a_representation(
    models: tuple[str, str], tmp_path: Path
) -> None:
    notes = real_notes(tmp_path / "notes")
    options = PackOptions(mode="mushra", count=2, seconds=0.2, through=("mag-if",))
    content = make_pack([models[0]], tmp_path / "pack", options, real=notes)
    assert content["systems"]["real-through-mag-if"]["representation"] == "mag-if"
    own = [each for each in content["sounds"].values() if each["system"] == "real-through-mag-if"]
    assert len(own) == 2
    for each in own:
        (real,) = (
            other
            for other in content["sounds"].values()
            if (other["item"], other["system"], other["role"]) == (each["item"], REAL, "scored")
        )
        heard, original = (audiofile.read(tmp_path / "pack" / it["file"]).samples for it in (each, real))
        # This representation keeps nearly all: below a tenth of the sound is lost.
        assert float((heard - original).std() / original.std()) < 0.1


def test_reels_hold_every_sound_of_a_system_once_with_half_a_second_between(
    models: tuple[str, str], tmp_path: Path
) -> None:
    options = PackOptions(count=5, seconds=0.2, reel=2)
    content = make_pack(list(models), tmp_path / "pack", options, real=None)
    assert set(content["reels"]) == set(content["systems"])
    for system, reels in content["reels"].items():
        assert [len(reel) for reel in reels] == [2, 2, 1]
        names = [name for reel in reels for name in reel]
        own = {name for name, each in content["sounds"].items() if each["system"] == system}
        assert len(names) == len(set(names))
        assert set(names) == own
        sounds = [
            audiofile.read(tmp_path / "pack" / content["sounds"][name]["file"]).samples for name in reels[0]
        ]
        reel = audiofile.read(tmp_path / "pack" / "reels" / system / "001.wav").samples
        assert torch.equal(reel, torch.cat([sounds[0], torch.zeros(RATE // 2), sounds[1]]))
    items = [
        [[content["sounds"][name]["item"] for name in reel] for reel in reels]
        for reels in content["reels"].values()
    ]
    assert items[0] == items[1]
    listed = json.loads((tmp_path / "pack" / "manifest.json").read_text())["files"]
    assert "reels/one/003.wav" in listed


def test_bad_input_is_one_error_that_names_it(models: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "pack"
    with pytest.raises(ConfigError, match="no representation 'mag-iff'; did you mean"):
        PackOptions(through=("mag-iff",))
    with pytest.raises(ConfigError, match="--through log-mel: cannot be turned back"):
        PackOptions(through=("log-mel",))
    with pytest.raises(ConfigError, match="--through mag-if is given twice"):
        PackOptions(through=("mag-if", "mag-if"))
    with pytest.raises(ConfigError, match="--reel takes"):
        PackOptions(reel=-1)
    with pytest.raises(ConfigError, match="--through sends real sounds"):
        make_pack([models[0]], out, PackOptions(through=("mag-if",)))
    with pytest.raises(ConfigError, match="cannot be called 'real'"):
        make_pack([f"real={models[0]}"], out, SHORT)
    assert not out.exists()


def test_generators_of_other_things_are_compared_without_labels(tmp_path: Path) -> None:
    digits = generator_file(tmp_path / "digits.safetensors", classes=DIGITS)
    notes = generator_file(tmp_path / "notes.safetensors")
    content = make_pack([str(digits), str(notes)], tmp_path / "pack", SHORT)
    assert {each["item"] for each in content["sounds"].values()} == {f"{row:04d}" for row in range(5)}
