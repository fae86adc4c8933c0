"""The privacy-preserving GAN that is subverted: generator (sanitiser), critics, training."""
