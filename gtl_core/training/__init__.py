"""Training: the loop, losses, augmentation, weight averages, device and precision, exact-resume checkpoints."""
