"""A server without pages, for tests that kill it: `python train_until_killed.py CONFIG` trains one run."""

import sys

from qhn_core.config import RunConfig
from qhn_core.jobs.service import JobService
from qhn_core.jobs.workers import process_workers
from qhn_core.storage.runs import RunStore

if __name__ == "__main__":
    service = JobService(process_workers(1), RunStore())
    job = service.submit(RunConfig.model_validate_json(sys.argv[1]))
    print(job.id, flush=True)
    service.wait(job.id, 600)
    service.shutdown()
