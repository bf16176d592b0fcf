#!/usr/bin/env python3
"""A training with the Trainer of Hugging Face that logs to StepDB: `callbacks=` is all it takes."""

import torch
from stepdb.transformers import StepDBCallback
from transformers import Trainer, TrainingArguments


class Line(torch.nn.Module):
    """Learns y = 3 x - 1."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, labels):
        predicted = self.layer(x)
        return {"loss": torch.nn.functional.mse_loss(predicted, labels), "logits": predicted}


def main():
    torch.manual_seed(1)
    data = [{"x": x, "labels": 3 * x - 1} for x in torch.rand(256, 1)]
    arguments = TrainingArguments(
        output_dir="out", run_name="line-transformers", num_train_epochs=4, learning_rate=0.1,
        per_device_train_batch_size=16, logging_steps=1, save_strategy="no", report_to=[])
    callback = StepDBCallback("examples")
    trainer = Trainer(model=Line(), args=arguments, train_dataset=data, eval_dataset=data,
                      callbacks=[callback])
    trainer.train()
    trainer.evaluate()
    callback.finish()


if __name__ == "__main__":
    main()
