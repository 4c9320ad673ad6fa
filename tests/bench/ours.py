"""Our half of a comparison, as a process: publish a directory that is computed already, or restore a run.

python -m tests.bench.ours publish DIRECTORY BUCKET
python -m tests.bench.ours restore RUN_ID BUCKET
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from etl.store import DirectoryStore, Run, S3Store, publications, publish, restore, s3_client

doing, what, bucket = sys.argv[1:]
store = S3Store(s3_client(), bucket, "processed/")
base = store.published()
if doing == "publish":
    local = DirectoryStore(Path(what))
    publish(store, Run(local.current().manifest, local), base, now=datetime.now(UTC))
else:
    wanted = next(each.manifest for each in publications(store, 20) if each.manifest.run_id == what)
    restore(store, wanted.model_copy(update={"restored_by": "bench"}), base)
