"""A trainer that does what matters to a logger, in the order in which Lightning does it."""

import torch


class LightningModule(torch.nn.Module):
    def log(self, name, value, **_):
        self.logged[name] = value.detach()


class Trainer:
    def __init__(self, logger, max_epochs, log_every_n_steps=50, **_):
        self.logger, self.max_epochs, self.every = logger, max_epochs, log_every_n_steps
        self.global_step = 0

    def _send(self, module, epoch):
        row = {name: value.item() for name, value in module.logged.items()}
        self.logger.log_metrics({**row, "epoch": epoch}, step=self.global_step)
        self.logger.save()

    def fit(self, module, train, validation):
        optimizer = module.configure_optimizers()
        self.logger.log_graph(module)
        try:
            for epoch in range(self.max_epochs):
                module.train()
                for place, batch in enumerate(train):
                    module.logged = {}
                    optimizer.zero_grad()
                    module.training_step(batch, place).backward()
                    optimizer.step()
                    if self.global_step % self.every == 0:
                        self._send(module, epoch)
                    self.global_step += 1
                self.global_step -= 1
                self._validate(module, validation, epoch)
                self.global_step += 1
                self.logger.after_save_checkpoint(None)
        except BaseException:
            self.logger.finalize("failed")
            raise
        self.logger.finalize("success")

    def _validate(self, module, loader, epoch):
        module.eval()
        module.logged = {}
        with torch.no_grad():
            for place, batch in enumerate(loader):
                module.validation_step(batch, place)
        self._send(module, epoch)

    def test(self, module, loader):
        self._validate(module, loader, self.max_epochs)
        self.logger.finalize("success")
