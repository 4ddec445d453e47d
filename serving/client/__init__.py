"""The Python client of the API: `from serving.client import LakehouseClient`."""
