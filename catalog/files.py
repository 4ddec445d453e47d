"""The S3 store as a file system, for whoever reads or writes whole files beside the tables."""

from __future__ import annotations

from urllib.parse import urlsplit

from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

from catalog.settings import Settings


def s3_files(settings: Settings) -> S3FileSystem:
    """The store of these settings; paths begin with the bucket, without a scheme."""
    address = urlsplit(settings.s3)
    return S3FileSystem(
        access_key=settings.secrets.s3_access_key,
        secret_key=settings.secrets.s3_secret_key,
        endpoint_override=address.netloc,
        scheme=address.scheme,
        region=settings.s3_region,
        force_virtual_addressing=not settings.s3_path_style,
        allow_delayed_open=True,  # a small file is one PUT instead of three requests
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=5),
    )
