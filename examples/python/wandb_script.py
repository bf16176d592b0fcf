#!/usr/bin/env python3
"""A script written for W&B: the first import is all that changed. It needs nothing else."""

import random

import stepdb.wandb as wandb


def main():
    chance = random.Random(1)
    with wandb.init(project="examples", id="line-wandb", config={"lr": 0.1}, tags=["line"]) as run:
        slope, offset = 0.0, 0.0
        for step in range(200):
            x = chance.random()
            error = slope * x + offset - (3 * x - 1)
            slope -= run.config.lr * error * x
            offset -= run.config.lr * error
            wandb.log({"train/loss": error ** 2, "weights": {"slope": slope, "offset": offset}})
        run.summary["slope"] = slope


if __name__ == "__main__":
    main()
