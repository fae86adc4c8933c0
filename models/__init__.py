"""What is studied: data, the PP-GAN, hiding, and the privacy checks. Knows nothing of Ray, Optuna or Hydra."""
