"""The noise study: noise as loud as it says, spectra that come back, and a study that goes on where it stopped."""

import csv
import dataclasses
import json
import math
import re
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError, ExistsError
from retimbre.core.random import generator
from retimbre.dsp import audiofile
from retimbre.dsp.stft import StftSettings
from retimbre.metrics.speech import BEST, pesq_of_pair
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.study.jobs import run_jobs
from retimbre.workflows.study.snr_pesq import cells as cells_module
from retimbre.workflows.study.snr_pesq.curves import Curve, Point
from retimbre.workflows.study.snr_pesq.experiment import SNRS_DB, SnrPesqOptions, study_snr_pesq
from retimbre.workflows.study.snr_pesq.fronts import FAMILIES, SETTINGS, Front, fronts
from retimbre.workflows.study.snr_pesq.noise import noise_at_snr, with_noise
from retimbre.workflows.study.snr_pesq.spectra import LinearSpectrum
from retimbre.workflows.study.snr_pesq.speech import read_all, read_speech, vowels

UTTERANCE = Path(__file__).parents[2] / "docs" / "studies" / "snr-pesq" / "librispeech_198-209-0000.ogg"

EXACT = ["stft", "mag-phase", "mag-if"]


@pytest.fixture(scope="module")
def utterance() -> Tensor:
    return audiofile.read(UTTERANCE, sample_rate=16_000, max_seconds=4.0).samples[None]


# Noise


@pytest.mark.parametrize("snr_db", SNRS_DB)
def test_noise_lies_as_far_below_the_channel_as_asked(snr_db: float) -> None:
    channel = 3.0 + torch.randn(256, 400, generator=generator(0, "channel"))
    noise = noise_at_snr(channel, snr_db, generator(0, "noise"))
    measured_db = 20.0 * math.log10(channel.norm() / noise.norm())
    # The power of 102,400 draws varies by 0.02 dB; the bound is that of the earlier project's own test.
    assert measured_db == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("averages", [2, 4, 8])
def test_the_mean_of_several_draws_is_as_many_times_weaker(averages: int) -> None:
    channel = torch.ones(100_000)
    noise = noise_at_snr(channel, 20.0, generator(0, "noise"), averages=averages)
    measured_db = 20.0 * math.log10(channel.norm() / noise.norm())
    assert measured_db == pytest.approx(20.0 + 10.0 * math.log10(averages), abs=0.1)


def test_noise_falls_on_its_channel_alone() -> None:
    features = torch.randn(1, 3, 5, 7, generator=generator(0, "features"))
    noise = noise_at_snr(features[0, 1], 10.0, generator(0, "noise"))
    changed = with_noise(features, 1, noise) != features
    assert [bool(changed[0, channel].any()) for channel in range(3)] == [False, True, False]


def test_a_channel_of_zeros_gets_no_noise() -> None:
    assert bool((noise_at_snr(torch.zeros(50), 0.0, generator(0, "noise")) == 0).all())


# Spectra


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("family", EXACT)
def test_a_spectrum_with_its_phase_comes_back(family: str, setting: str, utterance: Tensor) -> None:
    transform = Front(family, setting).transform(16_000)
    back = transform.decode(transform.encode(utterance), num_samples=utterance.shape[1])
    assert transform.exact
    # The earlier project's bound on the largest error of a sample.
    assert float((back - utterance).abs().max()) < 1e-3


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_error_of_a_spectrum_in_mel_bands_is_bounded(setting: str, utterance: Tensor) -> None:
    transform = Front("mel-stft", setting).transform(16_000)
    back = transform.decode(transform.encode(utterance), num_samples=utterance.shape[1])
    assert not transform.exact
    assert 1e-3 < float((back - utterance).abs().max()) < 0.3


