"""Whether this computer computes what the authors' did."""
