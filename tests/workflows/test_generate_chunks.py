"""Pieces and continuations made chunk by chunk: their length, their seams, and what the generator is told."""

import json

import pytest
import torch
from performances import control, off, on, tempo, write_midi
from torch import Tensor

from retimbre.cli.app import run
from retimbre.core.errors import AudioError, ConfigError, MidiError
from retimbre.dsp import audiofile, seams
from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.networks.dense import DenseCriticConfig
from retimbre.gan.networks.told.frames import ToldFramesGeneratorConfig
from retimbre.gan.networks.told.history import HistoryWaveGeneratorConfig
from retimbre.gan.networks.told.midi_harmonic import MidiHarmonicGeneratorConfig
from retimbre.gan.sounds import SoundGenerator, save_generator
from retimbre.workflows.generate.chunks import ChunkPlan, made_chunks
from retimbre.workflows.generate.continuation import Continuation, generate_continuation
from retimbre.workflows.generate.folder import GenerateOptions
from retimbre.workflows.generate.latent_file import LatentChoice, read_latents
from retimbre.workflows.generate.midi import generate_midi
from retimbre.workflows.generate.player import Player
from retimbre.workflows.generate.score import PlayOptions

RATE, CHUNK, HISTORY = 4_000, 1_024, 512
GENERATORS = {
    "history": (HistoryWaveGeneratorConfig(channels=2), {"history": HISTORY}, "waveform"),
    "midi": (
        MidiHarmonicGeneratorConfig(sample_rate=RATE, hop_length=32, partials=4, width=8, depth=1, bands=4),
        {"midi": 1024},
        "waveform",
    ),
    "both": (
        ToldFramesGeneratorConfig(width=8, depth=1),
        {"history": HISTORY, "midi": 1024},
        "mag-if-gated",
    ),
}
STFT = {"n_fft": 128, "hop_length": 32, "edges": "no-dc"}


def generator(told: str) -> SoundGenerator:
    network, conditions, name = GENERATORS[told]
    config = GanConfig(
        generator=network,
        critics=(CriticEntry(DenseCriticConfig()),),
        representation=name,
        settings=STFT if name != "waveform" else {},
        sample_rate=RATE,
        num_samples=CHUNK,
        latent_dim=4,
        conditions=conditions,
    )
    torch.manual_seed(0)
    return SoundGenerator(config, {}).eval()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for told in GENERATORS:
        save_generator(folder / f"{told}.safetensors", generator(told), facts={})
    return {told: folder / f"{told}.safetensors" for told in GENERATORS}


@pytest.fixture
def seed_sound(tmp_path):
    time_s = torch.arange(3_000) / RATE
    audiofile.write(tmp_path / "seed.wav", 0.3 * torch.sin(1_000 * time_s), RATE)
    return tmp_path / "seed.wav"