def test_an_orthogonal_transform_neither_adds_noise_nor_averages_it(utterance: Tensor) -> None:
    (front,) = fronts(["mdct"])
    transform = front.transform(16_000)
    features = transform.encode(utterance)
    noise = noise_at_snr(features[0, 0], 20.0, generator(0, "noise"))
    back = transform.decode(with_noise(features, 0, noise), num_samples=utterance.shape[1])
    measured_db = 20.0 * math.log10(utterance.norm() / (back - utterance).norm())
    # Coefficients beyond the ends of the sound hold some of the noise.
    assert measured_db == pytest.approx(20.0, abs=0.3)


def test_a_redundant_spectrum_averages_the_noise_in_its_magnitudes_over_its_frames(utterance: Tensor) -> None:
    transform = Front("mag-phase", "512-128").transform(16_000)
    features = transform.encode(utterance)
    noise = noise_at_snr(features[0, 0], 20.0, generator(0, "noise"))
    back = transform.decode(with_noise(features, 0, noise), num_samples=utterance.shape[1])
    measured_db = 20.0 * math.log10(utterance.norm() / (back - utterance).norm())
    # Four frames over each sample are worth four copies, 6 dB.
    assert measured_db == pytest.approx(20.0 + 10.0 * math.log10(4.0), abs=0.5)


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("setting", SETTINGS)
def test_noise_in_mel_bands_does_not_grow_on_the_way_back(setting: str, rate: int) -> None:
    sound = vowels(rate, 0.8).samples[None]
    transform = Front("mel-stft", setting).transform(rate)
    features = transform.encode(sound)
    noise = noise_at_snr(features[0, 0], 40.0, generator(0, "noise"))
    clean, noisy = (
        transform.decode(each, num_samples=sound.shape[1])
        for each in (features, with_noise(features, 0, noise))
    )
    # Bands that share a bin raise it by some 10 dB at most; one that barely touches its bin would by 94 dB.
    assert 20.0 * math.log10(clean.norm() / (noisy - clean).norm()) > 30.0


@pytest.mark.parametrize("family", ["mag", "mel-mag"])
def test_a_magnitude_alone_comes_back_as_good_speech(family: str, utterance: Tensor) -> None:
    transform = Front(family, "512-128").transform(16_000)
    back = transform.decode(transform.encode(utterance), num_samples=utterance.shape[1])
    assert pesq_of_pair(utterance[0], back[0], 16_000) > 3.8


def test_a_steady_tone_has_a_steady_frequency_within_half_a_turn() -> None:
    settings = StftSettings(512, 128, window="hamming")
    tone = torch.sin(2.0 * math.pi * 1000.0 / 16_000 * torch.arange(16_000))
    magnitude, turn = LinearSpectrum(settings, "frequency").encode(tone[None])[0]
    assert float(turn.abs().max()) <= math.pi + 1e-6
    # Frames that lie within the sound, and the bins around the tone; elsewhere there is only rounding.
    inside = slice(3, -4)
    loud = magnitude[:, inside].mean(dim=1) > 0.1 * magnitude.max()
    steady = turn[loud, inside]
    # Rounding of the phase; 1,000 Hz turns by 8 whole periods per hop.
    assert float((steady - steady[:, :1]).abs().max()) < 1e-3


def test_the_mean_of_noisy_waveforms_is_a_quarter_as_noisy_and_otherwise_the_waveform() -> None:
    (front,) = fronts(["waveform@4"])
    assert front.averages == 4
    assert front.channels(16_000) == ("samples",)


@pytest.mark.parametrize("front", fronts([]), ids=lambda front: front.name)
@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_every_representation_of_the_study_brings_a_sound_back(front: Front, rate: int) -> None:
    sound = vowels(rate, 0.5).samples[None]
    transform = front.transform(rate)
    features = transform.encode(sound)
    back = transform.decode(features, num_samples=sound.shape[1])
    assert len(front.channels(rate)) == features.shape[1]
    assert back.shape == sound.shape
    assert bool(back.isfinite().all())


