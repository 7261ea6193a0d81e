"""The self-test: whether this computer computes what the authors' computer did."""
