"""Training of weights: pre-training, ControlNets, refiners, distillation, and their export."""