def test_the_study_has_all_families_with_all_settings() -> None:
    chosen = {front.name for front in fronts([])}
    assert {f"{family}@{setting}" for family in FAMILIES for setting in SETTINGS} <= chosen
    assert {"waveform", "waveform@2", "waveform@4", "waveform@8"} <= chosen


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mag-phse@all", "mag-phase"),
        ("stft@512-129", "512-128"),
        ("mdtc", "mdct"),
        ("log-mel", "cannot be turned back"),
        ("waveform@none", "waveform"),
    ],
)
def test_a_representation_that_cannot_take_part_is_refused_with_the_reason(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fronts([name])


# Sounds


def written(path: Path, samples: Tensor, rate: int) -> Path:
    soundfile.write(path, samples.numpy(), rate)
    return path


@pytest.mark.parametrize(
    ("own", "rate", "band"),
    [(44_100, 16_000, "wide"), (16_000, 16_000, "wide"), (11_025, 8_000, "narrow"), (8_000, 8_000, "narrow")],
)
def test_each_rate_has_its_version_of_pesq_and_resampling_is_told(
    own: int, rate: int, band: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "speech.wav", vowels(own, 1.0).samples, own)
    speech = read_speech(path, "speech", 1.0)
    assert (speech.sample_rate, speech.band) == (rate, band)
    assert any("resampled" in remark for remark in speech.remarks) == (own != rate)


def test_a_sound_that_cannot_be_used_is_named_and_the_others_are_used(tmp_path: Path) -> None:
    written(tmp_path / "good.wav", vowels(8_000, 1.0).samples, 8_000)
    written(tmp_path / "short.wav", vowels(8_000, 0.2).samples, 8_000)
    written(tmp_path / "silent.wav", torch.zeros(8_000), 8_000)
    written(tmp_path / "slow.wav", torch.rand(4_000), 4_000)
    (tmp_path / "text.wav").write_text("no sound")
    sounds, refused = read_all([tmp_path], 1.0)
    assert [sound.name for sound in sounds] == ["good"]
    for name, words in {"short": "0.2 s", "silent": "silent", "slow": "4000 Hz", "text": "text.wav"}.items():
        assert any(name in line and words in line for line in refused)


def test_with_no_sound_left_the_study_ends_with_the_reason(tmp_path: Path) -> None:
    path = written(tmp_path / "silent.wav", torch.zeros(8_000), 8_000)
    with pytest.raises(AudioError, match="silent"):
        study_snr_pesq(tmp_path / "out", SnrPesqOptions((path,), ("waveform",)))


def test_sounds_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / word / "george.wav" for word in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        written(path, vowels(8_000, 0.5).samples, 8_000)
    assert [sound.name for sound in read_all(paths, 1.0)[0]] == ["one-george", "two-george"]


# The study


@pytest.fixture
def options(tmp_path: Path) -> SnrPesqOptions:
    path = written(tmp_path / "vowels.wav", vowels(8_000, 0.8).samples, 8_000)
    names = ("waveform", "mag-phase@512-128", "mel-mag@512-128")
    return SnrPesqOptions((path,), names, (0.0, 20.0, 40.0), repeats=2, seconds=0.8)


def results(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_less_noise_scores_higher_and_the_tables_hold_every_draw(
    options: SnrPesqOptions, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = study_snr_pesq(out, options)
    rows = results(out)
    # Four channels, three SNRs, two draws.
    assert len(rows) == 4 * 3 * 2
    assert all(1.0 <= float(row["pesq"]) <= BEST["narrow"] + 1e-4 for row in rows)
    assert [len(row) for row in result["curves"]] == [9] * 12
    for standing in result["standings"]:
        assert standing["at_0_db"] < standing["at_20_db"] < standing["at_40_db"] <= standing["clean"] + 0.05
    assert json.loads((out / "study.json").read_text()) == result
    assert len(list((out / "wavs").rglob("*.wav"))) == 4 * 3


def test_the_first_draw_of_each_snr_is_kept_as_it_was_judged(options: SnrPesqOptions, tmp_path: Path) -> None:
    out = tmp_path / "out"
    study_snr_pesq(out, options)
    clean = audiofile.read(out / "sounds" / "vowels.wav").samples
    row = next(
        row
        for row in results(out)
        if (row["representation"], row["snr_db"], row["repeat"]) == ("waveform", "20", "0")
    )
    kept = audiofile.read(out / "wavs" / "vowels" / "waveform" / "samples" / "020.0_db.wav").samples
    # The file has 16 bits.
    assert pesq_of_pair(clean, kept, 8_000) == pytest.approx(float(row["pesq"]), abs=0.02)


def test_a_stopped_study_goes_on_and_ends_as_an_unbroken_one(options: SnrPesqOptions, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    study_snr_pesq(whole, options)
    stopped = study_snr_pesq(broken, dataclasses.replace(options, minutes=1e-9))
    assert len(stopped["unfinished"]) == 4
    study_snr_pesq(broken, dataclasses.replace(options, snrs_db=(20.0,), repeats=1))
    kept = {path: path.read_bytes() for path in broken.rglob("020.0_db.wav")}
    result = study_snr_pesq(broken, options)
    assert result["unfinished"] == []
    assert (broken / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    assert kept == {path: path.read_bytes() for path in broken.rglob("020.0_db.wav")}
    before = {path: path.stat().st_mtime_ns for path in (broken / "cells").rglob("*.json")}
    study_snr_pesq(broken, options)
    assert before == {path: path.stat().st_mtime_ns for path in (broken / "cells").rglob("*.json")}


@pytest.mark.slow
def test_processes_side_by_side_find_what_one_finds(options: SnrPesqOptions, tmp_path: Path) -> None:
    study_snr_pesq(tmp_path / "one", options)
    study_snr_pesq(tmp_path / "two", dataclasses.replace(options, workers=2))
    assert (tmp_path / "one" / "results.csv").read_bytes() == (tmp_path / "two" / "results.csv").read_bytes()


def test_the_seed_decides_the_noise_and_two_do_not_share_a_folder(
    options: SnrPesqOptions, tmp_path: Path
) -> None:
    other = dataclasses.replace(options, seed=1)
    study_snr_pesq(tmp_path / "zero", options)
    study_snr_pesq(tmp_path / "one", other)
    assert results(tmp_path / "zero") != results(tmp_path / "one")
    with pytest.raises(ExistsError, match="another seed"):
        study_snr_pesq(tmp_path / "zero", other)


@pytest.mark.parametrize(
    "content",
    ["{bad", "", "[]", "{}", '{"facts": {}, "clean": null}', '{"clean": null, "rows": []}', "\udcff"],
)
def test_a_cell_whose_file_is_damaged_is_done_again_and_it_is_told(
    content: str, options: SnrPesqOptions, tmp_path: Path
) -> None:
    grid = dataclasses.replace(options, representations=("waveform",))
    study_snr_pesq(tmp_path / "out", grid)
    path = tmp_path / "out" / "cells" / "vowels" / "waveform" / "samples.json"
    whole = path.read_bytes()
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    told: list[str] = []
    assert study_snr_pesq(tmp_path / "out", grid, tell=told.append)["unfinished"] == []
    assert path.read_bytes() == whole
    assert any("vowels/waveform/samples" in line and "file was damaged" in line for line in told)


@pytest.mark.parametrize(
    ("column", "value"), [("snr_db", "20"), ("repeat", None), ("pesq", "high"), ("problem", 1)]
)
def test_a_cell_with_a_damaged_row_is_done_again(
    column: str, value: object, options: SnrPesqOptions, tmp_path: Path
) -> None:
    grid = dataclasses.replace(options, representations=("waveform",))
    study_snr_pesq(tmp_path / "out", grid)
    path = tmp_path / "out" / "cells" / "vowels" / "waveform" / "samples.json"
    whole = path.read_bytes()
    content = json.loads(whole)
    content["rows"][1][column] = value
    path.write_text(json.dumps(content))
    study_snr_pesq(tmp_path / "out", grid)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_study_is_not_kept_in_a_file(below: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ExistsError, match=f"{file} is a file, but a study is kept in a folder"):
        study_folder(file / below)
    with pytest.raises(ExistsError, match="is a file"):
        study_snr_pesq(file / below)


def test_another_excerpt_does_not_join_the_folder(options: SnrPesqOptions, tmp_path: Path) -> None:
    study_snr_pesq(tmp_path / "out", options)
    with pytest.raises(ExistsError, match="another excerpt"):
        study_snr_pesq(tmp_path / "out", dataclasses.replace(options, seconds=0.5))


def test_what_pesq_cannot_judge_is_marked_and_in_no_mean(
    options: SnrPesqOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_at_once_in_two(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
        calls.append(1)
        if len(calls) % 2:
            raise AudioError("PESQ finds no speech in it")
        return 2.0

    calls: list[int] = []
    monkeypatch.setattr(cells_module, "pesq_of_pair", fails_at_once_in_two)
    result = study_snr_pesq(tmp_path / "out", options)
    failed = [row for row in results(tmp_path / "out") if row["problem"]]
    assert len(failed) == 12
    assert {row["pesq"] for row in failed} == {""}
    assert {row["pesq"] for row in result["curves"]} == {2.0}
    assert sum(row["failed"] for row in result["curves"]) == 12


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    fails: bool

    def run(self) -> str:
        if self.fails:
            raise ExistsError("is there")
        return f"{self.name} done"


def test_a_part_that_fails_is_named_and_does_not_stop_the_others() -> None:
    told: list[str] = []
    failures = run_jobs([Part("one", True), Part("two", False)], 1, told.append)
    assert failures == ["one: is there"]
    assert told == ["failed: one: is there", "two done"]


# The page


def test_the_page_holds_figures_and_sounds_and_fetches_nothing(
    options: SnrPesqOptions, tmp_path: Path
) -> None:
    renamed = options.sounds[0].rename(tmp_path / "<b>vowels.wav")
    grid = dataclasses.replace(options, sounds=(renamed,), snrs_db=(10.0, 20.0))
    study_snr_pesq(tmp_path / "out", grid)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;b&gt;vowels" in page
    assert "<b>vowels" not in page
    # The clean sound and four channels at two SNRs.
    assert page.count("<audio") == 1 + 4 * 2
    addresses = re.findall(r'(?:src|href)="([^"]{5})', page)
    assert set(addresses) == {"data:"}
    assert (tmp_path / "out" / "narrow.png").read_bytes().startswith(b"\x89PNG")


def test_made_vowels_are_said_to_be_made_and_are_the_same_again(tmp_path: Path) -> None:
    made = SnrPesqOptions((), ("waveform",), (20.0,), 1, 0.8)
    assert study_snr_pesq(tmp_path / "out", made) == study_snr_pesq(tmp_path / "out", made)
    assert "not speech" in (tmp_path / "out" / "report.html").read_text()


def curve_through(*scores: float) -> Curve:
    points = tuple(Point(10.0 * place, score, score, score, 1, 0) for place, score in enumerate(scores))
    return Curve("wide", Front("waveform"), (0, "samples"), 4.64, points)


@pytest.mark.parametrize(
    ("scores", "snr_db"),
    [((1.0, 2.0, 4.0), 15.0), ((3.5, 3.6, 4.0), 0.0), ((1.0, 2.0, 2.9), None), ((4.0, 2.0, 4.0), 15.0)],
)
def test_a_curve_is_fair_from_the_snr_on_at_which_it_stays_above_three(
    scores: tuple[float, ...], snr_db: float | None
) -> None:
    assert curve_through(*scores).snr_for(3.0) == snr_db
