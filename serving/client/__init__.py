"""The Python client of the API: `from serving.client import LakehouseClient`.

In reading order: client (the methods), async_client (the same, awaited), calls (what each method asks for),
answers (rows as data frames and models), transport (requests, retries, time-outs), errors.
"""

from serving.client.answers import ActivityEvent, Rows, Stats, Status
from serving.client.async_client import AsyncLakehouseClient
from serving.client.client import LakehouseClient
from serving.client.errors import (
    ApiError,
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RequestError,
    ServerError,
    SnapshotGoneError,
    UnreachableError,
)

__all__ = [
    "ActivityEvent",
    "ApiError",
    "AsyncLakehouseClient",
    "AuthenticationError",
    "ForbiddenError",
    "LakehouseClient",
    "NotFoundError",
    "RateLimitedError",
    "RequestError",
    "Rows",
    "ServerError",
    "SnapshotGoneError",
    "Stats",
    "Status",
    "UnreachableError",
]
