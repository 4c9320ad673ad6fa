"""What this process says of itself: to the public on /readyz, to the operator on the private socket's /state. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashboard.data import LastGood
    from dashboard.selfcheck import Health
    from dashboard.traffic import Traffic


def readiness(holder: "LastGood", script_error: str | None, release: str, now: datetime) -> dict[str, Any]:
    """What /readyz says: ready when there is data and the newest script run did not raise. Asks the store nothing.

    `contract`: the schema_version of the snapshot that is shown.
    """
    state = holder.state()
    manifest = state.snapshot.manifest if state.snapshot else None
    return {
        "ready": manifest is not None and script_error is None,
        "run_id": manifest.run_id if manifest else None,
        "data_through": manifest.data_through.isoformat() if manifest else None,
        "generated_at": f"{manifest.generated_at:%Y-%m-%dT%H:%M:%SZ}" if manifest else None,
        "age_s": round((now - manifest.generated_at).total_seconds()) if manifest else None,
        "contract": manifest.schema_version if manifest else None,
        "release": release,
        "store": holder.where,
        "last_script_error": script_error,
        "store_problem": state.problem.reason if state.problem else None,
    }


def state_of(
    ready: Mapping[str, Any], traffic: "Traffic", health: "Health", memory_bytes: int | None
) -> dict[str, Any]:
    """What /state says: the readiness, and what only the operator needs. `page_ms`, `problem`: of the newest check."""
    return {
        "release": ready["release"],
        "ready": ready["ready"],
        "draining": traffic.draining,
        "sessions": traffic.sessions,
        "page_ms": health.page_ms,
        "data_age_s": ready["age_s"],
        "memory_bytes": memory_bytes,
        "contract": ready["contract"],
        "run_id": ready["run_id"],
        "last_script_error": ready["last_script_error"],
        "problem": health.problem or ready["store_problem"],
    }
