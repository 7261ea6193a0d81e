"""Methods that improve an estimate after sampling: non-local means, and refiners for low dose and thick slices."""
