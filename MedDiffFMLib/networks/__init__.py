"""The neural networks (U-Net, ControlNet, refiner) and their conditions."""
