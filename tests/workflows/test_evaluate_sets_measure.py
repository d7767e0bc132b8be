"""From sets to numbers: vectors that are computed once, numbers that say what they depend on, models that answer."""

import json
import shutil
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import AudioError, CheckpointError, ConfigError
from retimbre.dsp import audiofile
from retimbre.listening.base import Embedder
from retimbre.listening.catalog import EMBEDDERS, EmbedderEntry, embedder
from retimbre.listening.listener import Listener, ListenerConfig, load_listener, save_listener
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.catalog import DISTANCES
from retimbre.metrics.distances.profiles import PROFILES, Framing
from retimbre.training import checkpoint
from retimbre.workflows.evaluation.sets.cache import VectorCache, default_folder
from retimbre.workflows.evaluation.sets.clips import (
    About,
    ChosenClips,
    ClipOptions,
    Clips,
    HeldClips,
    open_clips,
)
from retimbre.workflows.evaluation.sets.embed import ROWS_AT_ONCE, embedded, heard_features, heard_logits
from retimbre.workflows.evaluation.sets.folders import SetOptions, measure_sounds
from retimbre.workflows.evaluation.sets.framing import num_windows, windows
from retimbre.workflows.evaluation.sets.halves import halves_by_lot
from retimbre.workflows.evaluation.sets.measure import MeasureOptions, measure
from retimbre.workflows.evaluation.sets.metrics import SET_METRICS
from retimbre.workflows.evaluation.sets.models import SOUND_MODELS, SoundModel, sounds_of
from retimbre.workflows.evaluation.sets.weak_answers import weak_answers

RATE = 16_000
EIGHTH = ClipOptions(sample_rate=RATE, seconds=0.125)
SAMPLES = 2_000
WHOLE = Framing()


