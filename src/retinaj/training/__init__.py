"""Training: the loop, its data, its state on disk. Import `retinaj.training.train` to train."""
