#!/usr/bin/env python3
"""A training in PyTorch that logs its loss and how each layer is doing, and resumes.

    examples/python/torch_layers.py [--steps N] [--resume]

Which of two spirals a point is on, by three layers. With --resume it goes on from its checkpoint
(spirals.pt) as the next attempt of the run.
"""

import argparse
import math
import os

import stepdb
import stepdb.torch
import torch


def batch(size, chance):
    side = torch.randint(2, (size,), generator=chance)
    turn = torch.rand(size, generator=chance) * 3 * math.pi
    angle = turn + side * math.pi
    points = torch.stack([turn * angle.cos(), turn * angle.sin()], 1) / 10
    return points, side


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(1)
    chance = torch.Generator().manual_seed(2)
    model = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU(), torch.nn.Linear(32, 32),
                                torch.nn.ReLU(), torch.nn.Linear(32, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = 0
    if options.resume:
        saved = torch.load("spirals.pt")
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"] + 1
    resume_step = first - 1 if options.resume else None
    with stepdb.Run("examples", "spirals", resume_step=resume_step) as run:
        run.log_configs({"optimizer": {"name": "AdamW", "lr": 1e-2}, "layers": 3})
        watch = stepdb.torch.watch(model, run, every=10)
        for step in range(first, first + options.steps):
            points, side = batch(64, chance)
            loss = torch.nn.functional.cross_entropy(model(points), side)
            optimizer.zero_grad()
            loss.backward()
            watch.log(step)
            optimizer.step()
            run.log({"train/loss": loss}, step=step)
        run.persist()  # no row up to the checkpoint can be lost from here on
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                    "step": first + options.steps - 1}, "spirals.pt.new")
        os.replace("spirals.pt.new", "spirals.pt")


if __name__ == "__main__":
    main()
