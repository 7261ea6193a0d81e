"""The neural networks (U-Net, ControlNet, refiner) and what they are conditioned with."""
