"""Stands in for the package `transformers`; see ../README.md. A trainer that does what matters to a
callback, in the order in which that of transformers does it."""

import dataclasses
import json
import os

import torch


@dataclasses.dataclass
class TrainingArguments:
    output_dir: str
    run_name: str = None
    num_train_epochs: int = 3
    learning_rate: float = 5e-5
    per_device_train_batch_size: int = 8
    logging_steps: int = 500
    save_strategy: str = "no"
    report_to: list = None

    def to_sanitized_dict(self):
        return {name: value if isinstance(value, (bool, int, float, str)) else str(value)
                for name, value in dataclasses.asdict(self).items()}


@dataclasses.dataclass
class TrainerState:
    epoch: float = None
    global_step: int = 0
    is_world_process_zero: bool = True


class TrainerControl:
    pass


class TrainerCallback:
    def on_train_begin(self, args, state, control, **_):
        pass

    on_step_end = on_log = on_evaluate = on_save = on_train_end = on_train_begin


class Trainer:
    def __init__(self, model, args, train_dataset, eval_dataset, callbacks):
        self.model, self.args, self.callbacks = model, args, callbacks
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        self.state, self.control = TrainerState(), TrainerControl()

    def _tell(self, event, **more):
        for callback in self.callbacks:
            getattr(callback, event)(self.args, self.state, self.control, model=self.model, **more)

    def _batches(self, dataset):
        size = self.args.per_device_train_batch_size
        for begin in range(0, len(dataset), size):
            rows = dataset[begin:begin + size]
            yield {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def train(self, resume_from_checkpoint=None):
        per_epoch = -(-len(self.train_dataset) // self.args.per_device_train_batch_size)
        if resume_from_checkpoint:
            with open(os.path.join(resume_from_checkpoint, "trainer_state.json"),
                      encoding="utf-8") as file:
                self.state.global_step = json.load(file)["global_step"]
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.args.learning_rate)
        self._tell("on_train_begin")
        for epoch in range(self.state.global_step // per_epoch, self.args.num_train_epochs):
            for batch in self._batches(self.train_dataset):
                loss = self.model(**batch)["loss"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                self.state.global_step += 1
                self.state.epoch = self.state.global_step / per_epoch
                self._tell("on_step_end")
                if self.state.global_step % self.args.logging_steps == 0:
                    self._tell("on_log", logs={"loss": loss.item(), "epoch": self.state.epoch,
                                               "learning_rate": self.args.learning_rate})
            if self.args.save_strategy == "epoch":
                self._save()
        self._tell("on_log", logs={"train_runtime": 1.5, "train_loss": loss.item()})
        self._tell("on_train_end")

    def _save(self):
        path = os.path.join(self.args.output_dir, f"checkpoint-{self.state.global_step}")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "trainer_state.json"), "w", encoding="utf-8") as file:
            json.dump({"global_step": self.state.global_step}, file)
        self._tell("on_save")

    def evaluate(self):
        with torch.no_grad():
            losses = [self.model(**batch)["loss"].item()
                      for batch in self._batches(self.eval_dataset)]
        metrics = {"eval_loss": sum(losses) / len(losses), "epoch": self.state.epoch}
        self._tell("on_log", logs=metrics)
        self._tell("on_evaluate", metrics=metrics)
        return metrics
