"""A published program's name stands only on numbers that it has a part in, and what is not its own is remarked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from retimbre.core.errors import ConfigError
from retimbre.listening.catalog import EMBEDDERS, ExternalEntry
from retimbre.listening.listener import Listener, ListenerConfig, save_listener
from retimbre.listening.vggish import PCA_FILES, VggishEmbedder, VggishOptions
from retimbre.listening.vggish_weights import Vggish, VggishSizes
from retimbre.metrics.distances.profiles import PROFILES
from retimbre.workflows.evaluation.sets.clips import ClipOptions, HeldClips
from retimbre.workflows.evaluation.sets.folders import SetOptions, measure_sounds
from retimbre.workflows.evaluation.sets.measure import MeasureOptions, measure
from retimbre.workflows.evaluation.sets.metrics import SET_METRICS

RATE = 16_000
OF_NOTES = [name for name, each in SET_METRICS.items() if each.hears == "listener"]
SIZES = VggishSizes(channels=(4, 6, 8, 10), hidden=12, dim=5)


def noise(seed: int, seconds: float = 0.125) -> HeldClips:
    random = torch.Generator().manual_seed(seed)
    return HeldClips("noise", torch.rand(20, int(seconds * RATE), generator=random) - 0.5, RATE)


def listener_of(network: str, folder: Path) -> str:
    torch.manual_seed(0)
    path = folder / f"{network}.safetensors"
    save_listener(path, Listener(ListenerConfig(network=network, attributes=("pitch",))), facts={})
    return str(path)


def measured(metric: str, **options: Any) -> dict[str, Any]:
    seconds = 0.125 if SET_METRICS[metric].hears == "listener" else 1.0
    how = MeasureOptions(**{"resamples": 5, "cache": "none", "device": "cpu"} | options)
    return measure(metric, noise(0, seconds), noise(1, seconds), how)


def not_published(result: dict[str, Any]) -> list[str]:
    return [remark for remark in result["remarks"] if "not those that were published" in remark]


@pytest.mark.parametrize("metric", ["pis", "pkid", "is"])
def test_answers_of_another_classifier_than_system_c_s_are_remarked(metric: str, tmp_path: Path) -> None:
    harmonic = listener_of("harmonic", tmp_path)
    assert len(not_published(measured(metric, listener=harmonic, profile="sony2020"))) == 1
    assert not_published(measured(metric, listener=harmonic)) == []


@pytest.mark.slow
def test_answers_of_system_c_s_network_are_not_remarked(tmp_path: Path) -> None:
    inception = listener_of("inception", tmp_path)
    assert not_published(measured("pis", listener=inception, profile="sony2020")) == []


@pytest.mark.parametrize("profile", ["google2019", "torch-port", "fadtk"])
@pytest.mark.parametrize("metric", OF_NOTES)
def test_a_program_that_has_no_measure_of_notes_gives_none_its_name(metric: str, profile: str) -> None:
    title = SET_METRICS[metric].title
    message = f"the profile {profile} has no {title}, which takes --profile default or sony2020$"
    with pytest.raises(ConfigError, match=message):
        measured(metric, profile=profile)
    # Not even the folders are looked at.
    options = SetOptions("nowhere", ClipOptions(), MeasureOptions(profile=profile))
    with pytest.raises(ConfigError, match=message):
        measure_sounds(metric, "nowhere", options=options)


def test_logits_were_what_system_c_compared_and_not_vectors() -> None:
    (remark,) = not_published(measured("imq", embedder="statistics", profile="sony2020"))
    assert "as pkid and ikid do" in remark


@pytest.fixture
def vggish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small VGGish in the place of the published one; gives the file of its weights."""
    torch.manual_seed(0)
    file = tmp_path / "vggish.safetensors"
    components = tmp_path / PCA_FILES[0]
    np.savez(components, pca_means=np.zeros((5, 1)), pca_eigen_vectors=np.eye(5))
    save_file(Vggish(SIZES).state_dict(), file)
    endings = {"vggish": VggishOptions(), "vggish-pca": VggishOptions(relu=True, pca_file=str(components))}
    for name, ending in endings.items():
        entry = ExternalEntry(
            "Small", lambda rate, path, ending=ending: VggishEmbedder(rate, path, ending, SIZES)
        )
        monkeypatch.setitem(EMBEDDERS, name, entry)
    return str(file)


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "default"])
def test_a_whitened_vggish_is_refused_where_the_program_whitened_nothing(profile: str, vggish: str) -> None:
    does = "whitens" if PROFILES[profile].framing.relu else "rectifies and whitens"
    with pytest.raises(ConfigError, match=f"'vggish-pca' {does} its vectors, .* it takes --embedder vggish$"):
        measured("kad", embedder="vggish-pca", embedder_file=vggish, profile=profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_last_layer_of_vggish_is_the_program_s_and_is_told(profile: str, vggish: str) -> None:
    result = measured("kad", embedder="vggish", embedder_file=vggish, profile=profile)
    rectified = PROFILES[profile].framing.relu
    assert result["settings"]["heard_by"]["settings"]["relu"] == rectified
    assert (result["settings"]["framing"]["relu"], result["settings"]["framing"]["pca"]) == (rectified, False)
    assert not_published(result) == []


def test_what_is_told_of_the_last_layer_is_what_was_done(vggish: str) -> None:
    whitened = measured("kad", embedder="vggish-pca", embedder_file=vggish)["settings"]["framing"]
    assert (whitened["relu"], whitened["pca"]) == (True, True)
    other = measured("kad", embedder="statistics", profile="google2019")["settings"]["framing"]
    assert (other["relu"], other["pca"]) == (False, False)
