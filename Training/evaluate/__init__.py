"""Evaluation of models: cases, metrics, classical tools to compare with, and reports."""
