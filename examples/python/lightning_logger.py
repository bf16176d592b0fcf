#!/usr/bin/env python3
"""A training with PyTorch Lightning that logs to StepDB: `logger=` is all it takes."""

import torch
from lightning.pytorch import LightningModule, Trainer
from stepdb.lightning import StepDBLogger


class Line(LightningModule):
    """Learns y = 3 x - 1."""

    def __init__(self, lr=0.1):
        super().__init__()
        self.lr = lr
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, _):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.layer(x), y)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, _):
        x, y = batch
        self.log("val/loss", torch.nn.functional.mse_loss(self.layer(x), y))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def main():
    torch.manual_seed(1)
    x = torch.rand(256, 1)
    data = torch.utils.data.TensorDataset(x, 3 * x - 1)
    loader = torch.utils.data.DataLoader(data, batch_size=16)
    logger = StepDBLogger("examples", "line-lightning")
    logger.log_hyperparams({"lr": 0.1, "batch_size": 16})
    trainer = Trainer(logger=logger, max_epochs=4, log_every_n_steps=1, accelerator="cpu",
                      enable_checkpointing=False, enable_progress_bar=False)
    trainer.fit(Line(), loader, loader)


if __name__ == "__main__":
    main()
