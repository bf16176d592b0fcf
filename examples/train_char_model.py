#!/usr/bin/env python3
"""Trains a small character model and logs it the way training scripts do: one row a step.

A multilayer perceptron predicts the next character of the LICENSE text from the six before it:
embedding, hidden layer (tanh), output layer (softmax), trained by SGD with momentum, warm-up and a
cosine schedule. Plain Python, no packages; about a minute.

    examples/train_char_model.py > char-model.csv

Columns: step, wall_time (seconds since the epoch), then one metric each; a cell is empty where a
metric was not logged at that step (validation runs every 100 steps). The seed fixes everything but
wall_time. train/grad_cosine compares a gradient with the one before and is NaN at step 0, which has
none. Batches vary in size, so tokens grow unevenly.
"""

import argparse
import csv
import math
import pathlib
import random
import sys
import time
from operator import mul

CONTEXT = 6
EMBEDDING = 8
HIDDEN = 32
BATCH = 12
MOMENTUM = 0.9
LR_PEAK = 0.08
WARMUP_STEPS = 100
VALIDATION_EVERY = 100
VALIDATION_POINTS = 300
LAYERS = ("embedding", "hidden", "output")


def dot(a, b):
    return sum(map(mul, a, b))


def norm(vector):
    return math.sqrt(dot(vector, vector))


class Model:
    """Parameters by layer, each one flat list; rows of a matrix lie one after the other."""

    def __init__(self, symbols, dice):
        self.symbols = symbols
        inputs = CONTEXT * EMBEDDING

        def gaussian(count, scale):
            return [dice.gauss(0.0, scale) for _ in range(count)]

        self.parameters = {
            "embedding": gaussian(symbols * EMBEDDING, 0.5),
            # Each unit's weights, then its bias.
            "hidden": gaussian(HIDDEN * (inputs + 1), 1.0 / math.sqrt(inputs)),
            "output": gaussian(symbols * (HIDDEN + 1), 0.3 / math.sqrt(HIDDEN)),
        }

    def zeros(self):
        return {layer: [0.0] * len(values) for layer, values in self.parameters.items()}

    def forward(self, context):
        """(inputs, hidden, probabilities); inputs and hidden end in the 1 that meets the bias."""
        embedding = self.parameters["embedding"]
        inputs = []
        for symbol in context:
            inputs += embedding[symbol * EMBEDDING:(symbol + 1) * EMBEDDING]
        inputs.append(1.0)
        weights, width = self.parameters["hidden"], len(inputs)
        hidden = [math.tanh(dot(weights[unit * width:(unit + 1) * width], inputs))
                  for unit in range(HIDDEN)]
        hidden.append(1.0)
        weights, width = self.parameters["output"], len(hidden)
        logits = [dot(weights[symbol * width:(symbol + 1) * width], hidden)
                  for symbol in range(self.symbols)]
        largest = max(logits)
        exponentials = [math.exp(logit - largest) for logit in logits]
        total = sum(exponentials)
        return inputs, hidden, [value / total for value in exponentials]

    def backward(self, context, target, activations, scale, gradient):
        """Adds `scale` times the gradient of one example's loss to `gradient`."""
        inputs, hidden, probabilities = activations
        delta = [value * scale for value in probabilities]
        delta[target] -= scale
        below = self.pull_back("output", delta, hidden, gradient)
        delta = [value * (1.0 - unit * unit) for value, unit in zip(below[:-1], hidden)]
        below = self.pull_back("hidden", delta, inputs, gradient)
        into = gradient["embedding"]
        for place, symbol in enumerate(context):
            for dimension in range(EMBEDDING):
                into[symbol * EMBEDDING + dimension] += below[place * EMBEDDING + dimension]

    def pull_back(self, layer, delta, inputs, gradient):
        """One linear layer: adds its gradient, returns the one of its inputs."""
        weights, into, width = self.parameters[layer], gradient[layer], len(inputs)
        below = [0.0] * width
        for unit, error in enumerate(delta):
            start, end = unit * width, (unit + 1) * width
            below = [sum_so_far + error * weight
                     for sum_so_far, weight in zip(below, weights[start:end])]
            into[start:end] = [old + error * value for old, value in zip(into[start:end], inputs)]
        return below


def learning_rate(step, steps):
    if step < WARMUP_STEPS:
        return LR_PEAK * (step + 1) / WARMUP_STEPS
    progress = (step - WARMUP_STEPS) / max(1, steps - WARMUP_STEPS)
    return LR_PEAK * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))))


