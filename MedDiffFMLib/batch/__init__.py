"""A task on a folder of CTs, here or on a Dask cluster."""
