"""What a logger has to have: abstract there, so a class that lacks one cannot be made."""

from abc import ABC, abstractmethod


class Logger(ABC):
    save_dir = root_dir = log_dir = None
    group_separator = "/"

    @property
    @abstractmethod
    def name(self):
        ...

    @property
    @abstractmethod
    def version(self):
        ...

    @abstractmethod
    def log_metrics(self, metrics, step=None):
        ...

    @abstractmethod
    def log_hyperparams(self, params, *arguments, **named):
        ...

    def log_graph(self, model, input_array=None):
        ...

    def after_save_checkpoint(self, checkpoint_callback):
        ...

    def save(self):
        ...

    def finalize(self, status):
        self.save()