class Trainer:
    def __init__(self, text, seed, steps):
        self.dice = random.Random(seed)
        self.steps = steps
        alphabet = sorted(set(text))
        codes = [alphabet.index(character) for character in text]
        split = len(codes) * 9 // 10
        self.train, self.validation = codes[:split], codes[split:]
        self.model = Model(len(alphabet), self.dice)
        self.velocity = self.model.zeros()
        self.previous = None  # the gradient of the step before
        self.tokens = 0

    def example(self, codes, place):
        return codes[place - CONTEXT:place], codes[place]

    def train_step(self, step):
        """One step of SGD; returns what is logged of it."""
        gradient = self.model.zeros()
        batch = self.dice.randint(BATCH // 2, BATCH + BATCH // 2)
        loss, correct, saturated, confidence = 0.0, 0, 0, 0.0
        for _ in range(batch):
            context, target = self.example(
                self.train, self.dice.randrange(CONTEXT, len(self.train)))
            activations = self.model.forward(context)
            probabilities = activations[2]
            loss -= math.log(probabilities[target])
            top = max(probabilities)
            correct += probabilities[target] == top
            confidence += top
            saturated += sum(abs(unit) > 0.97 for unit in activations[1][:-1])
            self.model.backward(context, target, activations, 1.0 / batch, gradient)
        self.tokens += batch
        row = {
            "train/loss": loss / batch,
            "train/accuracy": correct / batch,
            "train/confidence": confidence / batch,
            "train/batch": batch,
            "train/tokens": self.tokens,
            "train/lr": learning_rate(step, self.steps),
            "layers/hidden/saturated": saturated / (batch * HIDDEN),
        }
        self.log_gradient(gradient, row)
        self.update(gradient, row)
        return row

    def log_gradient(self, gradient, row):
        flat = [value for layer in LAYERS for value in gradient[layer]]
        row["train/grad_norm"] = norm(flat)
        cosine = math.nan
        if self.previous:
            cosine = dot(flat, self.previous) / (norm(flat) * norm(self.previous))
        row["train/grad_cosine"] = cosine
        self.previous = flat

    def update(self, gradient, row):
        for layer in LAYERS:
            velocity = [MOMENTUM * old + value
                        for old, value in zip(self.velocity[layer], gradient[layer])]
            change = [-row["train/lr"] * value for value in velocity]
            self.velocity[layer] = velocity
            weights = self.model.parameters[layer]
            self.model.parameters[layer] = [old + value for old, value in zip(weights, change)]
            row[f"layers/{layer}/grad_norm"] = norm(gradient[layer])
            row[f"layers/{layer}/update_norm"] = norm(change)
            row[f"layers/{layer}/weight_norm"] = norm(self.model.parameters[layer])

    def validate(self):
        """The same places of the held-out text every time."""
        loss, correct = 0.0, 0
        stride = (len(self.validation) - CONTEXT) // VALIDATION_POINTS
        for point in range(VALIDATION_POINTS):
            context, target = self.example(self.validation, CONTEXT + point * stride)
            probabilities = self.model.forward(context)[2]
            loss -= math.log(probabilities[target])
            correct += probabilities[target] == max(probabilities)
        return {
            "val/loss": loss / VALIDATION_POINTS,
            "val/perplexity": math.exp(loss / VALIDATION_POINTS),
            "val/accuracy": correct / VALIDATION_POINTS,
        }


COLUMNS = [
    "train/loss", "train/accuracy", "train/confidence", "train/grad_norm", "train/grad_cosine",
    "train/lr", "train/batch", "train/tokens",
    *(f"layers/{layer}/{what}" for layer in LAYERS
      for what in ("grad_norm", "update_norm", "weight_norm")),
    "layers/hidden/saturated", "val/loss", "val/perplexity", "val/accuracy",
]


def rows_of_training(text, seed, steps, stop):
    trainer = Trainer(text, seed, steps)
    for step in range(stop):
        row = trainer.train_step(step)
        if (step + 1) % VALIDATION_EVERY == 0:
            row.update(trainer.validate())
        cells = [format(row[name], ".6g") if name in row else "" for name in COLUMNS]
        yield [str(step), format(time.time(), ".3f"), *cells]


def same_but_for_wall_time(row, other):
    return row[:1] + row[2:] == other[:1] + other[2:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=2400, help="length of the schedule")
    parser.add_argument("--stop", type=int, help="stop after so many steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compare", metavar="CSV", help="print nothing; fail where CSV differs")
    options = parser.parse_args()
    text = (pathlib.Path(__file__).parent.parent / "LICENSE").read_text(encoding="utf-8").lower()
    rows = rows_of_training(text, options.seed, options.steps, options.stop or options.steps)
    header = ["step", "wall_time", *COLUMNS]
    if not options.compare:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(row)
            sys.stdout.flush()
        return 0
    with open(options.compare, encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if next(reader) != header:
            print("the columns differ")
            return 1
        for row in rows:
            expected = next(reader)
            if not same_but_for_wall_time(row, expected):
                print(f"differs at step {row[0]}:\n{row}\n{expected}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
