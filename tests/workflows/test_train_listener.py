"""Training a listener from a run file: its notes, what is done to them, and what a run leaves."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from tiny_soundfont import write_tiny_soundfont

from retimbre.core.config import dump
from retimbre.core.errors import CheckpointError, ConfigError, DatasetError, MissingExtra
from retimbre.core.random import uniform
from retimbre.dsp.level import rms
from retimbre.listening.listener import Listener, ListenerConfig, load_listener
from retimbre.listening.listener_task import WEIGHTS
from retimbre.training import checkpoint
from retimbre.training.checkpoint import read_header
from retimbre.training.journal import read_journal
from retimbre.training.parallel import World
from retimbre.training.share import Share, whole
from retimbre.training.shipped import shipped_checkpoints
from retimbre.workflows.training.augment import NUM_CHANCES, Augmenter
from retimbre.workflows.training.fit import last_validation, rehearse, train
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.listener import prepare
from retimbre.workflows.training.listener_run import ListenerDataConfig, ListenerRun
from retimbre.workflows.training.note_clips import NoteClips
from retimbre.workflows.training.note_pool import NotePool, PoolSettings, open_corpus, render_pool
from retimbre.workflows.training.run import read_matching_run, read_run

TINY = """
seed = 1
[task]
kind = "listener"
lowest_pitch = 57
highest_pitch = 62
[data]
corpora = ["notes"]
notes = 12
instruments = 3
seconds = 0.1
clip_s = [0.05, 0.1]
validation_clips = 6
[train]
steps = 2
batch_size = 2
log_every = 1
validate_every = 2
checkpoint_every = 1
"""
TASK = ListenerConfig(lowest_pitch=57, highest_pitch=62)
DATA = ListenerDataConfig(corpora=("notes",), notes=12, instruments=3, seconds=0.1, clip_s=(0.05, 0.1))
CPU = torch.device("cpu")


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def pool() -> NotePool:
    return render_pool(PoolSettings.of_listener(DATA, TASK, 1), "train", most=12)


def journal(folder: Path) -> list[list[str]]:
    return [row[:-1] for row in csv.reader((folder / "journal.csv").open())]


def test_a_run_leaves_a_listener_that_says_what_it_learned_from(run_file: Path, tmp_path: Path) -> None:
    manifest = train(run_file, tmp_path / "run")
    assert {"loss", "right", "pitch", "pitch_near", "family", "velocity", "register"} <= set(
        manifest["validation"]
    )
    assert load_listener(tmp_path / "run").classes["pitch"] == ("57", "58", "59", "60", "61", "62")
    facts = checkpoint.read_header(tmp_path / "run/model.safetensors").metadata["facts"]
    assert facts["data"] == dump(read_run(run_file, []))["data"]


@pytest.mark.slow
def test_a_stopped_run_that_is_run_again_equals_an_unbroken_one(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "unbroken")
    train(run_file, tmp_path / "broken", overrides=["train.minutes=1e-9"])
    train(run_file, tmp_path / "broken")
    assert journal(tmp_path / "broken") == journal(tmp_path / "unbroken")


def test_a_rehearsal_writes_nothing_and_tells_the_sizes(run_file: Path, tmp_path: Path) -> None:
    told = rehearse(read_run(run_file, []), Session(tmp_path / "run"))
    assert told["outputs"]["pitch"] == 6
    assert told["notes"] == 64  # a handful, whatever the run asks for
    assert not (tmp_path / "run").exists()


def test_a_warm_start_takes_the_weights_and_refuses_other_classes(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "first", overrides=["train.steps=1"])
    session = Session(tmp_path / "second", warm_start=str(tmp_path / "first"))
    config = read_run(run_file, [])
    assert isinstance(config, ListenerRun)
    warm = prepare(config, session).task.state_dict()["listener"]
    for name, weights in load_listener(tmp_path / "first").state_dict().items():
        assert torch.equal(warm[name], weights)
    with pytest.raises(CheckpointError, match="other shapes"):
        train(
            run_file,
            tmp_path / "third",
            overrides=["task.highest_pitch=63"],
            warm_start=str(tmp_path / "first"),
        )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.note=3", r"\[data\] has no option 'note'; did you mean 'notes'\?"),
        ("data.pairs=3", r"\[data\] has no option 'pairs'"),
        ("data.clip_s=[0.2]", "clip_s is"),
        ("data.corpora=[]", "corpora is empty"),
        ("data.notes=0", "notes is 0"),
        ("task.kind=listner", "did you mean 'listener'"),
        ("data.instruments=1", "no notes in its part 'valid'"),
    ],
)
def test_a_wrong_option_is_named(override: str, message: str, run_file: Path, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DatasetError), match=message):
        train(run_file, tmp_path / "run", overrides=[override])


def test_where_an_inverter_is_wanted_a_listener_is_refused(run_file: Path) -> None:
    with pytest.raises(ConfigError, match="trains a listener"):
        read_matching_run(run_file, [])


def test_a_pool_holds_the_labelled_notes_of_one_part_at_a_peak_of_one(pool: NotePool) -> None:
    # 16 bits: the nearest step to full scale.
    torch.testing.assert_close(
        pool.audio(torch.arange(12)).abs().amax(dim=1), torch.ones(12), atol=1e-4, rtol=0
    )
    with open_corpus("notes", PoolSettings.of_listener(DATA, TASK, 1)) as (source, size):
        instruments = {part: set() for part in ("train", "valid", "test")}
        for entry in source.entries(range(size)):
            instruments[entry.part].add(entry.instrument)
    assert all(instruments.values())
    assert not instruments["train"] & (instruments["valid"] | instruments["test"])
    assert set(pool.pitch) <= set(range(57, 63))


def test_the_same_settings_render_the_same_notes_and_more_of_them_begin_alike(pool: NotePool) -> None:
    more = render_pool(PoolSettings.of_listener(DATA, TASK, 1), "train", most=20)
    assert torch.equal(more.samples[:12], pool.samples)
    assert more.pitch[:12] == pool.pitch


@pytest.mark.fluidsynth
def test_both_corpora_are_heard_in_equal_shares(tmp_path: Path) -> None:
    # Ten programs of one family, so that one of them validates and one tests.
    font = tmp_path / "tiny.sf2"
    write_tiny_soundfont(font, programs=tuple(range(24, 34)))
    data = ListenerDataConfig(
        notes=10, instruments=3, soundfont=str(font), seconds=0.1, clip_s=(0.1,), augment=False
    )
    pool = render_pool(PoolSettings.of_listener(data, TASK, 0), "train", most=10)
    assert pool.corpus.bincount().tolist() == [10, 10]
    clips = NoteClips(pool, data, TASK, 0)
    rows = whole(400)
    batch = clips.part(1, rows, CPU)
    heard = {tuple(clip.tolist()[:50]) for clip in pool.audio(torch.arange(10, 20))}
    share = sum(tuple(clip.tolist()[:50]) in heard for clip in batch.audio) / 400
    # Four standard deviations of a share of a half over 400 draws.
    assert abs(share - 0.5) < 0.1


def test_without_fluidsynth_the_run_says_what_is_missing(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingExtra("FluidSynth", extra="soundfont", purpose="playing a SoundFont")

    monkeypatch.setattr("retimbre.corpora.soundfont.corpus.load_library", missing)
    with pytest.raises(MissingExtra, match="soundfont"):
        train(run_file, tmp_path / "run", overrides=['data.corpora=["notes","soundfont"]'])
    assert not (tmp_path / "run").exists()


def test_a_batch_is_a_function_of_its_step_and_two_processes_share_it(pool: NotePool) -> None:
    clips = NoteClips(pool, DATA, TASK, 3)
    batch = clips.part(5, whole(8), CPU)
    halves = [clips.part(5, Share(first, 4, 8), CPU) for first in (0, 4)]
    # Rows of another number round otherwise in some vectorised functions, by units of the last place.
    torch.testing.assert_close(torch.cat([half.audio for half in halves]), batch.audio, atol=1e-5, rtol=0)
    for name, classes in batch.targets.items():
        assert torch.equal(torch.cat([half.targets[name] for half in halves]), classes)
    lengths = {clips.part(step, whole(1), CPU).audio.shape[1] for step in range(1, 30)}
    assert lengths == {800, 1600}


def test_the_shares_of_two_processes_add_up_to_the_batch_of_one(run_file: Path, tmp_path: Path) -> None:
    config = read_run(run_file, [])
    assert isinstance(config, ListenerRun)
    alone = prepare(config, Session(tmp_path / "run")).batch_at(3)
    shares = [prepare(config, Session(tmp_path / "run", world=World(rank, 2))).batch_at(3) for rank in (0, 1)]
    torch.testing.assert_close(torch.cat([each.audio for each in shares]), alone.audio, atol=1e-5, rtol=0)


def test_shuffled_labels_are_the_same_labels_of_other_notes(pool: NotePool) -> None:
    plain = NoteClips(pool, DATA, TASK, 0).targets["pitch"]
    shuffled = NoteClips(pool, dataclasses.replace(DATA, shuffled_labels=True), TASK, 0)
    assert sorted(shuffled.targets["pitch"].tolist()) == sorted(plain.tolist())
    assert not torch.equal(shuffled.targets["pitch"], plain)


def test_what_is_done_to_a_clip_does_not_depend_on_its_batch() -> None:
    notes = torch.randn(4, 8000, generator=torch.Generator().manual_seed(0))
    chance = uniform(0, "a test", torch.arange(4), NUM_CHANCES)
    augment = Augmenter(16_000)
    together, alone = augment(notes, chance, 4000), augment(notes[2:3], chance[2:3], 4000)
    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=1e-5)


def test_detuning_moves_the_pitch_by_up_to_thirty_cents() -> None:
    time_s = torch.arange(24_000) / 16_000
    sine = torch.sin(6.2832 * 1000 * time_s)[None].repeat(3, 1)
    chance = torch.full((3, NUM_CHANCES), 0.99, dtype=torch.float64)
    chance[:, 1] = 0.0  # from the very beginning
    chance[:, 2] = torch.tensor([0.0, 0.5, 1.0])
    clips = Augmenter(16_000)(sine, chance, 16_000)
    found = (
        torch.fft.rfft(clips * torch.hann_window(16_000), n=1 << 18).abs().argmax(dim=1) * 16_000 / (1 << 18)
    ).double()
    cents = 1200 * torch.log2(found / 1000)
    # A bin of the padded transform is 0.1 cents wide here; a neighbour of the peak may win by noise.
    torch.testing.assert_close(cents, torch.tensor([-30.0, 0.0, 30.0]).double(), atol=0.5, rtol=0)


def test_noise_stands_twenty_to_sixty_decibels_below_the_sound() -> None:
    time_s = torch.arange(16_000) / 16_000
    sine = torch.sin(6.2832 * 1000 * time_s)[None].repeat(2, 1)
    plain = torch.full((2, NUM_CHANCES), 0.99, dtype=torch.float64)
    plain[:, 0], plain[:, 1], plain[:, 2], plain[:, 6] = 0.0, 0.0, 0.5, 0.5
    plain[:, 17] = torch.tensor([0.0, 1.0])
    clips = Augmenter(16_000)(sine, plain, 16_000)
    # A sine that only filters went over is what a least-squares fit of two phases finds; the rest is noise.
    phases = torch.stack([torch.sin(6.2832 * 1000 * time_s), torch.cos(6.2832 * 1000 * time_s)], dim=1)
    fit = phases @ torch.linalg.lstsq(phases, clips.T).solution
    ratio_db = 20 * torch.log10(rms(fit.T) / rms(clips - fit.T))
    # The filters' first milliseconds are no sine: half a decibel at 20, some at 60.
    assert float(ratio_db[0]) == pytest.approx(20.0, abs=1.0)
    assert float(ratio_db[1]) > 40.0


RUNS = Path(__file__).parents[2] / "runs"
INCEPTION_RUN = RUNS / "sony2020/pitch-inception.toml"


@pytest.mark.parametrize(
    "name", ["listener", "listener-gpu", "sony2020/pitch-inception", "sony2020/instrument-inception"]
)
def test_every_run_file_of_a_listener_reads_and_names_a_network_that_can_be_made(name: str) -> None:
    config = read_run(RUNS / f"{name}.toml", [])
    assert isinstance(config, ListenerRun)
    network = Listener(config.task).network
    assert list(network.classes) == list(config.task.attributes)
    # The shipped listener is small; system C's network has the 22 million weights of its kind.
    weights = sum(each.numel() for each in network.parameters())
    assert round(weights / 1e6) == (0 if config.task.network == "harmonic" else 22)


def test_the_number_of_weights_is_the_one_that_is_written_down() -> None:
    config = read_run(INCEPTION_RUN, [])
    assert isinstance(config, ListenerRun)
    weights = sum(each.numel() for each in Listener(config.task).parameters())
    page = (RUNS.parent / "docs/listening.md").read_text(encoding="utf-8")
    words = f"{round(weights / 1e6)} million"
    assert f"InceptionV3 for one attribute ({words} parameters)" in page
    assert f"| `sony-inception` | 2,048 | {words} |" in page
    assert f"# {words} weights" in INCEPTION_RUN.read_text(encoding="utf-8")


def test_the_page_tells_which_state_is_shipped_and_which_one_a_run_would_export() -> None:
    card = json.loads(shipped_checkpoints()["listener"].with_suffix(".json").read_text(encoding="utf-8"))
    facts = read_header(shipped_checkpoints()["listener"]).metadata["facts"]
    assert facts["step"] == card["training"]["steps"] == 3500
    # What `right` is: the mean of the attributes by their weights, from the shipped journal.
    journal = read_journal(shipped_checkpoints()["listener"].with_suffix(".journal.csv"))
    right = {
        step: sum(WEIGHTS[name] * shares[name] for name in WEIGHTS) / sum(WEIGHTS.values())
        for step in {row.step for row in journal}
        if (shares := last_validation(journal, step))
    }
    best = max(right, key=lambda step: right[step])
    assert read_run(RUNS / "listener.toml", []).fit_config().monitor == "right"
    page = " ".join((RUNS.parent / "docs/listening.md").read_text(encoding="utf-8").split())
    behind = f"{100 * (right[best] - right[3500]):.2f} points"
    assert (
        f"they are the state of the last step, 3,500. By `right` that of step {best:,} was {behind} better"
        in page
    )
