"""GANs that train in bfloat16 on each kind of device, are stopped and go on, and can be heard there.

A CPU does not show it: on a GPU statistics, templates, labels and the maps of a growing network all have to be
where the weights are, and what autocast makes of a layer is bfloat16 on both.
"""

from pathlib import Path

import pytest
import torch

from retimbre.cli.app import run
from retimbre.dsp import audiofile
from retimbre.gan.sounds import load_generator
from retimbre.training.journal import read_journal
from retimbre.training.run_checkpoints import Checkpoints
from retimbre.workflows.training.fit import train

DEVICES = [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu)]
GROWING = """
generator = { kind = "progressive", depths = [8, 8, 4], factors = [[4, 4], [2, 2], [1, 1]], start = "gansynth" }
critics = [{ network = { kind = "progressive", depths = [8, 8, 4], factors = [[4, 4], [2, 2], [1, 1]] } }]
[task.loss]
kind = "wgan"
gradient_penalty = 10.0
drift = 0.001
class_weight_critic = 1.0
class_weight_generator = 1.0
soft_labels = true
[growth]
steps = [1, 3, 2]
fade_jumps = [0, 2, 1]
fade_jump_steps = [0, 1, 1]
batch_sizes = [8, 8, 4]
"""
RESIDUAL = """
rows_at_once = 5
generator = { kind = "residual", channels = [16, 16], group = 8, template = ["pitch"] }
[[task.critics]]
network = { kind = "residual", channels = [16, 16], group = 8, template = ["pitch"] }
[[task.critics]]
network = { kind = "frames", width = 16, depth = 1 }
representation = "mag"
settings = { n_fft = 64, hop_length = 32 }
standardize = "bin"
[task.loss]
kind = "relativistic"
r1 = 1.0
r2 = 1.0
auto_gamma = true
"""
HEAD = """
seed = 1
[task]
kind = "gan"
representation = "mag-if-gated"
settings = { n_fft = 64, hop_length = 32, edges = "no-dc" }
standardize = "bin"
sample_rate = 4000
num_samples = 511
latent_dim = 4
attributes = ["pitch"]
"""
TAIL = """
[data]
notes = 40
instruments = 3
lowest_pitch = 60
highest_pitch = 63
families = ["bass", "organ"]
validation_clips = 8
[train]
steps = 6
batch_size = 8
learning_rate = 1e-3
schedule = "constant"
optimizer = "adam"
clip_norm = 0.0
precision = "bf16"
log_every = 1
validate_every = 2
checkpoint_every = 2
samples_every = 3
"""


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("networks", [GROWING, RESIDUAL], ids=["growing", "residual"])
def test_a_gan_trains_in_bfloat16_goes_on_where_it_was_stopped_and_is_heard(
    networks: str, device: str, tmp_path: Path
) -> None:
    run_file, out = tmp_path / "run.toml", tmp_path / "run"
    run_file.write_text(HEAD + networks + TAIL)
    train(run_file, out, overrides=["train.steps=2"], device=device)
    state = Checkpoints(out / "checkpoints").load_newest()
    assert state is not None
    assert state["step"] == 2
    manifest = train(run_file, out, device=device)
    rows = [row for row in read_journal(out / "journal.csv") if row.split == "train"]
    assert {row.step for row in rows} == set(range(1, 7))
    assert all(torch.isfinite(torch.tensor(row.value)) for row in rows)
    assert manifest["finished"]

    sounds = load_generator(out).to(device)
    latent, labels = sounds.draw_latents(3, seed=0), sounds.labels(3, {"pitch": [60, 61, 62]})
    with torch.inference_mode():
        made = sounds(latent.to(device), labels)
    assert made.device.type == device
    assert made.shape == (3, 511)
    assert bool(made.isfinite().all())
    assert float(made.abs().max()) > 0.0
    arguments = ["generate", "random", str(out), "--count", "1", "--device", device]
    assert run([*arguments, "--out", str(tmp_path / "made")]) == 0
    (wav,) = (tmp_path / "made").glob("*.wav")
    assert audiofile.read(wav).samples.isfinite().all()
