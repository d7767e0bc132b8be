"""Laws of listening packs of generators that are told conditions: they answer the real sounds, each by its own kind."""

from pathlib import Path

import pytest
import torch
from performances import off, on, tempo, write_midi
from small_generators import RATE, SAMPLES, generator
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp import audiofile, seams
from retimbre.gan.sounds import save_generator
from retimbre.workflows.generate.player import Player
from retimbre.workflows.study.listening.conditioned import ConditionedSounds
from retimbre.workflows.study.listening.options import PackOptions
from retimbre.workflows.study.listening.pack import make_pack
from retimbre.workflows.study.listening.systems import REAL, open_folder

HISTORY = 1_000
TOLD = {"history": {"history": HISTORY}, "midi": {"midi": 512}, "both": {"history": HISTORY, "midi": 512}}
SECONDS = 0.5


def noise(seed: int, num_samples: int) -> Tensor:
    return 0.2 * torch.randn(num_samples, generator=torch.Generator().manual_seed(seed)).clamp(-4, 4)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    for name, conditions in TOLD.items():
        sounds = generator(classes={}, conditions=conditions)
        save_generator(folder / f"{name}.safetensors", sounds, facts={})
    return {name: str(folder / f"{name}.safetensors") for name in TOLD}


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Three performances of a second with their MIDI, and one that is too short to be gone on from."""
    folder = tmp_path / "real"
    for number in range(3):
        audiofile.write(folder / f"piece{number}.wav", noise(number, RATE), RATE)
        keys = [on(0, 60 + number), off(480, 60 + number), on(480, 70), off(960, 70)]
        write_midi(folder / f"piece{number}.mid", [tempo(0, 500_000)], keys)
    audiofile.write(folder / "short.wav", noise(9, HISTORY), RATE)
    return folder


def told(name: str, real: Path, seed: int = 0) -> ConditionedSounds:
    player = Player(generator(classes={}, conditions=TOLD[name]), name)
    return ConditionedSounds(name, player, open_folder(REAL, real), seed)


def test_one_that_is_told_the_history_begins_as_the_real_sound_does_and_goes_on_to_its_length(
    real: Path,
) -> None:
    system, beginning = told("history", real), HISTORY - seams.reach_of(RATE)
    for key in ("piece0", "piece1"):
        whole = system.real.excerpt(key, 1.0).samples
        made = system.excerpt(key, 1.0).samples
        assert len(made) == len(whole)
        assert torch.equal(made[:beginning], whole[:beginning])
        assert not torch.equal(made[HISTORY:], whole[HISTORY:])
    # As long as is heard of the real sound, which may end before the seconds that are asked for.
    assert len(system.excerpt("piece0", SECONDS).samples) == round(SECONDS * RATE)
    assert len(system.excerpt("piece0", 5.0).samples) == RATE


@pytest.mark.parametrize("name", ["midi", "both"])
def test_one_that_is_told_the_keys_plays_the_file_beside_the_real_sound(name: str, real: Path) -> None:
    system = told(name, real)
    made = [system.excerpt(f"piece{number}", SECONDS).samples for number in range(2)]
    assert {len(each) for each in made} == {round(SECONDS * RATE)}
    assert not torch.equal(*made)
    # The last key comes up after a second; the release is a tenth.
    assert len(system.excerpt("piece0", 9.0).samples) == round(1.1 * RATE)
    (real / "piece0.mid").rename(real / "piece0.MIDI")
    assert torch.equal(system.excerpt("piece0", SECONDS).samples, made[0])


def test_the_seed_decides_on_the_sound_and_the_order_in_which_it_is_asked_does_not(real: Path) -> None:
    one, two, other = told("history", real), told("history", real), told("history", real, seed=1)
    one.excerpt("piece1", SECONDS)
    assert torch.equal(one.excerpt("piece0", SECONDS).samples, two.excerpt("piece0", SECONDS).samples)
    assert not torch.equal(one.excerpt("piece0", SECONDS).samples, other.excerpt("piece0", SECONDS).samples)


def test_real_sounds_that_say_nothing_are_named(real: Path) -> None:
    with pytest.raises(AudioError, match=r"short.wav: 0.125 s of it are heard, but history is told 0.125 s"):
        told("history", real).excerpt("short", 1.0)
    with pytest.raises(AudioError, match=r"short.wav: has no MIDI file beside it, .* takes short.mid"):
        told("midi", real).excerpt("short", 1.0)
    (real / "short.mid").write_bytes(b"no MIDI")
    with pytest.raises(AudioError, match=r"short.mid: not a MIDI file"):
        told("midi", real).excerpt("short", 1.0)


def test_a_pack_compares_them_with_the_real_sounds_of_the_same_name(
    models: dict[str, str], real: Path, tmp_path: Path
) -> None:
    options = PackOptions(count=4, seconds=SECONDS, mode="mushra")
    content = make_pack(list(models.values()), tmp_path / "pack", options, real=real)
    assert {each["item"] for each in content["sounds"].values()} == {"piece0", "piece1", "piece2"}
    assert {*TOLD, REAL} <= {each["system"] for each in content["sounds"].values()}
    assert any("short" in remark for remark in content["remarks"])


def test_without_real_sounds_and_with_conditions_that_these_do_not_have_they_are_refused(
    models: dict[str, str], real: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="both is told history and midi of real sounds: name their folder"):
        make_pack([models["both"]], tmp_path / "pack", PackOptions(count=2, seconds=SECONDS))
    shaped = generator(classes={}, conditions={"sound": SAMPLES, "envelope": SAMPLES})
    save_generator(tmp_path / "shaped.safetensors", shaped, facts={})
    with pytest.raises(
        ConfigError, match="of the condition 'sound' only; takes `retimbre generate envelope`"
    ):
        make_pack([str(tmp_path / "shaped.safetensors")], tmp_path / "pack", PackOptions(count=2), real=real)
    assert not (tmp_path / "pack").exists()
