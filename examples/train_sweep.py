#!/usr/bin/env python3
"""Trains a small transformer on characters again and again, and logs it the way training jobs do:
a sweep over learning rate and seed. One learning rate is too high, and its run diverges; it is
forked before that and goes on with a lower one. One job is killed and restarted from a checkpoint.

    apt-get install python3-torch libopenblas0-pthread     # of Debian 12
    examples/train_sweep.py --out sweep --jobs 2           # about an hour of one core
    zstd -19 --rm sweep/*.jsonl

The text is that of the licenses in /usr/share/common-licenses, which every Debian has; its last
tenth is for validation. The model has no normalisation between its layers and gradients are not
clipped, so too high a learning rate shows. The seed fixes everything but times and telemetry, on
one machine: sums of floating point numbers depend on the processor.

A log has an object a line, what `stepdb import jsonl` reads (docs/import.md):

    {"run": {"id": ..., "config": {...}, "tags": [...]}}           the run; again after a restart
    {"step": 1, "timestamp": ..., "train/loss": ...}               every step
    {"timestamp": ..., "host/cpu": ...}                            telemetry, once a second
    {"run": {"state": "finished"}}                                 how it ended
"""

import argparse
import dataclasses
import math
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

# Before torch reads them: one core for each job.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

TEXTS = pathlib.Path("/usr/share/common-licenses")
LAYERS = 6
WIDTH = 48
HEADS = 3
CONTEXT = 64
BATCH = 12
STEPS = 2000
WARMUP_STEPS = 400
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
CHECKPOINT_EVERY = 250
VALIDATION_EVERY = 100
VALIDATION_BATCHES = 8
NAN_STEPS_MAX = 60  # so long a job goes on without a finite loss


@dataclasses.dataclass
class Job:
    lr: float
    seed: int
    killed_at: int = 0  # the process ends there as if the machine had died, and is started again
    fork_of: str = ""
    fork_at: int = 0
    tags: tuple = ("sweep",)


# In the order in which they are trained; a fork comes after its parent.
JOBS = {
    "lr3e-2-s1": Job(3e-2, 1),
    **{f"lr{lr}-s{seed}": Job(float(lr), seed) for lr in ("1e-3", "3e-3", "1e-2")
       for seed in (1, 2, 3)},
    "rescue": Job(1e-2, 1, fork_of="lr3e-2-s1", fork_at=250, tags=("rescue",)),
}
JOBS["lr3e-3-s2"].killed_at = 1390


# --- Model ---

class Layer(nn.Module):
    """Attention and a perceptron, each added to what goes through."""

    def __init__(self):
        super().__init__()
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attention_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), -math.inf).triu(1))

    def forward(self, x):
        batch, length, _ = x.shape
        size = WIDTH // HEADS
        query, key, value = (self.query_key_value(x).view(batch, length, 3, HEADS, size)
                             .permute(2, 0, 3, 1, 4))
        weights = (query @ key.transpose(-1, -2) / math.sqrt(size) + self.mask).softmax(-1)
        x = x + self.attention_out((weights @ value).transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.down(functional.relu(self.up(x)) ** 2)


class Model(nn.Module):
    def __init__(self, symbols):
        super().__init__()
        self.embedding = nn.Embedding(symbols, WIDTH)
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, symbols, bias=False)
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, 0.5 / math.sqrt(parameter.shape[-1]))

    def forward(self, x, activations=None):
        x = self.embedding(x) + self.position.weight
        for layer in self.layers:
            x = layer(x)
            if activations is not None:
                activations.append(x.detach())
        return self.head(x)


# --- Text ---

class Text:
    def __init__(self):
        files = sorted(path for path in TEXTS.iterdir() if not path.is_symlink())
        text = "".join(path.read_text(encoding="utf-8") for path in files)
        alphabet = sorted(set(text))
        code = {symbol: number for number, symbol in enumerate(alphabet)}
        codes = torch.tensor([code[symbol] for symbol in text])
        split = len(codes) * 9 // 10
        self.symbols = len(alphabet)
        self.training, self.validation = codes[:split], codes[split:]

    @staticmethod
    def batch(codes, places):
        inputs = torch.stack([codes[place:place + CONTEXT] for place in places])
        targets = torch.stack([codes[place + 1:place + 1 + CONTEXT] for place in places])
        return inputs, targets


