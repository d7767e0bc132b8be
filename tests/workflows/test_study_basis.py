"""The study of a basis: fair rivals, functions in order, and files that can be read."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from retimbre.core.config import dump
from retimbre.core.errors import AudioError, CheckpointError, ConfigError, ExistsError
from retimbre.core.random import generator
from retimbre.dsp.audiofile import write
from retimbre.dsp.pursuit import PursuitSettings
from retimbre.representation.basis_functions import FreeConfig, WindowedConfig
from retimbre.representation.learned_basis import Basis, BasisConfig
from retimbre.training import checkpoint
from retimbre.workflows.study.basis.contest import (
    LEARNED,
    MDCT,
    basis_contender,
    mdct_contenders,
    measure,
    rows_of,
    snr_db,
    union_contender,
)
from retimbre.workflows.study.basis.pictures import codes_png, functions_png
from retimbre.workflows.study.basis.shapes import by_distance, centres_hz, shape_rows
from retimbre.workflows.study.basis.study import FILES, BasisOptions, partial_failure, study_basis

WINDOWED = BasisConfig(WindowedConfig(num_bands=(32, 128)), sample_rate=8000)
LONG = BasisConfig(WindowedConfig(num_bands=(64, 512)), sample_rate=8000)
FREE = BasisConfig(FreeConfig(num_functions=24), code="rectified", sample_rate=8000)


def basis_of(config: BasisConfig) -> Basis:
    torch.manual_seed(0)
    return Basis(config).eval().requires_grad_(False)


def save(path: Path, config: BasisConfig) -> Path:
    metadata = {"task": "basis", "config": dump(config), "facts": {}}
    checkpoint.save(path, basis_of(config).state_dict(), kind="basis", metadata=metadata)
    return path


def tones(count: int, num_samples: int = 4000) -> torch.Tensor:
    """Struck strings: steady tones that begin at once and die away, with a little noise."""
    time = torch.arange(num_samples) / 8000
    clips = []
    for row in range(count):
        hertz = 180.0 * 2.0 ** (row / 5)
        partials = [torch.sin(2 * torch.pi * hertz * k * (time - 0.1)) / k for k in range(1, 6)]
        clips.append(0.2 * torch.stack(partials).sum(0) * torch.exp(-4.0 * (time - 0.1)) * (time >= 0.1))
    noise = torch.randn(count, num_samples, generator=generator(0, "noise", count))
    return torch.stack(clips) + 1e-3 * noise


def write_tones(folder: Path) -> Path:
    folder.mkdir()
    for number, clip in enumerate(tones(3)):
        write(folder / f"tone{number}.wav", clip, 8000)
    return folder


@pytest.mark.parametrize("contender", [*mdct_contenders()], ids=lambda each: each.name)
def test_a_transform_keeps_the_largest_values_and_all_of_them_are_the_sound(contender) -> None:
    audio = tones(2)
    few, many = (measure(contender, audio, per_s, 8000) for per_s in (200.0, 2000.0))
    assert (many > few).all()
    assert (measure(contender, audio, 1e6, 8000) > 100.0).all()


def test_several_mdcts_searched_together_beat_each_of_them_alone() -> None:
    """They can choose the length as they go; with all values of one length they are that one, so never far below."""
    audio = tones(3)
    together = union_contender(basis_of(LONG), PursuitSettings(16, 8))
    assert together.codes_per_sample == 2.0
    alone = [each for each in mdct_contenders() if each.name in ("mdct-128-sine", "mdct-1024-sine")]
    best = max(float(measure(each, audio, 200.0, 8000).mean()) for each in alone)
    assert float(measure(together, audio, 200.0, 8000).mean()) > best + 0.5


def test_more_values_never_sound_worse_on_the_mean() -> None:
    contender = basis_contender(LEARNED, basis_of(WINDOWED), PursuitSettings(4, 4))
    ratios = [float(measure(contender, tones(3), per_s, 8000).mean()) for per_s in (100.0, 400.0, 1600.0)]
    assert ratios == sorted(ratios)


def test_of_rectified_codes_those_of_the_loudest_kernels_are_kept_and_all_of_them_are_the_whole() -> None:
    basis, audio = basis_of(FREE), tones(2)
    contender = basis_contender(LEARNED, basis, PursuitSettings())
    whole = basis.decode(basis.encode(audio, 1, PursuitSettings()), num_samples=4000)
    torch.testing.assert_close(contender.code(audio, 10**6), whole)
    codes = basis.encode(audio[:1], 1, PursuitSettings())[0]
    place = (codes * basis.functions.decoder.norm(dim=1)[:, None]).flatten().argmax()
    alone = torch.zeros_like(codes).flatten().scatter(0, place, codes.flatten()[place]).view_as(codes)
    torch.testing.assert_close(contender.code(audio[:1], 1), basis.decode(alone[None], num_samples=4000))


def test_a_ratio_is_that_of_the_samples() -> None:
    audio = torch.randn(2, 1000, generator=generator(0, "ratio"))
    torch.testing.assert_close(
        snr_db(audio, 0.9 * audio), torch.full((2,), 20.0, dtype=torch.float64), atol=1e-4, rtol=0
    )


def test_the_rival_of_a_row_is_the_best_mdct_at_its_number_of_values() -> None:
    contenders = {each.name: each for each in mdct_contenders()}
    contenders[LEARNED] = basis_contender(LEARNED, basis_of(LONG), PursuitSettings(12, 6))
    scores = {name: measure(each, tones(4), 300.0, 8000) for name, each in contenders.items()}
    rows = {row["family"]: row for row in rows_of(300.0, scores, contenders)}
    best = max(float(scores[name].mean()) for name in contenders if name != LEARNED)
    assert rows[MDCT]["snr_db"] == pytest.approx(best)
    assert rows[MDCT]["gain_db"] == 0.0
    assert rows[LEARNED]["gain_db"] == pytest.approx(float(scores[LEARNED].mean()) - best)
    # Waves at two scales with any phase are more than the MDCT can have at one.
    assert rows[LEARNED]["gain_low_db"] > 0.0


def test_centres_are_frequencies_and_the_earlier_order_begins_at_the_smallest_norm() -> None:
    time = torch.arange(256) / 8000
    hertz = torch.tensor([1500.0, 500.0, 3000.0])
    kernels = torch.sin(2 * torch.pi * hertz[:, None] * time) * torch.hann_window(256)
    torch.testing.assert_close(centres_hz(kernels, 8000), hertz.double(), atol=5.0, rtol=0)
    order = by_distance(kernels * torch.tensor([[1.0], [0.1], [2.0]])).tolist()
    assert order == [1, 0, 2]


@pytest.mark.parametrize("config", [WINDOWED, FREE], ids=["windowed", "free"])
def test_functions_have_a_row_and_a_picture(config: BasisConfig) -> None:
    basis = basis_of(config)
    rows = shape_rows(basis)
    assert len(rows) == sum(map(len, basis.functions.functions()))
    assert {
        row["place_by_frequency"] for row in rows if row["length_samples"] == rows[0]["length_samples"]
    } == set(range(sum(row["length_samples"] == rows[0]["length_samples"] for row in rows)))
    assert functions_png(basis).startswith(b"\x89PNG")
    codes = basis.encode(tones(1), 100, PursuitSettings(2, 2))[0]
    assert codes_png(codes, 0.5).startswith(b"\x89PNG")


def test_the_study_leaves_tables_pictures_sounds_and_a_page(tmp_path: Path) -> None:
    options = BasisOptions(
        str(save(tmp_path / "basis.safetensors", WINDOWED)),
        (write_tones(tmp_path / "sounds"),),
        per_s=(200.0, 800.0),
        seconds=0.5,
        rounds=4,
    )
    result = study_basis(tmp_path / "out", options)
    for name in FILES:
        assert (tmp_path / "out" / name).stat().st_size > 0
    with Image.open(tmp_path / "out" / "functions.png") as picture:
        assert picture.width > 600
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["nonzeros_per_s"], row["family"]) for row in rows[:4]] == [
        ("200", "learned"),
        ("200", "untrained"),
        ("200", "mdcts"),
        ("200", "mdct"),
    ]
    assert json.loads((tmp_path / "out" / "study.json").read_text())["rows"] == result["rows"]
    assert len(list((tmp_path / "out").glob("*-original.wav"))) == 3
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    with pytest.raises(ExistsError, match="--force"):
        study_basis(tmp_path / "out", options)


def test_recordings_that_cannot_be_read_are_told_and_the_rest_is_done(tmp_path: Path) -> None:
    sounds = write_tones(tmp_path / "sounds")
    (sounds / "broken.wav").write_bytes(b"RIFF")
    write(sounds / "silent.wav", torch.zeros(4000), 8000)
    model = str(save(tmp_path / "basis.safetensors", WINDOWED))
    result = study_basis(tmp_path / "out", BasisOptions(model, (sounds,), (200.0,), seconds=0.5, rounds=2))
    assert len(result["excerpts"]) == 3
    assert "broken.wav" in str(partial_failure(result))
    assert result["left_out"] == ["silent-0s: silent"]
    with pytest.raises(AudioError, match=r"no excerpt of 0\.5 s can be used: silent-0s"):
        study_basis(tmp_path / "none", BasisOptions(model, (sounds / "silent.wav",), (200.0,), seconds=0.5))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"sounds": ()}, "needs sounds"),
        ({"per_s": ()}, "takes one or more numbers above 0"),
        ({"per_s": (0.0,)}, "takes one or more numbers above 0"),
        ({"seconds": 0.0}, "takes 0.1 to 60"),
    ],
)
def test_a_study_of_nothing_is_refused(settings: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        BasisOptions(**{"model": "piano-basis", "sounds": (Path("examples"),)} | settings)


def test_a_model_that_is_no_basis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="a model of kind 'listener'; takes 'basis'"):
        study_basis(tmp_path / "out", BasisOptions("listener", (Path("examples"),)))
    with pytest.raises(CheckpointError, match="there is no basis 'nowhere'"):
        study_basis(tmp_path / "out", BasisOptions("nowhere", (Path("examples"),)))


def test_sounds_of_one_name_are_told_apart_and_no_sound_is_replaced_unasked(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_tones(tmp_path / folder)
    options = BasisOptions(
        str(save(tmp_path / "basis.safetensors", WINDOWED)),
        (tmp_path / "one" / "tone0.wav", tmp_path / "two" / "tone0.wav"),
        per_s=(100.0,),
        seconds=0.5,
        rounds=2,
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / "tone0_2-0s-100.wav").write_bytes(b"mine")
    with pytest.raises(ExistsError, match=r"tone0_2-0s-100\.wav"):
        study_basis(out, options)
    assert sorted(path.name for path in out.iterdir()) == ["tone0_2-0s-100.wav"]
    found = study_basis(out, options, force=True)
    assert found["excerpts"] == ["tone0-0s", "tone0_2-0s"]
    assert len(list(out.glob("*.wav"))) == 4