def piece(folder, *more):
    notes = [
        event
        for tick in (0, 480, 960)
        for event in (on(tick, 60 + tick // 96), off(tick + 400, 60 + tick // 96))
    ]
    return write_midi(folder / "piece.mid", [tempo(0, 500_000)], [*notes, *more])


@pytest.mark.parametrize("told", ["midi", "both"])
def test_a_midi_file_is_played_from_its_beginning_to_its_end_to_the_sample(models, tmp_path, told):
    manifest = generate_midi(
        models[told], piece(tmp_path), tmp_path / "out", None, PlayOptions(release_s=0.2)
    )
    sound = audiofile.read(tmp_path / "out/piece.wav")
    # The last key comes up at tick 1360, 960 to the second; the release follows.
    assert len(sound.samples) == round((1360 / 960 + 0.2) * RATE)
    assert sound.sample_rate == RATE
    assert manifest["chunks"] == -(-len(sound.samples) // CHUNK)
    assert manifest["sounds"][0]["peak"] <= 1.0


def test_what_is_played_follows_the_keys_and_the_tempo(models, tmp_path):
    quick = piece(tmp_path)

    def rewritten(name, micros, times, shift=0):
        """The same piece in ticks that are so many times as long, or other keys."""
        notes = [
            event
            for tick in (0, 480, 960)
            for event in (
                on(round(tick * times), 60 + shift + tick // 96),
                off(round((tick + 400) * times), 60 + shift + tick // 96),
            )
        ]
        return write_midi(tmp_path / f"{name}.mid", [tempo(0, micros)], notes)

    pieces = {
        "same": rewritten("same", 1_000_000, 0.5),
        "slow": rewritten("slow", 1_000_000, 1.0),
        "other": rewritten("other", 500_000, 1.0, shift=1),
    }
    heard = {}
    for name, midi in {"quick": quick, **pieces}.items():
        generate_midi(models["midi"], midi, tmp_path / name)
        heard[name] = audiofile.read(next((tmp_path / name).glob("*.wav"))).samples
    assert torch.equal(heard["same"], heard["quick"])
    assert len(heard["slow"]) == round((2720 / 960 + 0.1) * RATE)
    length = len(heard["quick"])
    assert length == len(heard["other"]) == round((1360 / 960 + 0.1) * RATE)
    assert not torch.allclose(heard["slow"][:length], heard["quick"], atol=1e-3)
    assert not torch.allclose(heard["other"], heard["quick"], atol=1e-3)


def test_a_sound_goes_on_for_so_many_chunks_and_keeps_its_beginning(models, tmp_path, seed_sound):
    manifest = generate_continuation(models["history"], seed_sound, tmp_path / "out", Continuation(3))
    made = audiofile.read(tmp_path / "out/seed.wav").samples
    before = audiofile.read(seed_sound).samples
    assert len(made) == len(before) + 3 * CHUNK
    # But for the last milliseconds, which lead over to the first chunk.
    kept = len(before) - 20
    assert torch.allclose(made[:kept], before[:kept] * manifest["sounds"][0]["gain"], atol=1e-6)
    assert manifest["seam_report"]["samples"] == [3_000, 3_000 + CHUNK, 3_000 + 2 * CHUNK]
    assert len(read_latents(tmp_path / "out/latents.safetensors")) == 3


@pytest.mark.parametrize("told", ["history", "both"])
def test_joins_of_noise_are_as_sharp_as_noise_is(models, tmp_path, seed_sound, told):
    manifest = generate_continuation(models[told], seed_sound, tmp_path / "out", Continuation(12))
    report = manifest["seam_report"]
    assert len(report["bends"]) == len(report["bends_between"]) == 12
    assert report["largest_bend"] == max(report["bends"])
    # Untrained networks make noise. Of about 1,200 normally distributed numbers, as many as are changed around twelve
    # seams, the largest is 1.3 times the 99th percentile.
    assert report["largest_bend"] <= 1.3 * report["bend_99_percent"]


class Recorder(torch.nn.Module):
    """Stands for a generator: writes down what it is told, and makes a ramp that tells the chunk."""

    def __init__(self, sounds: SoundGenerator) -> None:
        super().__init__()
        self.told: list[dict[str, Tensor]] = []
        self.form = sounds.form

    def forward(self, latent, labels):
        self.told.append({name: each.clone() for name, each in labels.items()})
        return torch.full((1, 1, CHUNK), 0.01 * len(self.told)) + latent[:, :1, None]

    def enlarge(self, features):
        return features


def test_each_chunk_is_told_the_end_of_what_was_made_and_silence_before_the_beginning():
    sounds = generator("history")
    sounds.network = recorder = Recorder(sounds)
    seed = torch.linspace(0.1, 0.2, 200)
    plan = ChunkPlan(torch.zeros(3, 4), {})
    made = torch.cat(list(made_chunks(Player(sounds, "recorder"), seed, plan)))
    whole = torch.cat([seed[:-16], made])  # 4 ms before the end of the seed are made anew
    assert len(whole) == 200 + 3 * CHUNK
    first, second, third = (each["history"][0, 0] for each in recorder.told)
    assert torch.equal(first, torch.cat([torch.zeros(HISTORY - 200), seed]))
    for told, end in ((second, 200 + CHUNK), (third, 200 + 2 * CHUNK)):
        # What follows a seam later may still change the last 4 ms.
        assert torch.equal(told[:-16], whole[end - HISTORY : end - 16])


class Swells(torch.nn.Module):
    """Stands for a generator: a tone that swells and falls back by half, each time from another phase."""

    def __init__(self, sounds: SoundGenerator) -> None:
        super().__init__()
        self.form = sounds.form

    def forward(self, latent, labels):
        phase = 30 * latent[:, :1] + 2 * torch.pi * 40 / RATE * torch.arange(CHUNK)
        return 0.6 * (0.5 + 0.5 * torch.hann_window(CHUNK)) * phase.sin()[:, None]

    def enlarge(self, features):
        return features


@pytest.mark.parametrize("is_joined", [True, False])
def test_the_report_tells_chunks_that_are_joined_from_chunks_in_a_row(
    models, tmp_path, seed_sound, monkeypatch, is_joined
):
    sounds = generator("history")
    sounds.network = Swells(sounds)
    monkeypatch.setattr(
        "retimbre.workflows.generate.continuation.open_player", lambda *_: Player(sounds, "swells")
    )
    if not is_joined:
        monkeypatch.setattr(seams, "joined", lambda before, after, fade_samples: after)
    report = generate_continuation("swells", seed_sound, tmp_path / "out", Continuation(12))["seam_report"]
    # The first seam is with a sharper sound, the seed.
    assert (max(report["bends"][1:]) <= report["bend_99_percent"]) == is_joined


def test_a_seed_that_is_shorter_than_the_history_is_told_so(models, tmp_path):
    audiofile.write(tmp_path / "short.wav", 0.2 * torch.ones(100), RATE)
    manifest = generate_continuation(
        models["history"], tmp_path / "short.wav", tmp_path / "out", Continuation(1)
    )
    assert any("0.103 s shorter than the history" in remark for remark in manifest["remarks"])


def test_keys_change_how_a_sound_goes_on_where_they_are_told(models, tmp_path, seed_sound):
    arguments = ["--chunks", "3", "--json", "--out"]
    made = {}
    for name, more in {"with": ["--midi", str(piece(tmp_path))], "without": []}.items():
        out = str(tmp_path / name)
        assert (
            run(["generate", "continue", str(models["both"]), str(seed_sound), *more, *arguments, out]) == 0
        )
        made[name] = audiofile.read(tmp_path / name / "seed.wav").samples
    assert not torch.allclose(made["with"], made["without"], atol=1e-4)


def test_a_generator_that_is_told_keys_and_gets_none_is_remarked(models, tmp_path, seed_sound, capsys):
    for told, lines in {"both": 1, "history": 0}.items():
        out = str(tmp_path / told)
        assert (
            run(["generate", "continue", str(models[told]), str(seed_sound), "--chunks", "1", "--out", out])
            == 0
        )
        said = capsys.readouterr().err.splitlines()
        assert sum("without --midi it is told that none is down" in line for line in said) == lines
    midi = ["--midi", str(piece(tmp_path)), "--out", str(tmp_path / "keys")]
    assert run(["generate", "continue", str(models["both"]), str(seed_sound), "--chunks", "1", *midi]) == 0
    assert "--midi" not in capsys.readouterr().err


def test_the_same_seed_gives_the_same_bytes(models, tmp_path, seed_sound):
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        options = GenerateOptions(latents=LatentChoice(seed=seed))
        generate_continuation(models["history"], seed_sound, tmp_path / name, Continuation(2), options)
    a, b, c = ((tmp_path / name / "seed.wav").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_each_command_refuses_models_that_it_cannot_tell_what_they_are_told(
    models, tmp_path, seed_sound, capsys
):
    midi = str(piece(tmp_path))
    out = ["--out", str(tmp_path / "out")]
    assert run(["generate", "midi", str(models["history"]), midi, *out]) == 2
    assert (
        "is told the condition history, but `retimbre generate midi` tells it 'midi'"
        in capsys.readouterr().err
    )
    assert run(["generate", "continue", str(models["midi"]), str(seed_sound), *out]) == 2
    assert "`retimbre generate continue` tells it 'history'" in capsys.readouterr().err
    assert run(["generate", "continue", str(models["history"]), str(seed_sound), "--midi", midi, *out]) == 2
    assert "tells it 'midi'" in capsys.readouterr().err
    assert run(["generate", "midi", str(models["midi"]), midi, "--timbre", "walk", *out]) == 2
    assert "plays chunks, not notes" in capsys.readouterr().err
    assert run(["generate", "random", str(models["midi"]), *out]) == 2
    assert "generate midi" in capsys.readouterr().err


def test_sounds_that_nothing_can_go_on_from_are_refused(models, tmp_path, seed_sound):
    audiofile.write(tmp_path / "silent.wav", torch.zeros(2_000), RATE)
    with pytest.raises(AudioError, match="is silent"):
        generate_continuation(models["history"], tmp_path / "silent.wav", tmp_path / "out")
    (tmp_path / "noise.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"noise\.wav"):
        generate_continuation(models["history"], tmp_path / "noise.wav", tmp_path / "out")
    with pytest.raises(ConfigError, match="chunks is 0"):
        Continuation(0)
    with pytest.raises(ConfigError, match="chunks make"):
        generate_continuation(models["history"], seed_sound, tmp_path / "out", Continuation(10**6))


def test_midi_without_notes_or_of_days_is_refused(models, tmp_path):
    empty = write_midi(tmp_path / "empty.mid", [control(0, 64, 127)])
    with pytest.raises(MidiError, match="without notes"):
        generate_midi(models["midi"], empty, tmp_path / "out")
    absurd = write_midi(tmp_path / "absurd.mid", [tempo(0, 16_000_000)], [on(0, 60), off(3_000_000, 60)])
    with pytest.raises(MidiError, match="takes at most"):
        generate_midi(models["midi"], absurd, tmp_path / "out")


def test_weights_that_lead_to_nothing_are_named(models, tmp_path, seed_sound):
    sounds = generator("history")
    with torch.no_grad():
        sounds.network.ladder[-1].bias.fill_(torch.nan)
    save_generator(tmp_path / "broken.safetensors", sounds, facts={})
    with pytest.raises(AudioError, match="chunk 0 comes out with a peak of nan"):
        generate_continuation(tmp_path / "broken.safetensors", seed_sound, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_manifest_says_how_it_was_made(models, tmp_path, seed_sound):
    generate_continuation(models["history"], seed_sound, tmp_path / "out", Continuation(1))
    manifest = json.loads((tmp_path / "out/generate.json").read_text())
    assert manifest["command"] == "continue"
    assert manifest["source"] == str(seed_sound)
    assert manifest["real_time_factor"] > 0


def test_what_a_piano_cannot_play_is_left_out_and_told_or_refused(models, tmp_path):
    more = [on(100, 12), off(200, 12), on(100, 109), off(200, 109), on(100, 60, channel=9)]
    file = piece(tmp_path, *more)
    manifest = generate_midi(models["midi"], file, tmp_path / "more")
    assert manifest["remarks"] == [
        "left out: 1 note on channel 10, which is for drums",
        "left out: 2 notes of keys that a piano does not have (it takes 21 to 108)",
    ]
    with pytest.raises(
        MidiError, match=r"the note 12 at 0\.10 s is none that a piano has: it takes 21 to 108"
    ):
        generate_midi(models["midi"], file, tmp_path / "strict", None, PlayOptions(strict=True))
    assert not (tmp_path / "strict").exists()
    assert generate_midi(models["midi"], piece(tmp_path), tmp_path / "plain")["remarks"] == []
