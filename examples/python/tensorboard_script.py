#!/usr/bin/env python3
"""A script written for TensorBoard: the first import is all that changed. It needs nothing else."""

import random

from stepdb.tensorboard import SummaryWriter


def main():
    chance = random.Random(1)
    with SummaryWriter("runs/line", project="examples") as writer:
        slope, offset = 0.0, 0.0
        for step in range(200):
            x = chance.random()
            error = slope * x + offset - (3 * x - 1)
            slope -= 0.1 * error * x
            offset -= 0.1 * error
            writer.add_scalar("train/loss", error ** 2, step)
            writer.add_scalars("weights", {"slope": slope, "offset": offset}, step)
        writer.add_hparams({"lr": 0.1}, {"hparam/loss": error ** 2})


if __name__ == "__main__":
    main()
