"""A random stream depends on its address and on nothing else."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retimbre.core.random import generator, key

ADDRESSES = st.tuples(st.integers(), st.text(max_size=8), st.lists(st.integers(), max_size=3).map(tuple))


@given(st.lists(ADDRESSES, unique=True, min_size=2, max_size=8))
def test_different_addresses_have_different_keys(addresses: list[tuple[int, str, tuple[int, ...]]]) -> None:
    # By chance two of 2^63 keys agree once in 10^17 such lists; words that hold the separator are not used as purposes.
    apart = {(seed, purpose.replace("\x1f", ""), numbers) for seed, purpose, numbers in addresses}
    assert len({key(seed, purpose, *numbers) for seed, purpose, numbers in apart}) == len(apart)


@pytest.mark.parametrize("address", [(0, "noise"), (0, "noise", 1), (7, "batch", 3, 4)])
def test_the_same_address_draws_the_same_numbers_whatever_was_drawn_before(address: tuple) -> None:
    first = torch.rand(5, generator=generator(*address))
    torch.rand(1000, generator=generator(1, "other"))
    torch.rand(3)
    assert torch.equal(torch.rand(5, generator=generator(*address)), first)


def test_another_process_draws_the_same_numbers() -> None:
    program = "from retimbre.core.random import key; print(key(3, 'batch', 14))"
    # Python salts its own hash() anew in every process; a key must not depend on it.
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert int(output) == key(3, "batch", 14)


def test_drawing_leaves_torch_s_own_stream_alone() -> None:
    state = torch.get_rng_state()
    torch.rand(5, generator=generator(0, "noise"))
    assert torch.equal(torch.get_rng_state(), state)
