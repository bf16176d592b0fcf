"""A training that logs through the Python client and writes down by itself what it logged.

    training_job.py torch|plain DIRECTORY [--steps N] [--resume]

A small network learns which character of a text follows another eight. `torch` is a real PyTorch
training; `plain` stands in for it where there is no torch, with the same metrics from a loop in
plain Python. The run is p/training of STEPDB_SERVER. In DIRECTORY it keeps `checkpoint`, and for
each process `record-PID.jsonl`: every row before it is logged, and when that was. Steps are printed
as they are done. With --resume it goes on from the checkpoint, as the next attempt.
"""

import argparse
import json
import math
import os
import pickle
import random
import time

import stepdb

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONTEXT = 8
CHECKPOINT_EVERY = 50
VALIDATE_EVERY = 20


def characters():
    """The text as numbers, and how many different ones there are."""
    with open(os.path.join(ROOT, "examples", "README.md"), encoding="utf-8") as file:
        text = file.read()
    places = {character: place for place, character in enumerate(sorted(set(text)))}
    return [places[character] for character in text], len(places)


class TorchTraining:
    """An embedding, two layers, AdamW."""

    def __init__(self):
        import torch  # what `plain` has to do without
        self.torch = torch
        torch.manual_seed(7)
        torch.set_num_threads(1)
        text, count = characters()
        self.text = torch.tensor(text)
        self.model = torch.nn.Sequential(
            torch.nn.Embedding(count, 12), torch.nn.Flatten(),
            torch.nn.Linear(12 * CONTEXT, 48), torch.nn.ReLU(), torch.nn.Linear(48, count))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-3)

    def loss(self, seed):
        chance = self.torch.Generator().manual_seed(seed)
        places = self.torch.randint(len(self.text) - CONTEXT, (32,), generator=chance)
        context = self.text[places[:, None] + self.torch.arange(CONTEXT)]
        return self.torch.nn.functional.cross_entropy(self.model(context),
                                                      self.text[places + CONTEXT])

    def train(self, step):
        """Does a step; returns the row as the loop has it, tensors and all."""
        loss = self.loss(step)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        norms = {name: {"grad_norm": weight.grad.norm()}
                 for name, weight in self.model.named_parameters()}
        return {"train/loss": loss, "lr": self.optimizer.param_groups[0]["lr"],
                "tokens": 32 * step, "layers": norms}

    def validate(self):
        with self.torch.no_grad():
            return sum(self.loss(-seed) for seed in range(1, 5)) / 4

    def state(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


class PlainTraining:
    """Weights for each pair of characters that follow each other: logistic regression."""

    def __init__(self):
        self.text, self.count = characters()
        self.weights = [[0.0] * self.count for _ in range(self.count)]

    def gradient(self, seed):
        chance = random.Random(seed)
        loss, gradient = 0.0, {}
        for _ in range(8):
            place = chance.randrange(len(self.text) - 1)
            here, following = self.text[place:place + 2]
            powers = [math.exp(weight) for weight in self.weights[here]]
            shares = [power / sum(powers) for power in powers]
            loss -= math.log(shares[following]) / 8
            shares[following] -= 1
            of_row = gradient.setdefault(here, [0.0] * self.count)
            gradient[here] = [sum(both) for both in zip(of_row, shares)]
        return loss, gradient

    def train(self, step):
        loss, gradient = self.gradient(step)
        for here, of_row in gradient.items():
            self.weights[here] = [weight - 0.5 * one
                                  for weight, one in zip(self.weights[here], of_row)]
        norm = math.sqrt(sum(one * one for of_row in gradient.values() for one in of_row))
        return {"train/loss": loss, "lr": 0.5, "tokens": 8 * step,
                "layers": {"pairs": {"grad_norm": norm}}}

    def validate(self):
        return sum(self.gradient(-seed)[0] for seed in range(1, 5)) / 4

    def state(self):
        return self.weights

    def load(self, state):
        self.weights = state


def numbers_of(row, prefix=""):
    """The row as a loop would print it; not by the client's own code."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from numbers_of(value, f"{prefix}{name}/")
        else:
            yield prefix + name, float(value.item() if hasattr(value, "item") else value)


def save(path, step, training):
    with open(path + ".new", "wb") as file:
        pickle.dump((step, training.state()), file)
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("torch", "plain"))
    parser.add_argument("directory")
    parser.add_argument("--steps", type=int, default=10 ** 9)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    training = TorchTraining() if options.kind == "torch" else PlainTraining()
    path = os.path.join(options.directory, "checkpoint")
    done = None
    if options.resume:
        with open(path, "rb") as file:
            done, state = pickle.load(file)
        training.load(state)
    run = stepdb.Run("p", "training", resume_step=done)
    record = open(os.path.join(options.directory, f"record-{os.getpid()}.jsonl"), "w",
                  encoding="utf-8", buffering=1)
    for step in range((done or 0) + 1, options.steps + 1):
        row = training.train(step)
        if step % VALIDATE_EVERY == 0:
            row["val/loss"] = training.validate()
        record.write(json.dumps({"step": step, "values": dict(numbers_of(row)),
                                 "at": time.monotonic()}) + "\n")
        run.log(row, step=step)
        if step % CHECKPOINT_EVERY == 0:
            assert run.persist()
            save(path, step, training)
        print(step, flush=True)
    print(run.finish())


if __name__ == "__main__":
    main()