def noises(count: int, seed: int = 0, samples: int = SAMPLES) -> Tensor:
    """Noise of many colours, so that no two clips are alike."""
    random = torch.Generator().manual_seed(seed)
    white = torch.randn(count, samples, generator=random)
    slope = torch.rand(count, 1, generator=random) * 3
    shaped = torch.fft.rfft(white) / (1 + torch.arange(samples // 2 + 1)) ** slope
    sound = torch.fft.irfft(shaped, samples)
    return 0.5 * sound / sound.abs().amax(1, keepdim=True)


def held(count: int, seed: int = 0, name: str = "noises") -> HeldClips:
    return HeldClips(name, noises(count, seed), RATE)


def write_noises(folder: Path, count: int, seed: int = 0) -> Path:
    for number, sound in enumerate(noises(count, seed)):
        audiofile.write(folder / f"{number:03d}.wav", sound, RATE)
    return folder


@pytest.fixture(scope="module")
def listener_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained listener of pitch and family."""
    torch.manual_seed(0)
    config = ListenerConfig(attributes=("pitch", "family"))
    path = tmp_path_factory.mktemp("listener") / "listener.safetensors"
    save_listener(path, Listener(config), facts={})
    return str(path)


class Octaves(Embedder):
    """How loud each of eight octaves is: a hundred times quicker than what is in the catalog."""

    dim = 8

    def forward(self, audio: Tensor) -> Tensor:
        power = torch.fft.rfft(audio, 1 << 9).abs().square()
        return (
            torch.stack([power[:, 1 << octave : 2 << octave].mean(1) for octave in range(8)], 1)
            .add(1e-6)
            .log()
        )

    def settings(self) -> dict[str, int]:
        return {"octaves": 8}


@pytest.fixture(autouse=True)
def _octaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMBEDDERS, "octaves", EmbedderEntry("Eight octaves", Octaves))


def quick(**options) -> MeasureOptions:
    return MeasureOptions(
        **{"embedder": "octaves", "resamples": 20, "cache": "none", "device": "cpu"} | options
    )


class Counted(torch.nn.Module):
    """The number of clips that an embedder has heard."""

    def __init__(self, heard_by: torch.nn.Module) -> None:
        super().__init__()
        self.clips = 0
        heard_by.register_forward_hook(self.count)

    def count(self, module: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        self.clips += len(inputs[0])


class WatchedClips(Clips):
    """Clips that count how many of their batches are in memory."""

    def __init__(self, count: int) -> None:
        super().__init__(About("watched", RATE, SAMPLES, tuple(str(row) for row in range(count))))
        self.alive = self.most = self.largest = 0

    def audio(self, rows: Sequence[int]) -> Tensor:
        batch = torch.stack([noises(1, row)[0] for row in rows])
        self.alive += 1
        self.most, self.largest = max(self.most, self.alive), max(self.largest, len(batch))
        weakref.finalize(batch, self.forget)
        return batch

    def forget(self) -> None:
        self.alive -= 1

    @property
    def key(self) -> str:
        return "watched"


def test_a_clip_has_the_same_vector_in_any_batch() -> None:
    clips = held(70)
    heard_by = embedder("octaves", RATE)
    together = embedded(clips, heard_by, WHOLE)
    for row in (0, 63, 64, 69):
        alone = embedded(ChosenClips(clips, "one", [row]), heard_by, WHOLE)
        # Sums of float32 in another order: a few units of the seventh digit.
        assert torch.allclose(alone.values[0], together.values[row], atol=1e-5)


class Uneven(Octaves):
    """Hears as networks do: the last digits of a vector depend on how many are heard with it, and on its place."""

    def forward(self, audio: Tensor) -> Tensor:
        places = torch.arange(len(audio))[:, None]
        return super().forward(audio) + 1e-7 * len(audio) + 1e-7 * places


def test_equal_sounds_have_equal_vectors_wherever_they_stand_in_a_set() -> None:
    audio = torch.cat([torch.zeros(1, SAMPLES), -torch.zeros(1, SAMPLES), noises(1)]).repeat(50, 1)
    found = embedded(HeldClips("thrice", audio, RATE), Uneven(RATE), WHOLE).values
    # A zero of either sign is silence.
    assert len(torch.unique(found, dim=0)) == 2
    assert torch.equal(found, found[:3].repeat(50, 1))


def test_equal_windows_of_one_clip_have_equal_vectors() -> None:
    audio = torch.cat([torch.zeros(3, SAMPLES), noises(3), torch.zeros(3, SAMPLES)], 1)
    framing = Framing(window_s=0.125, hop_s=0.125)
    found = embedded(HeldClips("silence and noise", audio, RATE), Uneven(RATE), framing)
    assert found.clips.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(torch.unique(found.values, dim=0)) == 4


def test_equal_sounds_have_equal_answers(listener_file: str) -> None:
    listener = load_listener(listener_file)
    logits = heard_logits(HeldClips("one", noises(1).repeat(70, 1), RATE), listener, "pitch")
    assert len(torch.unique(logits.values, dim=0)) == 1


def test_a_set_of_one_sound_is_told_to_have_no_variety() -> None:
    silent = HeldClips("silence", torch.zeros(110, SAMPLES), RATE)
    EMBEDDERS["octaves"] = EmbedderEntry("Eight octaves, unevenly", Uneven)
    remarks = measure("kid", held(20), silent, quick())["remarks"]
    assert "all 110 vectors of the set judged are equal: it has no variety to measure" in remarks


def test_no_more_sound_is_in_memory_for_many_clips_than_for_few() -> None:
    few, many = WatchedClips(2 * ROWS_AT_ONCE), WatchedClips(5 * ROWS_AT_ONCE)
    for clips in (few, many):
        embedded(clips, embedder("octaves", RATE), WHOLE)
        assert clips.largest == ROWS_AT_ONCE
    assert many.most == few.most <= 2


def test_the_same_sounds_in_another_folder_are_not_heard_again(tmp_path: Path) -> None:
    heard_by = embedder("octaves", RATE)
    counted, cache = Counted(heard_by), VectorCache(tmp_path / "cache")
    first = embedded(open_clips(write_noises(tmp_path / "a", 3), EIGHTH), heard_by, WHOLE, cache)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    again = embedded(open_clips(tmp_path / "b", EIGHTH), heard_by, WHOLE, cache)
    assert counted.clips == 3
    assert torch.equal(first.values, again.values)


def test_another_sample_framing_rate_or_embedder_is_heard_anew(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "cache")
    folder = write_noises(tmp_path / "a", 3)

    def heard(options: ClipOptions = EIGHTH, framing: Framing = WHOLE, name: str = "octaves") -> int:
        heard_by = embedder(name, options.sample_rate)
        counted = Counted(heard_by)
        embedded(open_clips(folder, options), heard_by, framing, cache)
        return counted.clips

    assert heard() == 3
    assert heard() == 0
    assert heard(framing=Framing(0.0625, 0.0625)) == 6
    assert heard(framing=Framing(level="peak")) == 3
    assert heard(ClipOptions(8_000, 0.125)) == 3
    assert heard(ClipOptions(RATE, 0.1)) == 3
    assert heard(name="random-features") == 3
    data = bytearray((folder / "001.wav").read_bytes())
    data[-100] ^= 1  # the last bit of the mantissa of a sample
    (folder / "001.wav").write_bytes(data)
    assert heard() == 3


@pytest.mark.parametrize("damage", ["one bit", "cut", "foreign", "another table"])
def test_a_damaged_table_is_computed_again_and_never_believed(damage: str, tmp_path: Path) -> None:
    heard_by = embedder("octaves", RATE)
    counted, cache = Counted(heard_by), VectorCache(tmp_path)
    right = embedded(held(3), heard_by, WHOLE, cache)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "one bit":
        data[-5] ^= 1
    if damage == "cut":
        del data[-200:]
    if damage == "foreign":
        data = bytearray(b"something else")
    if damage == "another table":
        embedded(held(3, seed=1), heard_by, WHOLE, VectorCache(tmp_path / "other"))
        data = bytearray(next((tmp_path / "other").iterdir()).read_bytes())
    path.write_bytes(data)
    before = counted.clips
    with pytest.warns(UserWarning, match="damaged and are computed again"):
        found = embedded(held(3), heard_by, WHOLE, cache)
    assert counted.clips == before + 3
    assert torch.equal(found.values, right.values)
    assert torch.equal(embedded(held(3), heard_by, WHOLE, cache).values, right.values)
    assert counted.clips == before + 3


def test_a_cache_that_cannot_be_written_costs_a_warning_and_no_result(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="vectors cannot be kept"):
        found = embedded(held(3), embedder("octaves", RATE), WHOLE, VectorCache(tmp_path / "file/cache"))
    assert found.num_clips == 3


def test_vectors_are_kept_where_the_desktop_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "retimbre"
    assert quick(cache="").vectors.folder == tmp_path / "retimbre"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_folder() == tmp_path / "home/.cache/retimbre"
    assert quick().vectors.folder is None


@pytest.mark.parametrize(
    ("framing", "starts"),
    [
        (Framing(0.5, 0.5, "drop"), [0, 4]),
        (Framing(0.5, 0.5, "pad"), [0, 4, 8]),
        (Framing(0.5, 0.25, "drop"), [0, 2, 4, 6]),
        (Framing(0.5, 0.25, "pad"), [0, 2, 4, 6]),
        (Framing(2.0, 1.0, "pad"), [0]),
    ],
)
def test_windows_are_those_worked_out_by_hand(framing: Framing, starts: list[int]) -> None:
    """A clip of ten samples at eight a second."""
    clip = torch.arange(1.0, 11.0)
    window = round(framing.window_s * 8)
    padded = torch.cat([clip, torch.zeros(16)])
    expected = torch.stack([padded[start : start + window] for start in starts])
    assert torch.equal(windows(clip[None], 8, framing)[0], expected)
    assert num_windows(10, 8, framing) == len(starts)


def test_a_level_is_that_of_the_whole_clip_and_silence_stays_silent() -> None:
    clip = torch.tensor([[0.25, -0.5, 0.0, 0.1], [0.0, 0.0, 0.0, 0.0]])
    assert windows(clip, 8, Framing(level="peak"))[0, 0].tolist() == pytest.approx([0.5, -1.0, 0.0, 0.2])
    assert windows(clip, 8, Framing(level="positive-peak"))[0, 0].tolist() == pytest.approx([1, -2, 0, 0.4])
    assert not windows(clip, 8, Framing(level="positive-peak"))[1].any()
    coarse = windows(torch.tensor([[0.6 / 32_768, 1.0]]), 8, Framing(int16=True))[0, 0]
    assert coarse.tolist() == [1 / 32_768, 32_767 / 32_768]


def test_clips_shorter_than_a_window_are_refused_where_the_rest_is_dropped() -> None:
    with pytest.raises(ConfigError, match=r"0\.125 s holds no window of 1 s"):
        embedded(held(3), embedder("octaves", RATE), PROFILES["google2019"].framing)


def test_an_embedder_hears_at_its_own_rate_and_is_finished() -> None:
    with pytest.raises(
        ConfigError, match=r"is at 16000 Hz, but the embedder hears 8000 Hz: --sample-rate 8000$"
    ):
        embedded(held(3), embedder("octaves", 8_000), WHOLE)
    with pytest.raises(ConfigError, match="distances take an embedder that is finished"):
        embedded(held(3), embedder("bag-of-words", RATE), WHOLE)


def test_a_listener_is_asked_once_for_all_it_has_to_say(listener_file: str, tmp_path: Path) -> None:
    listener, cache = load_listener(listener_file), VectorCache(tmp_path)
    clips = held(3)
    with torch.no_grad():
        heard = listener(clips.audio(range(3)))
    for attribute, classes in (("pitch", 88), ("family", 11)):
        logits = heard_logits(clips, listener, attribute, cache)
        assert logits.values.shape == (3, classes)
        assert torch.equal(logits.values, heard.logits[attribute].double())
        features = heard_features(clips, listener, attribute, cache)
        assert torch.equal(features.values, heard.features[attribute].double())
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ConfigError, match="does not tell the velocity of a note: it knows pitch, family"):
        heard_logits(clips, listener, "velocity", cache)


def test_the_number_is_that_of_the_distance_on_the_vectors() -> None:
    real, fake = held(40), held(30, seed=1)
    result = measure("kid", real, fake, quick())
    heard_by = embedder("octaves", RATE)
    vectors = [embedded(clips, heard_by, WHOLE) for clips in (real, fake)]
    expected = DISTANCES["kid"].measure(*vectors, Bootstrap(resamples=20, seed=0)).values["value"]
    assert (result["value"], result["low"], result["high"]) == (expected.value, expected.low, expected.high)
    assert result["n"] == 30


@pytest.mark.parametrize("metric", sorted(SET_METRICS))
def test_every_measure_says_all_that_its_number_depends_on(metric: str, listener_file: str) -> None:
    real, fake = held(120), held(120, seed=1)
    hears = {"listener": listener_file, "profile": "sony2020" if metric == "imq" else "default"}
    if metric == "imq":
        real, fake = (HeldClips("long", noises(20, seed, 20_000), RATE) for seed in (0, 1))
    result = json.loads(json.dumps(measure(metric, real, fake, quick(**hears)), allow_nan=False))
    assert result["low"] <= result["value"] <= result["high"]
    assert {"metric", "profile", "heard_by", "framing", "sets", "resamples", "versions"} <= set(
        result["settings"]
    )
    assert result["settings"]["heard_by"]["identity"] in result["line"]
    assert result["settings"]["sets"]["fake"]["key"] == fake.key
    assert ("real" in result["settings"]["sets"]) == SET_METRICS[metric].compares
    assert result["line"].startswith(f"{SET_METRICS[metric].title}[")
    assert result["better"] in {"lower", "higher"}


def test_the_same_sets_and_seed_give_the_same_number_and_another_seed_the_same_value() -> None:
    real, fake = held(40), held(30, seed=1)
    first = measure("kad", real, fake, quick())
    assert measure("kad", real, fake, quick()) == first
    other = measure("kad", real, fake, quick(seed=1))
    assert other["value"] == first["value"]
    assert other["low"] != first["low"]


def test_silent_clips_count_against_the_set() -> None:
    real, fake = held(60), noises(60, seed=1)
    half_silent = torch.cat([fake[:30], torch.zeros(30, SAMPLES)])
    whole = measure("kid", real, HeldClips("fake", fake, RATE), quick())
    silent = measure("kid", real, HeldClips("fake", half_silent, RATE), quick())
    assert silent["low"] > whole["high"]
    assert any("sounds repeat" in remark for remark in silent["remarks"])


def test_the_remarks_on_both_sets_go_with_the_number(tmp_path: Path) -> None:
    write_noises(tmp_path / "a", 12)
    (tmp_path / "a/text.wav").write_text("not a sound")
    clips = open_clips(tmp_path / "a", EIGHTH)
    result = measure("kid", clips, clips, quick())
    assert any("real set" in remark and "passed over" in remark for remark in result["remarks"])
    assert any("hold the same sounds" in remark for remark in result["remarks"])
    assert [line for line in result["passed_over"] if "text.wav" in line] == result["passed_over"]
    assert len(result["passed_over"]) == 2  # once in either set


@pytest.mark.parametrize(
    ("metric", "real", "count", "options", "message"),
    [
        ("fid", 20, 20, {}, "no measure of sets 'fid'; did you mean"),
        ("fad", 0, 20, {}, "FAD compares a set with a real one, which is missing: --real DIR"),
        ("kid", 20, 1, {}, "at least 2 clips in each set; the set judged has 1"),
        ("kid", 1, 20, {}, "at least 2 clips in each set; the reference has 1"),
        ("kid", 20, 20, {"embedder": "nobody"}, "no embedder 'nobody'"),
        ("kid", 20, 20, {"embedder": "vggish"}, "needs the file of its weights: --embedder-file"),
        ("kid", 20, 20, {"embedder_file": "a.pth"}, "takes no --embedder-file: a.pth"),
        ("kid", 20, 20, {"profile": "sony"}, "no profile 'sony'; did you mean 'sony2020'"),
        ("is", 20, 20, {"attribute": "velocity"}, "does not tell the velocity of a note"),
        ("pis", 20, 20, {"listener": "nobody"}, "no model 'nobody'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    metric: str, real: int, count: int, options: dict[str, str], message: str, listener_file: str
) -> None:
    with pytest.raises((ConfigError, CheckpointError), match=message) as raised:
        measure(
            metric, held(real) if real else None, held(count), quick(**{"listener": listener_file} | options)
        )
    assert "\n" not in str(raised.value)


def test_a_published_profile_through_another_network_is_remarked() -> None:
    real, fake = (HeldClips("long", noises(10, seed, 20_000), RATE) for seed in (0, 1))
    result = measure("kad", real, fake, quick(profile="torch-port"))
    assert any(
        "through octaves its numbers are not those that were published" in r for r in result["remarks"]
    )
    assert result["settings"]["framing"]["window_s"] > 0


def test_a_number_says_that_its_listener_guesses_and_only_then(tmp_path: Path) -> None:
    # The shipped listener tells velocity no better than by guessing, and pitch and family much better.
    clips = held(40)
    told = {
        attribute: measure("is", None, clips, quick(attribute=attribute))["remarks"]
        for attribute in ("velocity", "family", "pitch")
    }
    assert any(
        "told the velocity of 22.8 % of the notes that validated it, and guessing among 5 classes tells 20.0 %"
        in remark
        for remark in told["velocity"]
    )
    assert not any("guessing" in remark for remark in (*told["family"], *told["pitch"]))


@pytest.mark.parametrize(("right", "doubted"), [(0.09, True), (0.2, False), (None, False)])
def test_any_listener_whose_file_says_that_it_guesses_is_doubted(
    right: float | None, doubted: bool, tmp_path: Path
) -> None:
    # Eleven families: a guess is right about one in eleven, and a tenth of the way to certainty is 0.18.
    facts = {} if right is None else {"quality": {"family": right}}
    save_listener(
        tmp_path / "ears.safetensors", Listener(ListenerConfig(attributes=("family",))), facts=facts
    )
    assert bool(weak_answers(str(tmp_path / "ears.safetensors"), "family")) == doubted


@pytest.fixture(scope="module")
def inverter_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("inverter") / "inverter.safetensors"
    save_inverter(path, Inverter(InverterConfig("fm2op", "C1", seconds=0.125, sample_rate=RATE)), facts={})
    return str(path)


def tones(count: int) -> Tensor:
    time = torch.arange(SAMPLES) / RATE
    return torch.stack([0.3 * torch.sin(2 * torch.pi * (200.0 + 30 * row) * time) for row in range(count)])


def test_an_inverter_is_judged_by_its_answers_clip_by_clip(inverter_file: str) -> None:
    real = HeldClips("tones", tones(3), RATE)
    answers = sounds_of(inverter_file, real, EIGHTH)
    assert (len(answers), answers.sample_rate, answers.num_samples) == (3, RATE, SAMPLES)
    assert answers.names == real.names
    sounds = answers.audio(range(3))
    assert sounds.abs().amax() <= 1
    assert (sounds.square().mean(1) > 1e-6).all()
    alone = sounds_of(inverter_file, ChosenClips(real, "one", [2]), EIGHTH).audio([0])[0]
    # A batch of one is summed in another order, and an oscillator adds that up over the clip: -80 dB.
    assert (alone - sounds[2]).abs().max() < 1e-4


def test_a_clip_without_a_note_is_answered_by_silence_and_told(inverter_file: str) -> None:
    audio = tones(3)
    audio[1] = 0
    answers = sounds_of(inverter_file, HeldClips("tones", audio, RATE), EIGHTH)
    assert (answers.audio(range(3)).abs().amax(1) > 0).tolist() == [True, False, True]
    assert "1 of 3 real clips hold no note to answer, and are answered by silence" in answers.remarks


def test_a_model_without_sounds_or_without_real_clips_is_named(inverter_file: str, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "other.safetensors", {}, kind="label-autoencoder", metadata={})
    with pytest.raises(
        CheckpointError, match="'label-autoencoder', which makes no sounds; those that do: inverter"
    ):
        sounds_of(tmp_path / "other.safetensors", held(3), EIGHTH)
    with pytest.raises(AudioError, match="needs real clips: --real DIR"):
        sounds_of(inverter_file, None, EIGHTH)
    with pytest.raises(CheckpointError, match="no model 'nobody'"):
        sounds_of("nobody", held(3), EIGHTH)


def test_a_model_answers_one_half_of_the_real_clips_and_is_compared_with_the_other(
    inverter_file: str, tmp_path: Path
) -> None:
    real = write_noises(tmp_path / "real", 12)
    of_model = measure_sounds("kid", inverter_file, "", SetOptions(str(real), EIGHTH, quick()))
    reference, heard = halves_by_lot(open_clips(real, EIGHTH), EIGHTH.seed)
    assert not set(reference.names) & set(heard.names)
    for row, sound in enumerate(sounds_of(inverter_file, heard, EIGHTH).audio(range(6))):
        audiofile.write(tmp_path / f"fake/{row:03d}.wav", sound, RATE)
    for name in heard.names:
        (real / name).unlink()
    of_folder = measure_sounds("kid", tmp_path / "fake", "", SetOptions(str(real), EIGHTH, quick()))
    assert of_folder["value"] == of_model["value"]
    for role in ("real", "fake"):
        settings = [result["settings"]["sets"][role] for result in (of_folder, of_model)]
        assert settings[0]["key"] == settings[1]["key"]
        assert settings[0]["n"] == 6


@pytest.mark.parametrize("metric", ["kid", "kad", "imq"])
def test_a_model_that_hands_back_what_it_hears_is_as_far_as_real_is_from_real(
    metric: str, inverter_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = SoundModel(lambda name, real, device, progress: real, answers=True)
    monkeypatch.setitem(SOUND_MODELS, "inverter", echo)
    values = []
    for seed in range(20):
        real = write_noises(tmp_path / str(seed), 24, seed)
        values.append(
            measure_sounds(metric, inverter_file, "", SetOptions(str(real), EIGHTH, quick()))["value"]
        )
    drawn = torch.tensor(values)
    # Compared with the very clips it echoes, its mean is some ten standard errors below 0.
    assert drawn.mean().abs() < 3 * drawn.std() / len(drawn) ** 0.5


def test_real_clips_that_leave_no_pair_in_a_half_are_refused(inverter_file: str, tmp_path: Path) -> None:
    real = write_noises(tmp_path / "real", 3)
    with pytest.raises(ConfigError, match="3 clips; a model that answers one half of them"):
        measure_sounds("kid", inverter_file, "", SetOptions(str(real), EIGHTH, quick()))


def test_a_score_of_a_folder_does_not_read_the_real_one(listener_file: str, tmp_path: Path) -> None:
    write_noises(tmp_path / "fake", 40)
    options = SetOptions(str(tmp_path / "nowhere"), EIGHTH, quick(listener=listener_file))
    assert measure_sounds("iis", tmp_path / "fake", "", options)["n"] == 40
