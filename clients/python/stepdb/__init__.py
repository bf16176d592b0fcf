"""StepDB's client for Python: logs the metrics of a training run, and reads them.

    import stepdb
    run = stepdb.Run(project="gpt", run_id="run-17")
    run.log({"train/loss": loss, "lr": lr}, step=step)
    run.finish()

    stepdb.connect().query("train/loss @ gpt/run-17 | buckets 500")
"""

from ._answer import Answer, Connection, connect
from ._protocol import Error
from ._run import Report, Run, sync
from ._version import VERSION as __version__

__all__ = ["Answer", "Connection", "Error", "Report", "Run", "connect", "sync", "__version__"]
