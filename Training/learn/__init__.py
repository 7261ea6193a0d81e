"""How weights are made: pre-training and the fine-tuning of ControlNets."""
