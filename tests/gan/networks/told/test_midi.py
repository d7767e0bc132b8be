"""GANs after the study of 2020 that are told the keys."""

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form
from retimbre.gan.networks.catalog import CRITICS, GENERATORS
from retimbre.gan.networks.sizes import SIZES
from retimbre.gan.networks.told.midi_layers import Recall, StatesReader

SMALL: dict[str, tuple[int, ...]] = {
    "midi-wave": (1, 2048),
    "midi-spec": (1, 16, 8),
    "midi-stft": (2, 16, 8),
}


def num_weights(catalog: dict, kind: str) -> float:
    with torch.device("meta"):
        network = catalog[kind]().build(SIZES[kind].form)
    return sum(weights.numel() for weights in network.parameters()) / 1e6


def test_the_networks_have_the_numbers_of_weights_of_the_study() -> None:
    # Stated in millions with two decimals.
    assert num_weights(GENERATORS, "midi-wave") == pytest.approx(39.92, abs=0.005)
    assert num_weights(CRITICS, "midi-wave") == pytest.approx(41.42, abs=0.005)


@pytest.mark.parametrize("kind", sorted(SMALL))
@pytest.mark.parametrize("count", [512, 1024])
def test_states_are_taken_with_the_chunk_before_and_without(kind: str, count: int) -> None:
    form = Form(SMALL[kind], {}, 4, {"midi": (count, 89)})
    told = {"midi": torch.rand(2, count, 89)}
    if kind in GENERATORS:
        made = GENERATORS[kind](channels=2).build(form)(torch.randn(2, 4), told)
        assert made.shape == (2, *SMALL[kind])
    assert CRITICS[kind](channels=2).build(form)(torch.randn(2, *SMALL[kind]), told).score.shape == (2,)


def changed_places(before: Tensor, after: Tensor) -> list[int]:
    return torch.nonzero((after - before).abs().amax(dim=(0, 1)) > 1e-7).flatten().tolist()


def test_a_state_is_heard_at_its_own_place_and_at_none_before_it() -> None:
    torch.manual_seed(0)
    recall = Recall(3, 4, 64)
    row = torch.randn(1, 3, 128)
    other = row.clone()
    other[..., 64 + 20] += 1.0
    places = changed_places(recall(row), recall(other))
    assert places[0] == 20
    before = row.clone()
    before[..., 30] += 1.0  # in the chunk before: heard within a chunk's reach of it
    assert changed_places(recall(row), recall(before))


def test_a_reader_brings_states_to_the_frames_in_which_they_are() -> None:
    torch.manual_seed(0)
    reader = StatesReader(4, 6, 32)  # 16 states a frame
    told = torch.zeros(1, 1024, 89)
    other = told.clone()
    other[0, 512 + 10 * 16 + 8, 40] = 1.0
    first = changed_places(reader(told), reader(other))[0]
    # The first layer reaches over 36 states, one frame to either side.
    assert abs(first - 10) <= 1


def test_clips_and_states_that_do_not_fit_are_refused_with_what_is_taken() -> None:
    with pytest.raises(ConfigError, match=r"512 to 131,072 samples that are 512 times a power of 2"):
        GENERATORS["midi-wave"]().build(Form((1, 1000), {}, 4, {"midi": (512, 89)}))
    with pytest.raises(ConfigError, match="a power of 2, not features of shape"):
        GENERATORS["midi-stft"]().build(Form((2, 16, 12), {}, 4, {"midi": (512, 89)}))
    with pytest.raises(ConfigError, match="midi-spec plays from MIDI states and is told none"):
        CRITICS["midi-spec"]().build(Form((1, 16, 8), {}))
