"""StepDB's client for Python: logs the metrics of a training run, and reads them.

    import stepdb
    run = stepdb.Run(project="gpt", run_id="run-17")
    run.log({"train/loss": loss, "lr": lr}, step=step)
    run.finish()

    stepdb.connect().query("train/loss @ gpt/run-17 | buckets 500")
"""

from ._answer import Answer
from ._connection import (Connection, connect, fetch_metric_buckets, fetch_metrics,
                          fetch_runs_table)
from ._diff import Difference, diff_source
from ._protocol import Error
from ._run import Report, Run, sync
from ._sources import Source, read_log, read_run
from ._version import VERSION as __version__
from ._watch import Update, Watch

__all__ = ["Answer", "Connection", "Difference", "Error", "Report", "Run", "Source", "Update",
           "Watch", "connect", "diff_source", "fetch_metric_buckets", "fetch_metrics",
           "fetch_runs_table", "read_log", "read_run", "sync", "__version__"]