# --- Log ---

def shortest(value):
    """The shortest decimal that reads back as this float32."""
    if math.isfinite(value):
        return str(numpy.float32(value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def rounded(value):
    """Six digits, which are enough for a norm."""
    return f"{value:.6g}" if math.isfinite(value) else shortest(value)


class Log:
    """Lines may come from two threads."""

    def __init__(self, path, append):
        self.lock = threading.Lock()
        self.file = open(path, "a" if append else "w", encoding="utf-8")

    def write(self, line):
        with self.lock:
            self.file.write(line + "\n")
            self.file.flush()

    def row(self, step, values):
        fields = [f'"step": {step}'] if step is not None else []
        fields.append(f'"timestamp": {time.time():.3f}')
        fields += [f'"{name}": {text}' for name, text in values.items()]
        self.write("{" + ", ".join(fields) + "}")


class Telemetry(threading.Thread):
    """What the machine does, from /proc."""

    def __init__(self, log):
        super().__init__(daemon=True)
        self.log = log
        self.ended = threading.Event()
        self.steps = 0  # done; written by the training alone

    @staticmethod
    def cpu():
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]

    def run(self):
        page_mb = os.sysconf("SC_PAGE_SIZE") / 2**20
        total, idle = self.cpu()
        steps, then = self.steps, time.monotonic()
        while not self.ended.wait(1.0):
            new_total, new_idle = self.cpu()
            now, done = time.monotonic(), self.steps
            with open("/proc/self/statm", encoding="ascii") as file:
                resident = int(file.read().split()[1]) * page_mb
            values = {"host/cpu": f"{1 - (new_idle - idle) / max(1, new_total - total):.4f}",
                      "host/rss_mb": f"{resident:.1f}"}
            if done > steps:
                values["host/step_ms"] = f"{(now - then) / (done - steps) * 1000:.2f}"
                steps, then = done, now
            self.log.row(None, values)
            total, idle = new_total, new_idle


# --- Training ---

def norm(tensors):
    """As float32 has it: it may well be infinite, or NaN."""
    return torch.linalg.vector_norm(torch.stack([tensor.norm() for tensor in tensors])).item()


class Training:
    def __init__(self, job):
        self.job = job
        self.text = Text()
        torch.manual_seed(job.seed)
        self.model = Model(self.text.symbols)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=job.lr, betas=BETAS,
                                           weight_decay=WEIGHT_DECAY)
        self.dice = torch.Generator().manual_seed(job.seed)
        self.step = 0

    def save(self, path):
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "step": self.step}, path)

    def load(self, path, attempt):
        """The batches that follow are others than those of the job that ended."""
        saved = torch.load(path)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]
        self.dice = torch.Generator().manual_seed(1000 * attempt + self.job.seed)

    def learning_rate(self):
        """Up in a line, then down along a cosine to a tenth."""
        warmup = min(1.0, self.step / WARMUP_STEPS)
        progress = max(0, self.step - WARMUP_STEPS) / (STEPS - WARMUP_STEPS)
        return self.job.lr * warmup * (0.55 + 0.45 * math.cos(math.pi * progress))

    def train_step(self):
        """One step; what is logged of it, as texts."""
        self.step += 1
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        places = torch.randint(len(self.text.training) - CONTEXT - 1, (BATCH,),
                               generator=self.dice)
        inputs, targets = self.text.batch(self.text.training, places)
        activations = []
        logits = self.model(inputs, activations)
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        values = {
            "train/loss": shortest(loss.item()),
            "lr": f"{rate:.6g}",
            "tokens": str(self.step * BATCH * CONTEXT),
            "grad_norm": shortest(norm([p.grad for p in self.model.parameters()])),
        }
        before = [[p.detach().clone() for p in layer.parameters()] for layer in self.model.layers]
        self.optimizer.step()
        for number, layer in enumerate(self.model.layers):
            parameters = [p.detach() for p in layer.parameters()]
            change = [new - old for new, old in zip(parameters, before[number])]
            activation = activations[number]
            measures = {
                "grad_norm": norm([p.grad for p in layer.parameters()]),
                "update_norm": norm(change),
                "weight_norm": norm(parameters),
                "act_rms": activation.square().mean().sqrt().item(),
                "act_max": activation.abs().max().item(),
            }
            for name, value in measures.items():
                values[f"layers/{number}/{name}"] = rounded(value)
        return loss.item(), values

    @torch.no_grad()
    def validate(self):
        """The same places every time."""
        count = VALIDATION_BATCHES * BATCH
        stride = (len(self.text.validation) - CONTEXT - 1) // count
        losses = []
        for first in range(0, count, BATCH):
            places = [place * stride for place in range(first, first + BATCH)]
            inputs, targets = self.text.batch(self.text.validation, places)
            logits = self.model(inputs)
            losses.append(functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).item())
        return sum(losses) / len(losses)


