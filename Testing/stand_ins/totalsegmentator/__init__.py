"""A STAND-IN for the package TotalSegmentator, for tests only: its weights (1 GB) cannot be had everywhere.

It has the real one's interface as of version 2.18.0 (checked with its source): the signature of `totalsegmentator` with
nibabel images in and out, `config.get_weights_dir`, `map_to_binary.class_map`, `python_api.send_usage_stats`. It finds
"organs" by HU alone, and misbehaves as the environment variable STAND_IN says.
"""
