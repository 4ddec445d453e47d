"""What happens when a task fails: one line in its log and, where a webhook is set, a message to it."""

from __future__ import annotations

import json
import logging
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

from airflow.sdk import Variable

TIMEOUT_SECONDS = 10
log = logging.getLogger(__name__)


def tell_of_failure(context: dict[str, Any]) -> None:
    """Callback of a failed task. A webhook that cannot be reached is logged and changes nothing else."""
    ti, run = context["ti"], context["dag_run"]
    message = {
        "dag": ti.dag_id,
        "run": run.run_id,
        "task": ti.task_id,
        "try": ti.try_number,
        "error": str(context.get("exception") or ""),
    }
    log.error("%(dag)s failed in %(task)s, run %(run)s, try %(try)s: %(error)s", message)
    webhook = Variable.get("alert_webhook", default=None)
    if webhook is None:
        return
    text = "{dag} failed in {task}, run {run}: {error}".format(**message)
    try:
        body = json.dumps({"text": text, **message}).encode()
        with urlopen(Request(webhook, body, {"Content-Type": "application/json"}), timeout=TIMEOUT_SECONDS) as answer:
            log.info("the webhook answered %s", answer.status)
    except (OSError, HTTPException, ValueError) as unreachable:
        log.warning("the webhook could not be told: %s", unreachable)
