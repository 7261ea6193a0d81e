"""How good is it: simulated low-dose CT, metrics, classical tools, and the commands that compare the model with
them.
"""