def describe(name, job, training):
    config = {"lr": repr(job.lr), "seed": str(job.seed), "layers": str(LAYERS),
              "width": str(WIDTH), "heads": str(HEADS), "context": str(CONTEXT),
              "batch_tokens": str(BATCH * CONTEXT), "steps": str(STEPS),
              "warmup_steps": str(WARMUP_STEPS), "weight_decay": repr(WEIGHT_DECAY),
              "optimizer": '"adamw"', "normalisation": '"none"',
              "parameters": str(sum(p.numel() for p in training.model.parameters()))}
    fields = ", ".join(f'"{key}": {text}' for key, text in config.items())
    tags = ", ".join(f'"{tag}"' for tag in job.tags)
    fork = f', "fork": {{"of": "{job.fork_of}", "at": {job.fork_at}}}' if job.fork_of else ""
    return f'{{"run": {{"id": "{name}", "config": {{{fields}}}, "tags": [{tags}]{fork}}}}}'


def run_job(name, job, out, attempt):
    """Trains to the end; False if the loss is lost."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    training = Training(job)
    if attempt > 0:
        checkpoints = [int(path.suffixes[0][1:]) for path in out.glob(f"{name}.*.pt")]
        training.load(out / f"{name}.{max(checkpoints)}.pt", attempt)
    elif job.fork_of:
        training.load(out / f"{job.fork_of}.{job.fork_at}.pt", attempt)
    log = Log(out / f"{name}.jsonl", append=attempt > 0)
    log.write(describe(name, job, training))
    telemetry = Telemetry(log)
    telemetry.start()
    lost = 0
    while training.step < STEPS and lost < NAN_STEPS_MAX:
        loss, values = training.train_step()
        lost = 0 if math.isfinite(loss) else lost + 1
        if training.step % VALIDATION_EVERY == 0:
            values["val/loss"] = shortest(training.validate())
        log.row(training.step, values)
        telemetry.steps = training.step
        if training.step % CHECKPOINT_EVERY == 0:
            training.save(out / f"{name}.{training.step}.pt")
        if attempt == 0 and training.step == job.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
    telemetry.ended.set()
    telemetry.join()
    log.write(f'{{"run": {{"state": "{"failed" if lost else "finished"}"}}}}')
    return not lost


def run_sweep(out, parallel):
    """Every job is a process of its own."""
    waiting, running, ended = list(JOBS), {}, set()
    while waiting or running:
        for name in list(waiting):
            if len(running) < parallel and JOBS[name].fork_of in ended | {""}:
                waiting.remove(name)
                running[start(name, out, 0)] = (name, 0)
        pid, status = os.wait()
        name, attempt = running.pop(pid)
        print(f"{name}, attempt {attempt}: ended with {os.waitstatus_to_exitcode(status)}",
              flush=True)
        if os.WIFSIGNALED(status) and JOBS[name].killed_at and attempt == 0:
            running[start(name, out, 1)] = (name, 1)
        else:
            ended.add(name)


def start(name, out, attempt):
    command = [sys.executable, __file__, "--out", str(out), "--job", name,
               "--attempt", str(attempt)]
    return subprocess.Popen(command).pid  # os.wait() takes it


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="directory of the logs")
    parser.add_argument("--jobs", type=int, default=1, help="at the same time")
    parser.add_argument("--job", choices=JOBS, help="this one alone")
    parser.add_argument("--attempt", type=int, default=0, help="of it; above 0: a restart")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.job:
        run_sweep(options.out, options.jobs)
        return 0
    return 0 if run_job(options.job, JOBS[options.job], options.out, options.attempt) else 1


if __name__ == "__main__":
    sys.exit(main())
