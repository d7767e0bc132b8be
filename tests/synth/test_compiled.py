"""Compiled rendering sounds like ordinary rendering.

It runs in a process of its own: the shape checks of the tests and torch's compiler do not go together.
"""

import subprocess
import sys

import pytest
import torch

from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.compiled import CompiledRenderer

PROGRAM = """
import sys
import torch
from retimbre.core.random import uniform
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.compiled import CompiledRenderer
from retimbre.synth.fusing import compiler_available

if not compiler_available(torch.device("cpu")):
    sys.exit(3)
for name in ("fm", "inversynth", "subtractive"):
    synth = SYNTHS[name]
    rows = torch.arange(5)
    knobs = synth.space.from_unit(synth.space.draw_unit(uniform(0, "compiled", rows, len(synth.space.searched))))
    note = Note.of(5, pitch_hz=220.0, gate_s=0.05)
    plain = synth.render(knobs, note, num_samples=3000)
    made = CompiledRenderer(synth, chunk=4).render(knobs, note, num_samples=3000)  # a full chunk and a filled one
    error = float((made - plain).square().mean().sqrt() / plain.square().mean().sqrt())
    # A phase that rounds another way moves a square's edge by a sample now and then.
    assert error < 1e-3, (name, error)
print("same")
"""


@pytest.mark.slow
def test_compiled_voices_sound_like_uncompiled_ones() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("no C++ compiler")
    assert done.stdout.strip() == "same", done.stderr[-2000:]


def test_without_a_compiler_rendering_goes_on_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retimbre.synth.fusing.shutil.which", lambda name: None)
    synth = SYNTHS["two-sine"]
    knobs = {name: knob.expand(3) for name, knob in synth.space.from_values({}).items()}
    note = Note.of(3)
    made = CompiledRenderer(synth, chunk=2).render(knobs, note, num_samples=500)
    assert torch.allclose(made, synth.render(knobs, note, num_samples=500), atol=1e-6)
