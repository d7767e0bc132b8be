"""Statistics of whole data sets: every kind with audio, in batches, over the training clips alone."""

import pytest
import torch

from retimbre.core.errors import DatasetError, ExistsError
from retimbre.corpora.envelopes.on_disk import EnvelopeSet
from retimbre.data.dataset import RenderedSet
from retimbre.data.manifest import Fractions, Header, write_header
from retimbre.representation.catalog import representation
from retimbre.representation.standardized import Statistics, fit_statistics
from retimbre.workflows import statistics as measuring
from retimbre.workflows.dataset.envelopes import EnvelopePlan, make_envelopes
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.statistics import FitOptions, fit_set_statistics, num_training_clips

SETTINGS = {"n_fft": 64, "hop_length": 16}
OPTIONS = FitOptions(settings=("n_fft=64", "hop_length=16"))


@pytest.fixture
def envelopes(tmp_path):
    make_envelopes(EnvelopePlan(40), tmp_path / "envelopes")
    return tmp_path / "envelopes"


@pytest.fixture
def rendered(tmp_path):
    make_dataset(tmp_path / "rendered", SetOptions("fm", size=20, seconds=0.02))
    return tmp_path / "rendered"


@pytest.mark.parametrize(
    ("kind", "opened"), [("envelopes", EnvelopeSet.open), ("rendered", RenderedSet.open)]
)
def test_every_kind_of_set_is_measured_on_its_training_clips(kind, opened, request, tmp_path):
    folder = request.getfixturevalue(kind)
    data = opened(folder)
    training = data.split("train")
    assert 0 < len(training) < len(data)
    fitted = fit_set_statistics(folder, "stft", tmp_path / "s.safetensors", OPTIONS)
    inner = representation("stft", data.header.sample_rate, SETTINGS)
    expected = fit_statistics(inner, [data.shards.read(training)])
    assert (fitted.sample_rate, fitted.statistics.num_clips) == (data.header.sample_rate, len(training))
    # One pass over batches, in float64.
    torch.testing.assert_close(fitted.statistics.mean, expected.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        Statistics.load(tmp_path / "s.safetensors").deviation, expected.deviation, rtol=0, atol=1e-12
    )


def test_clips_are_read_a_batch_at_a_time_and_the_progress_is_told(envelopes, tmp_path, monkeypatch):
    whole = fit_set_statistics(envelopes, "stft", tmp_path / "a.safetensors", OPTIONS).statistics
    monkeypatch.setattr(measuring, "_SAMPLES_AT_ONCE", 7 * EnvelopeSet.open(envelopes).header.num_samples)
    told = []
    pieces = fit_set_statistics(
        envelopes, "stft", tmp_path / "b.safetensors", OPTIONS, advance=told.append
    ).statistics
    assert max(told) == 7
    assert sum(told) == num_training_clips(envelopes) == whole.num_clips
    torch.testing.assert_close(pieces.deviation, whole.deviation, rtol=0, atol=1e-12)


def test_a_set_without_audio_is_refused(tmp_path):
    header = Header("labels", 1, 8000, 100, 1, Fractions(), {})
    write_header(tmp_path, header)
    with pytest.raises(DatasetError, match="a labels data set, which holds no audio to measure"):
        fit_set_statistics(tmp_path, "stft", tmp_path / "s.safetensors")


def test_a_file_that_is_there_stays_unless_forced(envelopes, tmp_path):
    out = tmp_path / "s.safetensors"
    fit_set_statistics(envelopes, "stft", out, OPTIONS)
    before = out.read_bytes()
    with pytest.raises(ExistsError, match="already there"):
        fit_set_statistics(envelopes, "mdct", out)
    assert out.read_bytes() == before
    fit_set_statistics(envelopes, "mdct", out, force=True)
    assert out.read_bytes() != before
